from __future__ import annotations

import re
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poeproto import LimitExceeded, Limits, LocalProtocolError, ServerSentEvent, SSEDecoder, encode_sse
from poeproto.testing import bytewise, cut_at, two_way_splits
from poeproto.wire.sse import RecordBuffer, encode_comment

from ...support.naive_sse import LINE_END, bounded_reference, reference
from ...support.vectors import Case, cases, name_of, wire_of

BOM = b"\xef\xbb\xbf"


def record(data: str, event: str = "message", id: str = "", retry: int | None = None) -> ServerSentEvent:
    return ServerSentEvent(event, data, id, retry)


def decode(parts: Iterable[bytes], decoder: SSEDecoder | None = None) -> list[ServerSentEvent]:
    decoder = decoder or SSEDecoder()
    events = [event for part in parts for event in decoder.receive_data(part)]
    assert decoder.error is None
    return events + decoder.receive_eof()


# --- the rules of the standard are in tests/vectors/sse.json; here is what data cannot express


@pytest.mark.parametrize(("digits", "retry"), [(640, int("9" * 640)), (641, 5), (5000, 5)])
def test_retry_is_bounded_by_the_digits_that_every_python_converts(digits: int, retry: int) -> None:
    stream = b"retry:5\nretry: " + b"9" * digits + b"\ndata:x\n\n"
    for parts in ([stream], bytewise(stream)):
        assert decode(parts) == [record("x", retry=retry)]


def test_a_lone_cr_ends_a_line_at_once() -> None:
    decoder = SSEDecoder()
    assert decoder.receive_data(b"data: x\r\r") == [record("x")]
    assert decoder.receive_data(b"data: y\r") == []
    assert decoder.receive_data(b"\r") == [record("y")]
    # The LF belongs to the line end that was already processed, and is not another line.
    assert decoder.receive_data(b"\n") == []
    assert decoder.receive_data(b"data: z\r") == []
    assert decoder.receive_data(b"\n") == []
    assert decoder.receive_data(b"\n") == [record("z")]


def test_an_empty_part_changes_nothing() -> None:
    decoder = SSEDecoder()
    assert decode([b"data: x\r", b"", b"\n", b"", b"\r", b"", b"\n"], decoder) == [record("x")]


def test_an_event_is_returned_by_the_call_that_completes_it() -> None:
    decoder = SSEDecoder()
    assert decoder.receive_data(b"data: 1\n\ndata: 2\n\nda") == [record("1"), record("2")]
    assert decoder.receive_data(b"ta: 3\n") == []
    assert decoder.receive_data(b"\n") == [record("3")]


# --- the buffer that cuts between records


def test_complete_records_are_returned_with_line_feeds() -> None:
    buffer = RecordBuffer()
    for data, complete, unfinished in [
        (b"data: x\r\n\r\n", b"data: x\n\n", b""),
        (b"", b"", b""),
        (b"data: y\r", b"", b"data: y\n"),
        (b"", b"", b"data: y\n"),
        (b"\n", b"", b"data: y\n"),
        (b"\r", b"data: y\n\n", b""),
        (b"\ndata: 1\r\rdata: 2\n\nda", b"data: 1\n\ndata: 2\n\n", b"da"),
        (b"ta: 3\n\n\n", b"data: 3\n\n\n", b""),
        (b"\n", b"\n", b""),
        (b"\r", b"\n", b""),
        (b"\n\nd", b"\n", b"d"),
        (b"\n", b"", b"d\n"),
        (b"\nx", b"d\n\n", b"x"),
        (b": 1\n\ndata: 2\r\n\r\nda", b"x: 1\n\ndata: 2\n\n", b"da"),
    ]:
        assert (buffer.receive_data(data), buffer.unfinished) == (complete, unfinished)


# --- against the naive decoder


