from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poeproto import LimitExceeded, Limits, LocalProtocolError, ServerSentEvent, SSEDecoder, encode_comment, encode_sse
from poeproto.testing import bytewise, cut_at, two_way_splits

LINE_END = re.compile(r"\r\n|\r|\n")
BOM = b"\xef\xbb\xbf"


def record(data: str, event: str = "message", id: str = "", retry: int | None = None) -> ServerSentEvent:
    return ServerSentEvent(event, data, id, retry)


def ways_to_cut(stream: bytes) -> Iterator[list[bytes]]:
    yield [stream]
    yield bytewise(stream)
    yield from two_way_splits(stream)
    chance = random.Random(stream)
    for _ in range(50):
        yield cut_at(stream, [chance.randrange(len(stream) + 1) for _ in range(chance.randrange(1, 8))])


def decode(parts: Iterable[bytes], decoder: SSEDecoder | None = None) -> list[ServerSentEvent]:
    decoder = decoder or SSEDecoder()
    events = [event for part in parts for event in decoder.receive_data(part)]
    assert decoder.error is None
    return events + decoder.receive_eof()


# --- the rules of the standard, each as a fact

RULES: dict[str, tuple[bytes, list[ServerSentEvent]]] = {
    "an empty stream has no events": (b"", []),
    "blank lines alone dispatch nothing": (b"\n\r\n\r\n\n", []),
    "a field and a blank line make an event": (b"data: x\n\n", [record("x")]),
    # line ends
    "lines end with CR": (b"data: x\rdata: y\r\r", [record("x\ny")]),
    "lines end with CR LF": (b"data: x\r\ndata: y\r\n\r\n", [record("x\ny")]),
    "line ends may be mixed": (b"data: 1\rdata: 2\ndata: 3\r\n\rdata: 4\n\r\n", [record("1\n2\n3"), record("4")]),
    "LF CR is two line ends": (b"data: x\n\rdata: y\n\n", [record("x"), record("y")]),
    "CR CR LF is two line ends": (b"data: x\r\r\ndata: y\r\n\r\n", [record("x"), record("y")]),
    "no other character ends a line": (
        "data: a\x0bb\x0cc\x1cd\x85e\u2028f\n\n".encode(),
        [record("a\x0bb\x0cc\x1cd\x85e\u2028f")],
    ),
    # fields
    "one space after the colon is dropped": (b"data:x\ndata: x\ndata:  x\n\n", [record("x\nx\n x")]),
    "only a space is dropped": (b"data:\tx\ndata:\xc2\xa0x\n\n", [record("\tx\n\xa0x")]),
    "a space before the colon belongs to the name": (b"data : x\n\n", []),
    "a space before the name belongs to the name": (b" data: x\n\n", []),
    "names are case-sensitive": (b"Data: x\nDATA: y\n\n", []),
    "unknown fields are ignored": (b"data: x\nfoo: bar\nfoo\ndatax: y\n\n", [record("x")]),
    "a line without a colon is a field with an empty value": (b"data\n\n", [record("")]),
    "the first colon separates": (b"data: a: b:c\n\n", [record("a: b:c")]),
    "a line that begins with a colon is a comment": (b": data: x\n:\n::data: y\n\n", []),
    "comments do not break an event": (b"data: x\n: hm\ndata: y\n\n", [record("x\ny")]),
    # data
    "data lines are joined by LF": (b"data: x\ndata:\ndata: y\ndata\n\n", [record("x\n\ny\n")]),
    "an empty data line is data": (b"data:\n\n", [record("")]),
    "two empty data lines are one LF": (b"data\ndata\n\n", [record("\n")]),
    "NUL in data is kept": (b"data: \0\n\n", [record("\0")]),
    # event
    "an event has a name": (b"event: text\ndata: x\n\n", [record("x", "text")]),
    "the last name wins": (b"event: a\ndata: x\nevent: b\n\n", [record("x", "b")]),
    "an empty name means message": (b"event: a\nevent:\ndata: x\n\n", [record("x")]),
    "the name may follow the data": (b"data: x\nevent: a\n\n", [record("x", "a")]),
    "a name holds for one event": (b"event: a\ndata: x\n\ndata: y\n\n", [record("x", "a"), record("y")]),
    "without data nothing is dispatched": (b"event: a\nid: 1\nretry: 5\n\n", []),
    "a name without data is forgotten": (b"event: a\n\ndata: x\n\n", [record("x")]),
    # id
    "an id holds until the next": (
        b"id: 1\ndata: x\n\ndata: y\n\nid: 2\ndata: z\n\n",
        [record("x", id="1"), record("y", id="1"), record("z", id="2")],
    ),
    "an id without data holds, too": (b"id: 1\n\ndata: x\n\n", [record("x", id="1")]),
    "an empty id resets": (b"id: 1\ndata: x\n\nid\ndata: y\n\n", [record("x", id="1"), record("y")]),
    "an id with NUL is ignored": (b"id: 1\nid: a\0b\nid: \0\ndata: x\n\n", [record("x", id="1")]),
    # retry
    "retry is a number": (b"retry: 0100\ndata: x\n\ndata: y\n\n", [record("x", retry=100), record("y", retry=100)]),
    "retry without data holds, too": (b"retry: 7\n\ndata: x\n\n", [record("x", retry=7)]),
    # the end
    "an event without its blank line is discarded": (b"data: x\n\ndata: y\n", [record("x")]),
    "a line without its end is discarded": (b"data: x\n\ndata: y", [record("x")]),
    # UTF-8
    "one BOM is stripped": (BOM + b"data: x\n\n", [record("x")]),
    "a second BOM is not": (BOM + BOM + b"data: x\n\ndata: y\n\n", [record("y")]),
    "nor one on the next line": (b"data: x\n" + BOM + b"data: y\n\n", [record("x")]),
    "nor one in the next event": (b"data: x\n\n" + BOM + b"data: y\n\n", [record("x")]),
    "nor one after a blank line": (b"\n" + BOM + b"data: y\n\n", []),
    "nor one after CR LF": (b"\r\n" + BOM + b"data: y\n\n", []),
    "a BOM in a value is kept": (b"data: " + BOM + b"x\n\n", [record("\ufeffx")]),
    "a BOM may stand before a blank line": (BOM + b"\ndata: x\n\n", [record("x")]),
    "half a BOM is no BOM": (b"\xef\xbbdata: x\n\n", []),
    "text is UTF-8": ("event: ö\nid: ü\ndata: 🐈\n\n".encode(), [record("🐈", "ö", "ü")]),
    "a byte that is not UTF-8 is replaced": (b"event: \xff\nid: \xff\ndata: \xff\n\n", [record("�", "�", "�")]),
    "each maximal part is replaced once": (b"data: \xf0\x9f\x90|\xc3|\xe2\x82|\xf0\x80\x80\n\n", [record("�|�|�|���")]),
    "an encoded surrogate is three errors": (b"data: \xed\xa0\xbd\n\n", [record("���")]),
    "a character cut by a line end is not joined": (b"data: \xc3\ndata: \xa9\n\n", [record("�\n�")]),
    "a field name is not repaired": (b"dat\xffa: x\n\n", []),
}

