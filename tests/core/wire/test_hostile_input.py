"""Whatever a peer sends, memory is bounded, and work is linear in the size."""

from __future__ import annotations

import gc
import json
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType
from typing import Any

import pytest

from poeproto import (
    BotExchange,
    IncompleteReply,
    Json,
    LimitExceeded,
    Limits,
    PoeExchange,
    RemoteProtocolError,
    RequestHead,
    ResponseHead,
    SSEDecoder,
    decode_event,
    decode_request,
    decode_settings,
)
from poeproto.flows import ToolCallAggregator
from poeproto.vocabulary.rate_limits import rate_limit, retry_after_seconds

from ...support.poe_exchanges import STREAM, asked

KIB = 1024
CAP = 256 * KIB


def memory_of(make: Callable[[], object]) -> int:
    """How many bytes the result keeps allocated."""
    kept = make()  # objects that are made once are not counted
    del kept
    gc.collect()
    tracemalloc.start()
    kept = make()
    gc.collect()
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    del kept
    return size


def work_of(call: Callable[[], object]) -> int:
    """How many calls are made meanwhile, C functions included: a measure that does not depend on the machine's load."""
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        call()
    finally:
        sys.setprofile(None)
    return calls


# --- one record


@pytest.mark.parametrize("line", [b"data:\n", b"data\n", b"data:a\n", b"data: ab\n"])
def test_a_record_of_many_lines_takes_no_more_memory_than_its_bound(line: bytes) -> None:
    def filled() -> SSEDecoder:
        decoder = SSEDecoder(max_event_size=CAP)
        for _ in range(CAP // len(line)):
            assert decoder.receive_data(line) == []
        assert decoder.error is None
        return decoder

    assert memory_of(filled) < CAP * 1.25


@pytest.mark.parametrize(
    "line", [b"data:\n", b"data: ab\n", b": ab\n", b"unknown: ab\n", b"id: ab\n", b"event: ab\n", b"retry: 5\n", b"ab"]
)
def test_a_million_lines_without_a_blank_one_fail_at_the_bound(line: bytes) -> None:
    decoder = SSEDecoder(max_event_size=CAP)
    taken = 0
    while decoder.error is None:
        assert decoder.receive_data(line * 100) == []
        taken += len(line) * 100
    assert taken <= CAP + len(line) * 100
    assert isinstance(decoder.error, LimitExceeded)
    for _ in range(100):
        with pytest.raises(LimitExceeded):
            decoder.receive_data(line)


@pytest.mark.parametrize("piece", [b"data:\n", b": beat\n\n", b"x"])
@pytest.mark.parametrize("step", [1, 7, 10**6])
def test_the_work_of_a_stream_grows_as_its_size(piece: bytes, step: int) -> None:
    def work(size: int) -> int:
        stream = b"data: " + piece * size + b"\n\n"
        decoder = SSEDecoder()
        return work_of(lambda: [decoder.receive_data(stream[at : at + step]) for at in range(0, len(stream), step)])

    assert work(4000) <= work(500) * 8 * 1.05


# --- one reply

# Values that are large in memory and small on the wire.
FLOODS: dict[str, Callable[[int], bytes]] = {
    "texts": lambda i: b'event: text\ndata: {"text":"a"}\n\n',
    "texts that are spaced otherwise": lambda i: b'event: text\ndata: {"text": "ab" }\n\n',
    "texts, each of an index of its own": lambda i: b'event: text\ndata: {"text":"","index":%d}\n\n' % i,
    "halves of characters": lambda i: b'event: text\ndata: {"text":"\\ud83d","index":%d}\n\n' % i,
    "replacements": lambda i: b'event: replace_response\ndata: {"text":"","index":%d}\n\n' % i,
    "files": lambda i: b'event: file\ndata: {"url":"","name":"","content_type":"","index":%d}\n\n' % i,
    "suggestions": lambda i: b'event: suggested_reply\ndata: {"text":"","index":%d}\n\n' % i,
    "data": lambda i: b'event: data\ndata: {"metadata":"","index":%d}\n\n' % i,
    "empty objects in json": lambda i: b'event: json\ndata: {"a":[' + b"{}," * 300 + b"{}]}\n\n",
    "numbers in json": lambda i: b'event: json\ndata: {"a":[' + b"999," * 300 + b"0]}\n\n",
    "strings in json": lambda i: b'event: json\ndata: {"a":[' + b'"ab",' * 300 + b"0]}\n\n",
    "keys in json": lambda i: b'event: json\ndata: {"a":[' + b'{"a":0},' * 300 + b"0]}\n\n",
    "unknown keys": lambda i: (
        b'event: file\ndata: {"url":"","name":"","content_type":"","a":[' + b"{}," * 99 + b"0]}\n\n"
    ),
}
NEVER_KEPT: dict[str, Callable[[int], bytes]] = {
    "comments": lambda i: b": beat\n\n",
    "pings": lambda i: b"event: ping\ndata: {}\n\n",
    "unknown events": lambda i: b"event: later\ndata: {}\n\n",
    "blank lines": lambda i: b"\n\n",
    "late metas": lambda i: b"event: meta\ndata: {}\n\n",
    "identifiers": lambda i: b"id: %d\n\n" % i,
}


def flooded(flood: Callable[[int], bytes], records: int) -> PoeExchange:
    exchange = asked(head=STREAM, limits=Limits(answer_size=CAP))
    for start in range(0, records, 50):
        if exchange.error is None:
            exchange.receive_data(b"".join(flood(start + number) for number in range(50)))
    return exchange


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_a_reply_without_an_end_takes_no_more_memory_than_its_bound(flood: Callable[[int], bytes]) -> None:
    error = flooded(flood, 10_000).error
    assert isinstance(error, LimitExceeded)
    assert error.limit == "answer_size"
    assert memory_of(lambda: flooded(flood, 10_000)) < CAP * 2


@pytest.mark.parametrize("flood", NEVER_KEPT.values(), ids=NEVER_KEPT)
def test_ignored_data_is_not_kept(flood: Callable[[int], bytes]) -> None:
    assert flooded(flood, 10_000).error is None
    assert memory_of(lambda: flooded(flood, 10_000)) < 16 * KIB


def test_a_reply_as_long_as_poe_allows_is_far_from_the_bound() -> None:
    choice = b'{"index":0,"delta":{"role":"assistant","content":"%b"},"finish_reason":null}'
    chunk = (
        b'event: json\ndata: {"id":"x","object":"chunk","created":1700000000,"model":"m","choices":[%b]}\n\n' % choice
    )
    exchange = asked(head=STREAM)
    for _ in range(100):
        exchange.receive_data(chunk % (b"a, b, " * 8) * 100)
    assert exchange.error is None
    assert exchange._kept < Limits().answer_size / 2


class Collisions:
    """Integers that share one hash."""

    def __iter__(self) -> Iterator[int]:
        return (number * sys.hash_info.modulus for number in range(2000))


@pytest.mark.parametrize("event", ["text", "replace_response", "file", "json", "data", "suggested_reply"])
def test_a_peer_cannot_choose_indexes_that_share_a_hash(event: str) -> None:
    wire = {"text": "", "url": "", "name": "", "content_type": "", "metadata": ""}
    indexes = {decode_event(event, json.dumps({**wire, "index": index})).index for index in Collisions()}
    assert indexes == {0, None}


# --- numbers and nesting


@pytest.mark.parametrize("read", [decode_request, decode_settings, partial(decode_event, "json")])
@pytest.mark.parametrize(
    "value",
    [b"9" * 10_000, b"-" + b"9" * 10_000, b"1e999", b"-1e999", b"1e" + b"9" * 10_000, b"[" * 10_000, b'{"a":' * 10_000],
    ids=["digits", "negative", "float", "negative float", "exponent", "arrays", "objects"],
)
@pytest.mark.parametrize("beside", [b"", b'"b":"\\ud83d",'], ids=["", "a lone surrogate"])
def test_numbers_and_nesting_without_end_are_refused(
    read: Callable[[bytes], object], value: bytes, beside: bytes
) -> None:
    with pytest.raises(RemoteProtocolError):
        read(b'{"type":"query","query":[],%b"a":%b}' % (beside, value))


@pytest.mark.parametrize("value", ["9" * 10_000, "9" * 10_000 + "h", "1e999", "inf", "-1", "٣", "1" * 16])
def test_an_infinite_retry_after_is_ignored(value: str) -> None:
    head = ResponseHead(429, [("retry-after", value.encode()), ("x-ratelimit-reset", value.encode())])
    assert retry_after_seconds(head) is None
    limit = rate_limit(head)
    assert limit is not None
    assert limit.reset_seconds is None


def test_many_equal_keys_are_one() -> None:
    body = b'{"type":"query","query":[],' + b'"a":[{},{}],' * 100_000 + b'"b":0}'
    assert decode_request(body).extra == {"a": [{}, {}], "b": 0}


# --- tool calls


def chunk(**delta: Any) -> Json:
    return Json({"choices": [{"delta": {"tool_calls": [delta]}}]})


def test_pieces_of_tool_calls_take_no_more_than_their_bounds() -> None:
    aggregator = ToolCallAggregator(Limits(tool_calls=50, answer_size=1000))
    for number in range(50):
        aggregator.add(chunk(index=10**15 + number, function={"name": "f", "arguments": "{}"}))
    with pytest.raises(LimitExceeded) as caught:
        aggregator.add(chunk(index=-(10**15), function={"arguments": "{}"}))
    assert caught.value.limit == "tool_calls"
    with pytest.raises(LimitExceeded) as caught:
        aggregator.add(chunk(index=10**15, function={"arguments": "x" * 1000}))
    assert caught.value.limit == "answer_size"
    assert [call.function and call.function.arguments for call in aggregator.calls] == ["{}"] * 50


@pytest.mark.parametrize("index", [2**53, -(2**53), sys.hash_info.modulus, 10**4000])
def test_a_peer_cannot_choose_tool_calls_that_share_a_hash(index: int) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        ToolCallAggregator().add(chunk(index=index, id="c"))
    assert caught.value.path == "choices[0].delta.tool_calls[0].index"


def test_the_work_of_tool_calls_grows_as_their_pieces() -> None:
    def work(pieces: int) -> int:
        aggregator = ToolCallAggregator()
        chunks = [chunk(index=number % 7, id=f"c{number}", function={"arguments": "x"}) for number in range(pieces)]
        return work_of(lambda: [*map(aggregator.add, chunks), aggregator.calls])

    assert work(2000) <= work(250) * 8 * 1.05


# --- messages


def test_a_refusal_does_not_repeat_long_input() -> None:
    exchange = BotExchange(None)
    with pytest.raises(RemoteProtocolError) as caught:
        exchange.receive_head(RequestHead("X" * 100_000, "/"))
    assert caught.value.response is not None
    assert len(caught.value.response.body) < 200
    assert len(str(caught.value)) < 200


def test_an_empty_stream_ends_as_an_incomplete_one() -> None:
    exchange = asked(head=STREAM)
    for _ in range(10_000):
        assert exchange.receive_data(b"") == []
    with pytest.raises(IncompleteReply):
        exchange.receive_eof()
