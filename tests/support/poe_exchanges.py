"""Poe's side of an exchange: started for a test, and read to its end."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from poeproto import (
    Done,
    Event,
    HttpRequest,
    Limits,
    Meta,
    PoeExchange,
    PoeprotoError,
    QueryRequest,
    ReplyFold,
    Request,
    ResponseHead,
    State,
    Text,
    encode_event,
)
from poeproto.testing import bytewise, sample_query, sample_reply, two_way_splits

URL = "http://bot.invalid/"
STREAM = ResponseHead(200, [("content-type", "text/event-stream; charset=utf-8")])
JSON = ResponseHead(200, [("content-type", "application/json")])
BAD = b'event: text\ndata: {"text": 3}\n\n'
REPLY = b"".join(map(encode_event, sample_reply()))
HELLO = encode_event(Text("hello"))
DONE = encode_event(Done())
META = encode_event(Meta())


def body_of(request: HttpRequest) -> bytes:
    """The body of a request other than an upload."""
    assert isinstance(request.body, bytes)
    return request.body


def asked(
    request: Request | None = None, head: ResponseHead | None = None, limits: Limits | None = None
) -> PoeExchange:
    """An exchange whose request was sent, and whose response has begun with this head, if any."""
    exchange = PoeExchange(limits=limits)
    exchange.send(request or sample_query(), URL)
    if head is not None:
        exchange.receive_head(head)
    return exchange


class RecordByRecord(PoeExchange):
    """An exchange without a fast path: it decodes each record by itself."""

    def _receive_stream(self, data: bytes, events: list[Event]) -> None:
        self._receive_records(data, events)


def opened(exchange: PoeExchange) -> PoeExchange:
    """Send a query, and receive the head of a stream."""
    exchange.send(QueryRequest([]), "http://bot.invalid/")
    exchange.receive_head(STREAM)
    return exchange


def outcome(exchange: PoeExchange, parts: Iterable[bytes]) -> tuple[list[Event], PoeprotoError | None]:
    """All events until the end of the body or an error, and the error."""
    events: list[Event] = []
    raised: PoeprotoError | None = None
    try:
        for part in parts:
            events += exchange.receive_data(part)
        events += exchange.receive_eof()
    except PoeprotoError as error:
        raised = error
    assert raised is exchange.error
    if exchange.error is not None:
        assert exchange.their_state is State.ERROR
        assert exchange.error.partial is exchange.fold
        calls: list[Callable[[], object]] = [
            lambda: exchange.receive_data(HELLO),
            exchange.receive_eof,
            lambda: exchange.receive_head(STREAM),
        ]
        for call in calls:
            with pytest.raises(type(exchange.error)) as caught:
                call()
            assert caught.value is exchange.error
    fold = ReplyFold()
    for event in events:
        fold.add(event)
    assert vars(fold) == vars(exchange.fold)
    return events, exchange.error


def same_however_cut(make: Callable[[], PoeExchange], body: bytes) -> tuple[list[Event], PoeprotoError | None]:
    """The outcome of the whole body; asserts that it is the same however the body is cut."""
    events, error = outcome(make(), [body])
    for parts in [bytewise(body), *two_way_splits(body)]:
        events_cut, error_cut = outcome(make(), parts)
        assert events_cut == events
        assert (type(error_cut), str(error_cut)) == (type(error), str(error))
    return events, error