# Facts from web-platform-tests, eventsource/format-*, as the server there sends them.
WPT: dict[str, tuple[bytes, list[ServerSentEvent]]] = {
    "bom": (BOM + b"data:1\n\n" + BOM + b"data:2\n\ndata:3\n\n", [record("1"), record("3")]),
    "bom-2": (BOM + BOM + b"data:1\n\ndata:2\n\ndata:3\n\n", [record("2"), record("3")]),
    "comments": (
        b"data:1\r:\0\n:\r\ndata:2\n:%b\rdata:3\n:data:fail\r:%b\ndata:4\n\n" % (b"x" * 2048, b"x" * 2048),
        [record("1\n2\n3\n4")],
    ),
    "data-before-final-empty-line": (b"retry:1000\ndata:test1\n\nid:test\ndata:test2\n", [record("test1", retry=1000)]),
    "field-data": (b"data:\n\ndata\ndata\n\ndata:test\n\n", [record(""), record("\n"), record("test")]),
    "field-event": (b"event:test\ndata:x\n\ndata:x\n\n", [record("x", "test"), record("x")]),
    "field-event-empty": (b"event: \ndata:data\n\n", [record("data")]),
    "field-parsing": (
        b"data:\0\ndata:  2\rData:1\ndata\0:2\ndata:1\r\0data:4\nda-ta:3\rdata_5\n"
        b"data:3\rdata:\r\n data:32\ndata:4\n\n",
        [record("\0\n 2\n1\n3\n\n4")],
    ),
    "field-retry-bogus": (b"retry:3000\nretry:1000x\ndata:x\n\n", [record("x", retry=3000)]),
    "field-retry-empty": (b"retry\ndata:test\n\n", [record("test")]),
    "field-unknown": (
        b"data:test\n data\ndata\nfoobar:xxx\njustsometext\n:thisisacommentyay\ndata:test\n\n",
        [record("test\n\ntest")],
    ),
    "leading-space": (b"data:\ttest\rdata: \ndata:test\n\n", [record("\ttest\n\ntest")]),
    "newlines": (b"data:test\r\ndata\ndata:test\r\n\r", [record("test\n\ntest")]),
    "null-character": (b"data:\0\n\n\n\n", [record("\0")]),
    "utf-8": (b"data:ok\xe2\x80\xa6\n\n", [record("ok…")]),
}


