"""The stream of a reply: what is delivered, what is a fault, and the limits."""

from __future__ import annotations

import bisect
import contextlib
import re
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poeproto import (
    Done,
    Error,
    Event,
    File,
    IncompleteReply,
    Json,
    LimitExceeded,
    Limits,
    Meta,
    QueryRequest,
    RemoteProtocolError,
    ReplaceResponse,
    Text,
    UnknownEvent,
    encode_event,
)
from poeproto.exchange.poe_exchange import PoeExchange, UnfoldedPoeExchange
from poeproto.testing import cut_at, sample_reply

from ...support.poe_exchanges import BAD, DONE, HELLO, META, REPLY, STREAM, asked, outcome, same_however_cut


@pytest.mark.parametrize("body", [REPLY, HELLO * 3 + BAD, HELLO])
def test_without_a_fold_the_events_and_the_error_are_the_same(body: bytes) -> None:
    seen: list[tuple[list[Event], str]] = []
    for cls in (UnfoldedPoeExchange, PoeExchange):
        exchange = cls()
        exchange.send(QueryRequest([]), "https://bot.invalid/")
        exchange.receive_head(STREAM)
        events = exchange.receive_data(body)
        with contextlib.suppress(IncompleteReply):
            events += exchange.receive_eof() if exchange.error is None else []
        seen.append((events, repr(exchange.error)))
        if exchange.error is not None:
            assert exchange.error.partial is getattr(exchange, "fold", None)
    assert seen[0] == seen[1]


def test_a_reply_is_read_the_same_however_it_is_cut() -> None:
    assert same_however_cut(lambda: asked(head=STREAM), REPLY) == (sample_reply(), None)


@given(st.lists(st.integers(0, len(REPLY)), max_size=20))
def test_a_reply_is_read_the_same_at_random_cuts(places: list[int]) -> None:
    assert outcome(asked(head=STREAM), cut_at(REPLY, places)) == (sample_reply(), None)


def test_each_event_is_returned_with_its_last_byte() -> None:
    exchange = asked(head=STREAM)
    assert exchange.receive_data(HELLO[:-1]) == []
    assert exchange.receive_data(HELLO[-1:]) == [Text("hello")]


@pytest.mark.parametrize(
    "bad",
    [
        BAD,
        b"event: text\ndata: {}\n\n",
        b"event: text\ndata: [not JSON\n\n",
        b"event: text\ndata: []\n\n",
        b"event: json\ndata: 3\n\n",
        b"event: file\ndata: {}\n\n",
        b"event: error\ndata: oops\n\n",
    ],
)
def test_events_before_an_invalid_one_are_delivered(bad: bytes) -> None:
    events, error = same_however_cut(lambda: asked(head=STREAM), HELLO + bad + HELLO + DONE)
    assert events == [Text("hello")]
    assert type(error) is RemoteProtocolError
    assert error.partial is not None
    assert error.partial.text == "hello"


def test_the_call_that_meets_a_bad_event_returns_the_good_ones_and_sets_the_error() -> None:
    exchange = asked(head=STREAM)
    assert exchange.receive_data(HELLO + BAD) == [Text("hello")]
    assert isinstance(exchange.error, RemoteProtocolError)
    assert exchange.error.path == "text"


def test_an_unknown_event_is_delivered_as_it_came() -> None:
    body = b"event: future\ndata: not\ndata: JSON\n\n" + HELLO + DONE
    events, _ = same_however_cut(lambda: asked(head=STREAM), body)
    assert events == [UnknownEvent("future", "not\nJSON"), Text("hello"), Done()]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b": comment\n\nevent: ping\ndata: [not JSON\n\n" + META + DONE, [Meta(), Done()]),
        (HELLO + META + b"event: meta\ndata: [not JSON\n\n" + DONE, [Text("hello"), Done()]),
        (HELLO + b"event: done\n\n", [Text("hello"), Done()]),
        (HELLO + b"event: done\ndata: [DONE]\n\n", [Text("hello"), Done()]),
    ],
    ids=["comment and ping", "late meta", "done without data", "done with other data"],
)
def test_deviations_that_a_reader_must_tolerate(body: bytes, expected: list[Event]) -> None:
    assert same_however_cut(lambda: asked(head=STREAM), body) == (expected, None)


def test_a_done_without_an_answer_is_delivered_and_shows_in_the_fold() -> None:
    exchange = asked(head=STREAM)
    assert outcome(exchange, [META + DONE]) == ([Meta(), Done()], None)
    with pytest.raises(IncompleteReply):
        exchange.fold.final_text()


@pytest.mark.parametrize("body", [b"", b": comment\n\n", HELLO, HELLO + DONE[:-1], b"event: future\ndata: x\n\n"])
def test_a_stream_without_an_end_is_an_incomplete_reply(body: bytes) -> None:
    _, error = same_however_cut(lambda: asked(head=STREAM), body)
    assert isinstance(error, IncompleteReply)
    assert "without done or error" in str(error)
    assert error.partial is not None
    assert error.partial.text == ("hello" if HELLO in body else "")


def test_an_error_event_ends_the_reply_without_an_exception() -> None:
    failure = Error(allow_retry=False, text="no", index=3)
    body = HELLO + encode_event(failure) + HELLO + DONE
    assert same_however_cut(lambda: asked(head=STREAM), body) == ([Text("hello"), failure], None)


