"""Fast path for runs of text events: every rule holds as it does record by record."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poeproto import (
    Event,
    Limits,
    PoeExchange,
    PoeprotoError,
    RemoteProtocolError,
    ResponseHead,
    Text,
    encode_event,
)
from poeproto.testing import bytewise, cut_at
from poeproto.wire.json import load_texts, loads
from poeproto.wire.sse_fast_path import TEXT_RECORD_OVERHEAD, find_run, payload_of_text, start_of_next_run

from ...support.poe_exchanges import RecordByRecord, opened
from ...support.vectors import Case, cases, name_of, wire_of

STREAM = ResponseHead(200, [("content-type", "text/event-stream")])
RECORD = b'event: text\ndata: {"text":"a"}\n\n'
DONE = b"event: done\ndata: {}\n\n"


class PathRecorder(PoeExchange):
    """Records the bytes that take the general path."""

    def __init__(self, limits: Limits | None = None) -> None:
        super().__init__(limits=limits)
        self.general_path: list[bytes] = []

    def _receive_records(self, data: bytes, events: list[Event]) -> None:
        self.general_path.append(data)
        super()._receive_records(data, events)


def outcome(exchange: PoeExchange, parts: Iterable[bytes]) -> tuple[Any, ...]:
    """Everything observable about an exchange after these parts and the end, and its count."""
    opened(exchange)
    events: list[Event] = []
    with contextlib.suppress(PoeprotoError):
        for part in parts:
            events += exchange.receive_data(part)
        events += exchange.receive_eof()
        exchange.receive_eof()
    error: Any = exchange.error
    return (
        events,
        type(error),
        str(error),
        getattr(error, "path", None),
        exchange.their_state,
        exchange.fold.texts,
        exchange.fold.ending,
        exchange._kept,
        exchange._kept_text,
        exchange._events,
    )


@pytest.mark.parametrize("case", [*cases("replies.json"), *cases("limits_reading.json")], ids=name_of)
def test_every_vector_is_read_as_record_by_record(case: Case) -> None:
    limits = Limits(**case.get("limits", {}))
    wire = wire_of(case)
    assert outcome(PoeExchange(limits=limits), [wire]) == outcome(RecordByRecord(limits=limits), [wire])
    stream = RECORD * 2 + wire + RECORD * 2  # with a text before it, runs are taken from the start
    for other_stream in (stream, stream.replace(b"\n", b"\r\n"), stream.replace(b"\n", b"\r")):
        for size in (len(stream), 1, 7, len(RECORD) - 1, len(RECORD), 100):
            parts = [other_stream[place : place + size] for place in range(0, len(other_stream), size)]
            assert outcome(PoeExchange(limits=limits), parts) == outcome(RecordByRecord(limits=limits), parts), parts


PIECES = [
    *[RECORD, b'event: text\ndata: {"text":"\\"b\\\\"}\n\n', 'event: text\ndata: { "text" : "é🐈" } \n\n'.encode()] * 3,
    *(b'event: text\ndata: {"text":"a","index":%b}\n\n' % index for index in (b"null", b"0", b"1", b'"x"', b"true")),
    b'event: text\ndata: {"text":"a","new":{"text":"b"}}\n\n',
    b'event: text\ndata: {"text":"a","text":"b"}\n\n',
    b'event: text\ndata: {"text":"a","extra":{}}\n\n',
    b'event: text\ndata: {"text":"\\ud83d"}\n\n',
    b'event: text\ndata: {"text":"\\udc08"}\n\n',
    b'event: text\ndata: {"text":"\\ud83d\\udc08"}\n\n',
    b'event: text\ndata: {"text":"\xff\xc3"}\n\n',
    b'event: text\ndata: {"text":\ndata: "a"}\n\n',
    b'event: text\r\ndata: {"text":"a"}\r\n\r\n',
    b'event: text\ndata: {"text":"a"}\r\n\n',
    b'event:text\ndata:{"text":"a"}\n\n',
    b'event: text\nid: 1\ndata: {"text":"a"}\n\n',
    b'id: 1\nevent: text\ndata: {"text":"a"}\nretry: 5\n\n',
    b'id: \xff\0\r\nevent: text\r\n: c\r\ndata:  {"text": "a"}\r\nretry: x\r\n\r\n',
    b'event: text\rdata: {"text":\t"\\ud83d\\udc08"}\r\r',
    b'data:{"text":"a"}\r\nevent:text\r\n\r\n',
    b": ping - 2026-11-29 03:00:00+00:00\r\n\r\n",
    b"id: 7\nretry: 5\n\n",
    b'event:  text\ndata: {"text":"a"}\n\n',
    b'event: text\nevent: text\ndata: {"text":"a"}\n\n',
    b'data: {"text":"a"}\ndata: \nevent: text\n\n',
    b'data: {"text":"a"}\nevent: text\n\n',
    b'event: replace_response\ndata: {"text":"r"}\n\n',
    b'event: suggested_reply\ndata: {"text":"s"}\n\n',
    b"event: ping\ndata: x\n\n",
    b"event: later\ndata: x\n\n",
    b"event: meta\ndata: {}\n\n",
    *(b": \n\n", b"\n", b"\r", b"\xef\xbb\xbf", b"event: text\n", b"event: text\n\n", b"e", b"data: "),
]
FAULTS = [
    *(b"event: text\ndata: %b\n\n" % payload for payload in (b"", b" ", b"{", b"}", b"[]", b'"a"', b'{"text":5}')),
    *(b"event: text\ndata: %b\n\n" % payload for payload in (b'{"text":"a"}{"text":"b"}', b'{"text":', b'"a"}', b"\0")),
    *(DONE, b"event: error\ndata: {}\n\n"),
]
pieces = st.lists(st.sampled_from(PIECES), max_size=30)
streams = st.tuples(pieces, st.lists(st.sampled_from(FAULTS + PIECES), max_size=3)).map(
    lambda both: RECORD + b"".join(both[0]) + b"".join(both[1])
)
places = st.lists(st.integers(0, 1500), max_size=10)
limits = st.builds(
    Limits,
    event_size=st.sampled_from([30, 33, 45, 10_000]),
    answer_size=st.sampled_from([76, 152, 500, 1000, 10_000]),
)


@settings(max_examples=300)
@given(streams, places, limits)
def test_any_stream_cut_anywhere_is_read_as_record_by_record(stream: bytes, cuts: list[int], limits: Limits) -> None:
    expected = outcome(RecordByRecord(limits=limits), [stream])
    for parts in ([stream], bytewise(stream), cut_at(stream, cuts)):
        assert outcome(PoeExchange(limits=limits), parts) == expected
        assert outcome(RecordByRecord(limits=limits), parts) == expected


@given(st.lists(st.text(st.characters(codec="utf-8"))), places)
def test_texts_are_read_in_runs_wherever_they_are_cut(texts: list[str], cuts: list[int]) -> None:
    stream = b"".join(encode_event(Text(text)) for text in texts)
    exchange = opened(PathRecorder())
    exchange.receive_data(RECORD)
    events = [event for part in cut_at(stream, cuts) if part for event in exchange.receive_data(part)]
    assert events == [Text(text) for text in texts]
    assert exchange.fold.text == "a" + "".join(texts)


def test_only_unusual_records_take_the_general_path() -> None:
    exchange = opened(PathRecorder())
    assert isinstance(exchange, PathRecorder)
    odd = b'event: text\ndata: {"text":"a","new":1}\n\n'
    ping = b": \n\n"
    assert len(exchange.receive_data(RECORD * 50)) == 50
    assert exchange.general_path == [RECORD]
    assert len(exchange.receive_data(RECORD * 50 + RECORD[:20])) == 50
    assert len(exchange.receive_data(RECORD[20:] + RECORD * 50)) == 51
    assert len(exchange.receive_data(RECORD * 9 + ping + RECORD * 9 + ping)) == 18
    assert exchange.general_path == [RECORD]
    assert len(exchange.receive_data(RECORD * 2 + odd + RECORD * 2 + DONE)) == 6
    assert exchange.general_path == [RECORD, odd, DONE]


# The bytes that sse-starlette makes of `fastapi_poe.PoeBot.text_event`, with and without its other fields; then those
# of other servers.
DIALECTS = [
    b'event: text\r\ndata: {"text": "a"}\r\n\r\n',
    b'event: text\r\ndata: {"text": "\\u00e9\\ud83d\\udc08\\n"}\r\n\r\n',
    b'id: 1\r\nevent: text\r\ndata: {"text": "a"}\r\nretry: 1000\r\n\r\n',
    b': comment\r\nevent: text\r\ndata: {"text": "a"}\r\n\r\n',
    b': ping - 2026-11-29 03:00:00.123456+00:00\r\n\r\nevent: text\r\ndata: {"text": "a"}\r\n\r\n',
    b'event: text\rdata: {"text": "a"}\r\r',
    b'event:text\ndata:{"text":"a"}\n\n',
    b'data: {"text":"a"}\nevent: text\n\n',
    b'event: text\ndata: {"text":"a","index":null}\n\n',
]


@pytest.mark.parametrize("record", DIALECTS)
@pytest.mark.parametrize("size", [1, 7, 50, 4096])
def test_the_dialects_of_others_take_the_fast_path(record: bytes, size: int) -> None:
    exchange = opened(PathRecorder())
    assert isinstance(exchange, PathRecorder)
    exchange.receive_data(RECORD)
    stream = record * 60
    for place in range(0, len(stream), size):
        exchange.receive_data(stream[place : place + size])
    expected = "é🐈\n" if b"ud83d" in record else "a"
    assert exchange.fold.text == "a" + expected * 60
    assert exchange.general_path == [RECORD]


def test_a_text_with_an_index_takes_the_fast_path_where_it_is_alone() -> None:
    exchange = opened(PathRecorder())
    assert isinstance(exchange, PathRecorder)
    exchange.receive_data(RECORD)
    indexed = b'event: text\ndata: {"text":"b","index":%d}\n\n'
    assert exchange.receive_data(indexed % 1) == [Text("b", 1)]
    assert exchange.receive_data(RECORD + indexed % 1 + indexed % 2) == [Text("a"), Text("b", 1), Text("b", 2)]
    assert exchange.fold.texts == {None: "aa", 1: "bb", 2: "b"}
    assert exchange.general_path == [RECORD]
    assert exchange.receive_data(indexed % 2**53) == [Text("b", extra={"index": 2**53})]
    assert exchange.general_path == [RECORD, indexed % 2**53]


def test_an_unfinished_record_is_kept_within_the_bound() -> None:
    exchange = opened(PathRecorder(Limits(event_size=len(RECORD) + 10)))
    assert isinstance(exchange, PathRecorder)
    exchange.receive_data(RECORD)
    assert exchange.receive_data(RECORD + RECORD[:25]) == [Text("a")]
    assert exchange.receive_data(b"") == []
    assert exchange.receive_data(RECORD[25:] + RECORD + b"data: " + b"x" * (len(RECORD) + 4)) == [Text("a")] * 2
    assert exchange.general_path == [RECORD]
    assert exchange.error is None
    assert exchange.receive_data(b"x") == []
    assert exchange.error is not None


# --- the parts


def test_where_runs_begin_and_end() -> None:
    payload = b'{"text":"a"}'
    assert find_run(RECORD, 0) == (len(RECORD), payload)
    three = (len(RECORD) * 3, b"\n".join([payload] * 3))
    assert find_run(RECORD * 3, 0) == find_run(RECORD * 3 + RECORD[:-1], 0) == find_run(RECORD * 3 + DONE, 0) == three
    assert find_run(b"x" + RECORD, 1) == (len(RECORD) + 1, payload)
    for data in (b"", RECORD[:-1], b"x" + RECORD, RECORD.replace(b"}\n", b"}\ndata: x\n"), DONE, b"event: text\n\n"):
        assert find_run(data, 0) is None
    long = b'{"text":"' + b"x" * 200 + b'"}'
    stream = RECORD.replace(payload, long) + RECORD
    assert find_run(stream * 2 + DONE, 0) == (len(stream) * 2, b"\n".join([long, payload] * 2))


def test_other_spellings_are_runs_too() -> None:
    payload = b'{"text":"a"}'
    other = b'id: 1\n:\ndata:{"text":"a"}\nevent:text\n\n\n: ping\n\nretry: 5\n\n'
    assert find_run(other * 2 + RECORD + DONE, 0) == (len(other * 2 + RECORD), b"\n".join([payload] * 3))
    assert find_run(b"event: text\ndata:\n\n", 0) == (19, b"")
    assert find_run(b"\n: ping\n\n", 0) == (9, None)


def test_where_the_next_run_may_begin() -> None:
    assert start_of_next_run(DONE + RECORD, 0) == len(DONE)
    assert start_of_next_run(RECORD + DONE, 0) == len(RECORD + DONE)
    assert start_of_next_run(RECORD + RECORD, 0) == len(RECORD)
    assert start_of_next_run(b"\n\n" + RECORD, 0) == 2
    assert start_of_next_run(RECORD * 2, len(RECORD)) == len(RECORD * 2)
    for start in (b"event:text\n", b"data:", b"id: 1\n", b"retry: 5\n", b":\n"):
        assert start_of_next_run(DONE + DONE + start, 0) == len(DONE + DONE)


def test_the_payload_of_one_text() -> None:
    assert payload_of_text(RECORD) == b'{"text":"a"}'
    assert len(RECORD) == TEXT_RECORD_OVERHEAD + len(b'{"text":"a"}')
    for data in (RECORD * 2, DONE, RECORD.replace(b": ", b":"), b"\n" + RECORD, RECORD.replace(b'"a"', b'\n"a"')):
        assert payload_of_text(data) is None


LINES = [
    *(b'{"text":"a"}', b'{"text":""}', '{"text":"é"}'.encode(), b'{"text":"}\\u00e9\\n{"}', b'{ "text" : "a" }'),
    *(
        b'{"text":"a","index":1}',
        b'{"text":"a","text":"b"}',
        b'{"text":"\\ud83d"}',
        b'{"text":"\xff"}',
        b'{"text":null}',
    ),
    *(b"", b" ", b"{", b"}", b'{"text":', b'"a"}', b'{"text"', b':"a"}', b"[", b"]", b",", b'{"text":"a"}{"text":"b"}'),
    *(
        b' {"text":"a"} ',
        b'{"text":"a"} {"text":"b"}',
        b'{"text":"a"},{"text":"b"}',
        b"\t",
        b"\x0b",
        b"\x85",
        b"\xef\xbb\xbf",
        b"null",
    ),
]


@settings(max_examples=1000)
@given(st.lists(st.sampled_from(LINES), min_size=1, max_size=6) | st.lists(st.sampled_from(LINES[:5]), min_size=1))
def test_lines_are_read_at_once_as_one_by_one(lines: list[bytes]) -> None:
    one_by_one: list[str] | None = []
    for line in lines:
        try:
            value = loads(line)
        except RemoteProtocolError:
            value = {}
        if one_by_one is not None and value.keys() == {"text"} and isinstance(value["text"], str):
            one_by_one.append(value["text"])
        else:
            one_by_one = None
    at_once = load_texts(b"\n".join(lines))
    assert at_once is None or at_once == one_by_one
    long = b" " * 2000  # so that the lines are long on average
    assert load_texts(b"\n".join([RECORD[18:-3] + long + b"}", *lines])) in (None, one_by_one and ["a", *one_by_one])
    if all(line in LINES[:5] for line in lines):
        assert at_once == one_by_one