@pytest.mark.parametrize(("stream", "expected"), [*RULES.values(), *WPT.values()], ids=[*RULES, *WPT])
def test_the_standard(stream: bytes, expected: list[ServerSentEvent]) -> None:
    assert reference(stream) == expected
    for parts in ways_to_cut(stream):
        assert decode(parts) == expected, parts


@pytest.mark.parametrize(
    "value", ["", "x", "1x", "+1", "-1", " 1", "1 ", "1.0", "1_000", "٣", "²", "\0", "0x1", "9" * 5000]
)
def test_retry_that_is_not_plain_digits_is_ignored(value: str) -> None:
    stream = f"retry:5\nretry: {value}\ndata:x\n\n".encode()
    for parts in ([stream], bytewise(stream)):
        assert decode(parts) == [record("x", retry=5)]


def test_a_lone_cr_ends_a_line_at_once() -> None:
    decoder = SSEDecoder()
    assert decoder.receive_data(b"data: x\r\r") == [record("x")]
    assert decoder.receive_data(b"data: y\r") == []
    assert decoder.receive_data(b"\r") == [record("y")]
    # What follows belongs to the line end already taken, and is no line of its own.
    assert decoder.receive_data(b"\n") == []
    assert decoder.receive_data(b"data: z\r") == []
    assert decoder.receive_data(b"\n") == []
    assert decoder.receive_data(b"\n") == [record("z")]


def test_an_empty_part_changes_nothing() -> None:
    decoder = SSEDecoder()
    assert decode([b"data: x\r", b"", b"\n", b"", b"\r", b"", b"\n"], decoder) == [record("x")]


def test_an_event_comes_out_of_the_call_that_completes_it() -> None:
    decoder = SSEDecoder()
    assert decoder.receive_data(b"data: 1\n\ndata: 2\n\nda") == [record("1"), record("2")]
    assert decoder.receive_data(b"ta: 3\n") == []
    assert decoder.receive_data(b"\n") == [record("3")]


# --- against a naive decoder, written from the standard's text, that sees the whole stream at once


def reference(stream: bytes) -> list[ServerSentEvent]:
    events: list[ServerSentEvent] = []
    data_buffer, event_type_buffer, last_event_id, retry = "", "", "", None
    text = stream.decode("utf-8", "replace").removeprefix("\ufeff")
    *lines, _unterminated = LINE_END.split(text)
    for line in lines:
        if line == "":
            if data_buffer != "":
                data = data_buffer.removesuffix("\n")
                events.append(ServerSentEvent(event_type_buffer or "message", data, last_event_id, retry))
            data_buffer, event_type_buffer = "", ""
        elif not line.startswith(":"):
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "event":
                event_type_buffer = value
            elif field == "data":
                data_buffer += value + "\n"
            elif field == "id" and "\0" not in value:
                last_event_id = value
            elif field == "retry" and re.fullmatch("[0-9]+", value):
                retry = int(value)
    return events