@pytest.mark.parametrize(
    "case", [case for case in cases("sse.json") if "dispatch_without_data" not in case], ids=name_of
)
def test_the_naive_decoder_agrees_with_the_vectors(case: Case) -> None:
    assert [(each.event, each.data, each.id, each.retry) for each in reference(wire_of(case))] == [
        (each.get("event", "message"), each["data"], each.get("id", ""), each.get("retry")) for each in case["records"]
    ]


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
def test_any_bytes_cut_anywhere_are_parsed_by_the_standard(stream: bytes, cuts: list[int]) -> None:
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
    size = len(body.replace(b"\r\n", b"\n"))  # a line end counts as one byte, since a cut may fall between CR and LF
    stream = b"event: good\ndata: 1\n\n" + body
    good = [record("1", "good")]
    for parts in ([stream], bytewise(stream), *two_way_splits(stream)):
        assert outcome(parts, size) == (good, False)
        assert outcome(parts, size - 1) == (good, True)


def test_a_blank_line_starts_the_count_again() -> None:
    stream = b"data: 1234\n\n" * 50 + b":\n\n" * 50
    assert outcome([stream], 11) == ([record("1234")] * 50, False)
    assert outcome(bytewise(stream), 11) == ([record("1234")] * 50, False)


@settings(max_examples=300)
@given(streams, places, st.integers(1, 40))
def test_the_bound_is_the_same_for_every_cut(stream: bytes, cuts: list[int], max_event_size: int) -> None:
    expected = bounded_reference(stream, max_event_size)
    for parts in ([stream], bytewise(stream), cut_at(stream, cuts)):
        assert outcome(parts, max_event_size) == expected


def test_the_failing_call_returns_the_events_before_the_fault_and_the_error_is_kept() -> None:
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
    return len(decoder._unfinished_line) + len(decoder._data or b"")


@pytest.mark.parametrize(
    "line", [b"data:\n", b"data: xxxx\n", b"data\r\n", b"data: xxxx", b": hello\n", b"x: y\n", b"event: a\n"]
)
def test_memory_does_not_grow_without_a_blank_line(line: bytes) -> None:
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


def test_the_end_of_the_stream_drops_an_unfinished_event() -> None:
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


# --- writing

line_text = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"))
names = line_text.filter(bool)


@given(names, st.text(), st.none() | line_text, st.none() | st.integers(0, 10**12), places)
def test_encoded_values_are_decoded_unchanged(
    name: str, data: str, id: str | None, retry: int | None, cuts: list[int]
) -> None:
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
def test_a_value_that_would_break_a_line_is_refused(bad: str) -> None:
    shown = re.escape(repr(bad))
    with pytest.raises(LocalProtocolError, match=f"^the event name {shown}"):
        encode_sse(bad, "x")
    with pytest.raises(LocalProtocolError, match=f"^the identifier {shown}"):
        encode_sse("text", "x", id=bad)
    with pytest.raises(LocalProtocolError, match=f"^the comment {shown}"):
        encode_comment(bad)


def test_an_empty_name_and_a_negative_retry_are_refused() -> None:
    with pytest.raises(LocalProtocolError, match=r"name is empty$"):
        encode_sse("", "x")
    with pytest.raises(LocalProtocolError, match=r"^retry must be .* got -1$"):
        encode_sse("text", "x", retry=-1)
    assert encode_sse("text", "x", retry=0) == b"event: text\nretry: 0\ndata: x\n\n"


def test_a_lone_surrogate_is_refused_because_utf_8_has_no_form_for_it() -> None:
    for write in (
        lambda: encode_sse("\ud83d", "x"),
        lambda: encode_sse("text", "\ud83d"),
        lambda: encode_sse("text", "x", id="\udc08"),
        lambda: encode_comment("\ud83d"),
    ):
        with pytest.raises(LocalProtocolError, match="contains a lone surrogate") as caught:
            write()
        assert isinstance(caught.value.__cause__, UnicodeEncodeError)
