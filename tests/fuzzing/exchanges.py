"""Targets: the two exchanges."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

import attrs

from poeproto import (
    BotExchange,
    Done,
    Error,
    Event,
    HttpResponse,
    Json,
    Limits,
    LocalProtocolError,
    PoeExchange,
    PoeprotoError,
    QueryRequest,
    RemoteProtocolError,
    ReplaceResponse,
    ReplyFold,
    Request,
    RequestHead,
    RequestRefused,
    ResponseHead,
    SettingsRequest,
    State,
    Text,
    UnknownEvent,
    encode_event,
)
from poeproto.testing import sample_reply, sample_settings
from tests.fuzzing.inputs import chance_of, cuts, parsed

KEY = "not-a-real-key-00000000000000000"
ERROR_STATUSES = frozenset({400, 401, 405, 413, 501})
SHORT_QUERY = QueryRequest(query=[])
STREAM = ResponseHead(200, [("content-type", "text/event-stream")])


# --- the bot's side


def bot_exchange(data: bytes) -> None:
    """A whole request, then the answer to it.

    The request: `RemoteProtocolError` with a response of `ERROR_STATUSES`, the same for every cut, and sticky.
    The answer: `LocalProtocolError` for an event out of order; what is sent is received on the other side.
    """
    chance = chance_of(data)
    first, headers, body = parsed(data)
    method, _, target = first.partition(" ")
    head = RequestHead(method, target.partition(" ")[0], headers)
    limits = Limits(request_body=chance.choice((1 << 20, 1 << 20, 300)), events=8, text_length=40, files=1)
    keys = chance.choice((None, KEY))
    exchange, request = _asked(keys, limits, head, [body])
    other, same_request = _asked(keys, limits, head, cuts(body, chance))
    assert request == same_request
    assert _said(exchange.error) == _said(other.error)
    if isinstance(request, QueryRequest):
        _stream(exchange, other, request, chance)
    elif request is None:
        assert exchange.error is not None
        # The error response was the response.
        assert exchange.fail("e") == b""
    else:
        _answer(exchange, request, chance)


def _asked(
    keys: str | None, limits: Limits, head: RequestHead, parts: list[bytes]
) -> tuple[BotExchange, Request | None]:
    exchange = BotExchange(keys, limits)
    try:
        exchange.receive_head(head)
        for part in parts:
            exchange.receive_data(part)
            assert len(exchange._body) <= limits.request_body
        return exchange, exchange.receive_eof()
    except RemoteProtocolError as exc:
        assert exc is exchange.error
        assert exc.response is not None
        assert exc.response.status in ERROR_STATUSES
        assert len(exc.response.body) < 10_000
        assert not any(set(b"\r\n\0") & set(name + value) for name, value in exc.response.headers)
        assert not exchange._body
        for again in (lambda: exchange.receive_data(b"x"), exchange.receive_eof, lambda: exchange.receive_head(head)):
            try:
                again()
            except RemoteProtocolError as raised:
                assert raised is exc
            else:
                raise AssertionError("a failed exchange went on") from exc
        return exchange, None


def _said(error: RemoteProtocolError | None) -> object:
    return error and (type(error), str(error), error.path, error.response)


def _answer(exchange: BotExchange, request: Request, chance: Random) -> None:
    settings = chance.choice((None, sample_settings()))
    try:
        response = exchange.answer(settings)
    except LocalProtocolError:
        assert (settings is None) == isinstance(request, SettingsRequest)
        response = exchange.fail("e")
        assert isinstance(response, HttpResponse)
        assert response.status == 500
    assert exchange.our_state is State.DONE
    assert exchange.fail("e") == b""


def _stream(exchange: BotExchange, slow: BotExchange, request: QueryRequest, chance: Random) -> None:
    """Events made from the strings of the request; `slow` sends them on the general path."""
    caller = PoeExchange()
    caller.send(SHORT_QUERY, "http://bot.invalid/")
    caller.receive_head(exchange.begin())
    slow.begin()
    sent: list[Event] = []
    for event in _events(request, chance):
        try:
            wire = exchange.send(event)
        except LocalProtocolError as exc:
            assert _error_of(slow, event) == str(exc)
            continue
        assert slow._send(event) == wire
        assert (exchange.our_state, exchange.events) == (slow.our_state, slow.events)
        over = isinstance(sent[-1], Error) if sent else False
        halves = caller._surrogates.is_waiting or _has_surrogates(event)
        received = caller.receive_data(wire if exchange.our_state is State.DONE else wire + exchange.heartbeat())
        sent.append(event)
        assert caller.error is None
        assert received == ([] if over else [event]) or halves
    ending = exchange.fail("e")
    assert ending == slow.fail("e")
    assert isinstance(ending, bytes)
    caller.receive_data(ending)
    assert caller.error is None
    assert caller.their_state in (State.DONE, State.FAILED)  # everything after an error is ignored
    assert exchange.our_state is State.DONE


def _error_of(exchange: BotExchange, event: Event) -> str:
    try:
        exchange._send(event)
    except LocalProtocolError as exc:
        return str(exc)
    return ""


def _has_surrogates(event: Event) -> bool:
    return any(
        isinstance(value, str) and any("\ud800" <= each <= "\udfff" for each in value)
        for value in attrs.asdict(event).values()
    )


def _events(request: QueryRequest, chance: Random) -> list[Event]:
    strings = [message.content for message in request.query] + [request.user_id, request.language_code, "", "ab"]
    samples = [*sample_reply(), Error(text="e"), UnknownEvent("later", "{}"), Json(request.extra_params or {})]
    events: list[Event] = []
    for _ in range(chance.randrange(12)):
        text = chance.choice(strings)
        index = chance.choice((None, None, 0, 2))
        kind = chance.random()
        events.append(
            Text(text, index) if kind < 0.5 else ReplaceResponse(text, index) if kind < 0.6 else chance.choice(samples)
        )
    return events


# --- the caller's side


class Outcome(NamedTuple):
    """The events and the failure that an exchange returned for a response."""

    events: list[Event]
    error: tuple[type[PoeprotoError], str] | None
    settings: object
    fold: dict[str, object]


class GeneralPath(PoeExchange):
    """Never takes the fast path."""

    def _accepts_run(self) -> bool:
        return False


def poe_exchange(data: bytes) -> None:
    """A whole response, cut at random, on the fast path and on the general one: the same events and error.

    `RequestRefused` or `RemoteProtocolError`, `LimitExceeded` and `IncompleteReply` among them.
    """
    chance = chance_of(data)
    first, headers, body = parsed(data)
    status = int(first[9:12]) if first[9:12].isascii() and first[9:12].isdigit() else 200
    head = STREAM if chance.random() < 0.3 else ResponseHead(status, headers)
    request = SettingsRequest() if chance.random() < 0.1 else SHORT_QUERY
    limits = chance.choice(
        (Limits(), Limits(), Limits(event_size=120), Limits(answer_size=400), Limits(answer_size=900, event_size=300))
    )
    outcomes = [
        _received(PoeExchange(KEY, limits), request, head, [body]),
        _received(PoeExchange(KEY, limits), request, head, cuts(body, chance)),
        _received(GeneralPath(KEY, limits), request, head, cuts(body, chance)),
    ]
    assert outcomes[0] == outcomes[1]
    assert outcomes[0] == outcomes[2]


def _received(exchange: PoeExchange, request: Request, head: ResponseHead, parts: list[bytes]) -> Outcome:
    exchange.send(request, "http://bot.invalid/")
    exchange.receive_head(head)
    events: list[Event] = []
    try:
        for part in parts:
            events += exchange.receive_data(part)
        events += exchange.receive_eof()
        if exchange.error is not None:
            exchange.receive_eof()
    except (RequestRefused, RemoteProtocolError) as exc:
        assert exc is exchange.error
        assert exc.partial is exchange.fold
        assert KEY not in str(exc)
        with_error: tuple[type[PoeprotoError], str] | None = (type(exc), str(exc))
    else:
        with_error = None
        assert exchange.error is None
    _check_events(events, exchange.fold)
    fold = {name: getattr(exchange.fold, name) for name in ("texts", "answers", "error", "ending", "meta")}
    return Outcome(events, with_error, exchange.settings, fold)


def _check_events(events: list[Event], fold: ReplyFold) -> None:
    """The events end where they should, can be forwarded, and fold to the exchange's own fold."""
    texts: dict[int | None, str] = {}
    for number, event in enumerate(events):
        assert not isinstance(event, Error | Done) or number == len(events) - 1
        if isinstance(event, Text):
            assert not _has_surrogates(event)
            texts[event.index] = texts.get(event.index, "") + event.text
        elif isinstance(event, ReplaceResponse):
            texts[event.index] = event.text
        if not isinstance(event, UnknownEvent):
            encode_event(event)
    assert fold.texts == texts
    assert fold.ending == next((event for event in events if isinstance(event, Done | Error)), None)