PIECES = [
    *(b"\r", b"\n", b"\r\n", b"\n\n", b"\r\r", b":", b" ", b"\0", b"x", b"10"),
    *(b"data", b"data:", b"data: ", b"event: ", b"event:a", b"id:", b"id: 7", b"retry: ", b"retry:5", b"Data:", b": "),
    *(BOM, b"\xef", b"\xbb\xbf", b"\xff", b"\xc3", b"\xa9", b"\xed\xa0\x80", b"\xf0\x9f", "🐈".encode(), "²".encode()),
    *(b"\x0b", b"\x0c", b"\x1c", "\x85".encode(), "\u2028".encode()),
]
streams = st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join)
places = st.lists(st.integers(0, 120), max_size=10)


@settings(max_examples=500)
@given(streams, places)
def test_any_bytes_cut_anywhere_give_what_the_standard_says(stream: bytes, cuts: list[int]) -> None:
    expected = reference(stream)
    for parts in ([stream], bytewise(stream), cut_at(stream, cuts)):
        assert decode(parts) == expected


# --- the bound


def outcome(parts: Iterable[bytes], max_event_size: int) -> tuple[list[ServerSentEvent], bool]:
    """All events, and whether the stream failed."""
    decoder = SSEDecoder(max_event_size=max_event_size)
    events: list[ServerSentEvent] = []
    for part in parts:
        if decoder.error is None:
            events += decoder.receive_data(part)
        else:
            with pytest.raises(LimitExceeded) as caught:
                decoder.receive_data(part)
            assert caught.value is decoder.error
    return events, decoder.error is not None


def bounded_reference(stream: bytes, max_event_size: int) -> tuple[list[ServerSentEvent], bool]:
    size, good = 0, b""
    *lines, unterminated = re.split(rb"\r\n|\r|\n", stream)
    for line in lines:
        size = size + len(line) + 1 if line else 0
        if size > max_event_size:
            return reference(good), True
        good += line + b"\n"
    return reference(good), size + len(unterminated) > max_event_size