@pytest.mark.parametrize("end", [DONE, encode_event(Error())])
@pytest.mark.parametrize("rest", [BAD, HELLO * 20, b"x" * 400, b"event: done\ndata: " + b"x" * 200])
def test_data_after_the_end_is_ignored_and_exceeds_no_limit(end: bytes, rest: bytes) -> None:
    limits = Limits(event_size=60, answer_size=200)
    events, error = same_however_cut(lambda: asked(head=STREAM, limits=limits), HELLO + end + rest)
    assert len(events) == 2
    assert error is None


# --- the limits


def size_kept(*events: Event) -> int:
    """The smallest `answer_size` with which these events are accepted."""
    body = b"".join(map(encode_event, events))

    def is_read(size: int) -> bool:
        exchange = asked(head=STREAM, limits=Limits(answer_size=size))
        exchange.receive_data(body)
        return exchange.error is None

    sizes = range(1, 10_000)
    return sizes[bisect.bisect(sizes, False, key=is_read)]


# A little more than its payload, whatever that is exactly: no test depends on it.
KEPT_OF_HELLO = size_kept(Text("hello"))


@pytest.mark.parametrize(
    ("limits", "limit"),
    [
        (Limits(event_size=len(HELLO) + 20), "event_size"),
        (Limits(answer_size=2 * KEPT_OF_HELLO), "answer_size"),
        (Limits(answer_events=2), "answer_events"),
    ],
)
def test_an_exceeded_limit_is_an_error_after_the_valid_events(limits: Limits, limit: str) -> None:
    body = HELLO * 2 + encode_event(Text("x" * 100)) + DONE
    events, error = same_however_cut(lambda: asked(head=STREAM, limits=limits), body)
    assert events == [Text("hello")] * 2
    assert isinstance(error, LimitExceeded)
    assert error.limit == limit
    assert re.search(rf"than {getattr(limits, limit)} (bytes|events|characters)\b", str(error))


@pytest.mark.parametrize("limits", [Limits(answer_size=2 * KEPT_OF_HELLO), Limits(answer_events=2)])
def test_a_reply_at_the_limit_is_read_with_its_end(limits: Limits) -> None:
    events, error = same_however_cut(lambda: asked(head=STREAM, limits=limits), HELLO * 2 + DONE)
    assert (events, error) == ([Text("hello"), Text("hello"), Done()], None)


@pytest.mark.parametrize("end", [Error(text="x" * 1000), Error(raw_response={"x": "y" * 1000}), Done()])
def test_the_end_is_read_however_much_came_before_it(end: Event) -> None:
    limits = Limits(answer_size=KEPT_OF_HELLO)
    events, error = same_however_cut(lambda: asked(head=STREAM, limits=limits), HELLO + encode_event(end))
    assert (events, error) == ([Text("hello"), end], None)


def test_an_event_that_is_kept_takes_more_than_its_payload() -> None:
    assert size_kept(Text("hello"), Text("hello" + "x" * 100)) == 2 * KEPT_OF_HELLO + 100
    # Otherwise a bot could fill the memory with empty texts.
    assert size_kept(Text("hello"), *[Text("")] * 50) > KEPT_OF_HELLO + 50 * len('{"text": ""}')


def json_with(text: str) -> Json:
    return Json({"a": text})


def text_with(extra: dict[str, Any]) -> Text:
    return Text("a", extra=extra)


@pytest.mark.parametrize("make", [partial(Text, index=1), json_with])
def test_an_event_larger_than_a_plain_text_counts_its_payload_besides(make: Callable[[str], Event]) -> None:
    assert size_kept(make("x")) > size_kept(Text("x"))
    assert size_kept(make("x" * 101)) == size_kept(make("x")) + 100


@pytest.mark.parametrize("make", [Json, text_with])
def test_values_count_by_their_size_in_memory(make: Callable[[dict[str, Any]], Event]) -> None:
    few, many = (size_kept(make({"a": [{}] * number})) for number in (10, 30))
    assert many - few >= 20 * sys.getsizeof({})


@pytest.mark.parametrize("index", [None, 0, 7])
def test_text_that_was_replaced_does_not_count(index: int | None) -> None:
    hello, again = Text("hello", index), ReplaceResponse("again", index)
    one = size_kept(hello)
    assert size_kept(again) == one
    assert size_kept(hello, hello, again) == 2 * one  # until it is replaced, it does
    assert size_kept(hello, again, hello, again, hello) == 2 * one
    assert size_kept(*[hello, hello, again] * 10) == 3 * one
    assert size_kept(again, again, again, hello) == 2 * one


def test_text_of_another_answer_does_count() -> None:
    one = size_kept(Text("hello", 0))
    assert size_kept(*(ReplaceResponse("hello", index) for index in range(4))) == 4 * one
    assert size_kept(*[Text("hello", 0), ReplaceResponse("hello", 1)] * 3) == 4 * one


def test_a_replacement_removes_text_only() -> None:
    picture, one = File("https://files.invalid/a", "a", "text/plain"), KEPT_OF_HELLO
    assert size_kept(picture, *[Text("hello"), ReplaceResponse("hello")] * 3) == size_kept(picture) + 2 * one