BODIES = {
    "a data line": b"data: " + b"x" * 93 + b"\n",
    "a data line and CR LF": b"data: " + b"x" * 93 + b"\r\n",
    "many data lines": b"data:\n" * 15 + b"data:x\r",
    "comments": b": 3456789\n" * 9 + b":x\n",
    "unknown fields": b"unknown: 0\n" * 9,
    "names": b"event: 78\n" * 9,
    "a line without an end": b"data: " + b"x" * 94,
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_everything_between_blank_lines_counts_against_the_bound(body: bytes) -> None:
    size = len(body.replace(b"\r\n", b"\n"))  # a line end counts as one byte, since a cut may not tell
    stream = b"event: good\ndata: 1\n\n" + body
    good = [record("1", "good")]
    for parts in ways_to_cut(stream):
        assert outcome(parts, size) == (good, False)
        assert outcome(parts, size - 1) == (good, True)


def test_a_blank_line_starts_the_count_again() -> None:
    stream = b"data: 1234\n\n" * 50 + b":\n\n" * 50
    assert outcome([stream], 11) == ([record("1234")] * 50, False)
    assert outcome(bytewise(stream), 11) == ([record("1234")] * 50, False)


@settings(max_examples=300)
@given(streams, places, st.integers(1, 40))
def test_the_bound_holds_alike_for_every_cut(stream: bytes, cuts: list[int], max_event_size: int) -> None:
    expected = bounded_reference(stream, max_event_size)
    for parts in ([stream], bytewise(stream), cut_at(stream, cuts)):
        assert outcome(parts, max_event_size) == expected


def test_events_before_the_fault_come_with_the_failing_call_and_the_error_stays() -> None:
    decoder = SSEDecoder(max_event_size=20)
    assert decoder.receive_data(b"data: 1\n\ndata: 2\n\ndata: " + b"x" * 20 + b"\n\ndata: 3\n\n") == [
        record("1"),
        record("2"),
    ]
    error = decoder.error
    assert isinstance(error, LimitExceeded)
    assert error.limit == "event_size"
    assert "20 bytes" in str(error)
    for data in (b"data: 4\n\n", b""):
        with pytest.raises(LimitExceeded) as caught:
            decoder.receive_data(data)
        assert caught.value is error
    with pytest.raises(LimitExceeded) as caught:
        decoder.receive_eof()
    assert caught.value is error


def held(decoder: SSEDecoder) -> int:
    return len(decoder._unfinished_line) + sum(len(line) + 1 for line in decoder._data)


@pytest.mark.parametrize(
    "line", [b"data:\n", b"data: xxxx\n", b"data\r\n", b"data: xxxx", b": hello\n", b"x: y\n", b"event: a\n"]
)
def test_nothing_grows_while_no_blank_line_comes(line: bytes) -> None:
    decoder = SSEDecoder(max_event_size=1000)
    for _ in range(100_000):
        if decoder.error is not None:
            break
        assert decoder.receive_data(line) == []
        assert held(decoder) <= 1000
    assert decoder.error is not None
    assert held(decoder) == 0
    whole = SSEDecoder(max_event_size=1000)
    assert whole.receive_data(line * 100_000) == []
    assert whole.error is not None
    assert held(whole) == 0


def test_the_end_of_the_stream_lets_go_of_what_was_unfinished() -> None:
    decoder = SSEDecoder()
    assert decoder.receive_data(b"data: x\ndata: y") == []
    assert decoder.receive_eof() == []
    assert held(decoder) == 0


def test_the_bound_is_that_of_limits_by_default() -> None:
    size = Limits().event_size
    fits, too_long = SSEDecoder(), SSEDecoder()
    assert fits.receive_data(b"x" * size) == []
    assert fits.error is None
    assert too_long.receive_data(b"x" * (size + 1)) == []
    assert too_long.error is not None


# --- the one departure, for Poe's `done`


def test_named_events_can_be_dispatched_without_data() -> None:
    stream = b"event: done\n\nevent: text\n\n\n: hm\n\nevent: done\ndata: {}\n\nevent: done\nid: 1\n\n"
    expected = [record("", "done"), record("{}", "done"), record("", "done", "1")]
    for parts in ways_to_cut(stream):
        assert decode(parts, SSEDecoder(dispatch_without_data=frozenset({"done"}))) == expected


# --- writing

line_text = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"))
names = line_text.filter(bool)


@given(names, st.text(), st.none() | line_text, st.none() | st.integers(0, 10**12), places)
def test_what_is_written_is_read_back(name: str, data: str, id: str | None, retry: int | None, cuts: list[int]) -> None:
    expected = [record(LINE_END.sub("\n", data), name, id or "", retry)]
    written = encode_sse(name, data, id=id, retry=retry)
    assert decode(cut_at(written, cuts)) == reference(written) == expected


@given(line_text)
def test_a_comment_is_read_as_nothing_and_disturbs_nothing(text: str) -> None:
    assert decode([encode_sse("a", "1"), encode_comment(text), encode_sse("b", "2")]) == [
        record("1", "a"),
        record("2", "b"),
    ]


def test_records_look_like_the_examples_of_the_standard() -> None:
    assert encode_sse("text", "a\r\nb\rc\nd", id="1", retry=10) == (
        b"event: text\nid: 1\nretry: 10\ndata: a\ndata: b\ndata: c\ndata: d\n\n"
    )
    assert encode_sse("message", "") == b"data: \n\n"
    assert encode_sse("text", "ö", id="") == b"event: text\nid: \ndata: \xc3\xb6\n\n"
    assert encode_comment() == b": \n\n"
    assert encode_comment("hm") == b": hm\n\n"


@pytest.mark.parametrize("bad", ["\n", "\r", "\0", "a\nb", "a\r\n", "x\0"])
def test_what_would_break_a_line_is_refused(bad: str) -> None:
    with pytest.raises(LocalProtocolError, match="event name"):
        encode_sse(bad, "x")
    with pytest.raises(LocalProtocolError, match="identifier"):
        encode_sse("text", "x", id=bad)
    with pytest.raises(LocalProtocolError, match="comment"):
        encode_comment(bad)


def test_an_empty_name_and_a_negative_retry_are_refused() -> None:
    with pytest.raises(LocalProtocolError, match="empty"):
        encode_sse("", "x")
    with pytest.raises(LocalProtocolError, match="retry"):
        encode_sse("text", "x", retry=-1)


def test_a_lone_surrogate_is_refused_because_utf_8_has_no_form_for_it() -> None:
    for write in (
        lambda: encode_sse("\ud83d", "x"),
        lambda: encode_sse("text", "\ud83d"),
        lambda: encode_sse("text", "x", id="\udc08"),
        lambda: encode_comment("\ud83d"),
    ):
        with pytest.raises(LocalProtocolError, match="surrogate"):
            write()
