"""Both clients: a peer that breaks off, misleads, or sends too much raises the error of that name."""

from __future__ import annotations

import socket
import struct
from collections.abc import Awaitable, Callable

import anyio
import anyio.abc
import pytest

from poeproto import (
    ConnectFailed,
    ConnectionLost,
    DeadlineExceeded,
    Done,
    Endpoints,
    Error,
    IncompleteChunkedBody,
    IncompleteReply,
    IncompleteSizedBody,
    LimitExceeded,
    Limits,
    PoeprotoError,
    RequestRefused,
    RetryPolicy,
    SettingsResponse,
    Text,
    encode_event,
)
from poeproto_h11 import Timeouts
from poeproto_h11.client.backend import ByteStream
from poeproto_runtime.client.urls import Origin

from ...support.both_clients import Query, query, query_blocking, settings, settings_blocking
from ...support.bots import KEY
from ...support.scripted_peer import (
    HELLO,
    LAST_CHUNK,
    STREAM_HEAD,
    Peer,
    Script,
    answering,
    chunk,
    reply,
    response,
    scripted,
    sent,
)

pytestmark = pytest.mark.anyio

EVENT_STREAM = "Content-Type: text/event-stream"
TEXT = encode_event(Text("a"))
UNSIZED = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
LOST = "the peer closed the connection within the response"
UNANSWERED = "the peer closed the connection without an answer"

both = pytest.mark.parametrize("query", [query, query_blocking], ids=["Client", "BlockingClient"])
both_for_settings = pytest.mark.parametrize("settings", [settings, settings_blocking], ids=["Client", "BlockingClient"])


# --- replies that break off


CUT_SHORT = [
    pytest.param(STREAM_HEAD + chunk(TEXT), IncompleteChunkedBody, LOST, id="between chunks"),
    pytest.param(STREAM_HEAD + chunk(TEXT)[:-9], IncompleteChunkedBody, LOST, id="within a chunk"),
    pytest.param(STREAM_HEAD + chunk(TEXT) + b"0\r\n", IncompleteChunkedBody, LOST, id="within the last chunk"),
    pytest.param(response(200, TEXT, EVENT_STREAM)[:-1], IncompleteSizedBody, LOST, id="within its length"),
    pytest.param(STREAM_HEAD[:30], ConnectionLost, UNANSWERED, id="within the head"),
    pytest.param(b"", ConnectionLost, UNANSWERED, id="before the head"),
    pytest.param(STREAM_HEAD + chunk(TEXT) + LAST_CHUNK, IncompleteReply, "without done", id="after the last chunk"),
    pytest.param(response(200, TEXT, EVENT_STREAM), IncompleteReply, "without done", id="after its length"),
    pytest.param(UNSIZED + TEXT, IncompleteReply, "without done", id="with the connection"),
    pytest.param(UNSIZED + TEXT[:-3], IncompleteReply, "without done", id="with the connection, within an event"),
]


@both
@pytest.mark.parametrize(("data", "error", "message"), CUT_SHORT)
async def test_a_reply_cut_short(query: Query, data: bytes, error: type[PoeprotoError], message: str) -> None:
    async with scripted(lambda peer: peer.answer(data)) as server:
        outcome = await query(server.address)
        assert outcome.error is not None
        assert type(outcome.error) is error
        assert message in str(outcome.error)
        assert outcome.events == ([Text("a")] if TEXT in data else [])
        assert outcome.error.partial is not None
        assert outcome.error.partial.text == "a" * len(outcome.events)
        assert server.connections == 1, "something may have been done, so that nothing is tried again"


@both
@pytest.mark.parametrize(
    ("data", "error"),
    [
        (STREAM_HEAD + sent(Text("a")), IncompleteChunkedBody),
        (response(200, TEXT + TEXT, EVENT_STREAM)[: -len(TEXT)], IncompleteSizedBody),
        (UNSIZED + TEXT, ConnectionLost),
    ],
    ids=["chunked", "of a length", "neither"],
)
async def test_a_connection_that_is_reset(query: Query, data: bytes, error: type[PoeprotoError]) -> None:
    async def script(peer: Peer) -> None:
        await peer.answer(data)
        raw = peer.stream.extra(anyio.abc.SocketAttribute.raw_socket)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async with scripted(script) as server:
        outcome = await query(server.address)
    assert type(outcome.error) is error


@both_for_settings
@pytest.mark.parametrize(
    ("data", "error"),
    [
        (response(200, b"{}" + b" " * 9)[:-9], IncompleteSizedBody),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(b"{}"), IncompleteChunkedBody),
    ],
    ids=["of a length", "chunked"],
)
async def test_settings_cut_short(
    settings: Callable[..., Awaitable[SettingsResponse]], data: bytes, error: type[PoeprotoError]
) -> None:
    async with scripted(lambda peer: peer.answer(data)) as server:
        with pytest.raises(error) as caught:
            await settings(server.address)
        assert type(caught.value) is error
        assert server.connections == 1


# --- when a call is made again


def each_in_turn(*answers: bytes) -> Script:
    """A script that answers each request with the next of these, on whatever connection."""
    left = list(answers)

    async def script(peer: Peer) -> None:
        while left:
            await peer.answer(left.pop(0))

    return script


@both
@pytest.mark.parametrize("status", [429, 503])
async def test_a_query_to_a_busy_bot_is_retried_once(query: Query, status: int) -> None:
    busy = response(status, b"", "Retry-After: 0")
    async with scripted(each_in_turn(busy, HELLO)) as server:
        assert (await query(server.address)).events == [Text("hello"), Done()]
        assert len(server.requests) == 2
    async with scripted(each_in_turn(busy, busy, HELLO)) as server:
        outcome = await query(server.address)
        assert isinstance(outcome.error, RequestRefused)
        assert len(server.requests) == 2


@both
@pytest.mark.parametrize(
    "answer",
    [
        b"",
        STREAM_HEAD,
        STREAM_HEAD + LAST_CHUNK,
        *(response(status) for status in (301, 400, 401, 408, 425, 500, 501, 502, 504)),
        reply(Error(allow_retry=True)),
    ],
    ids=lambda answer: repr(answer[:16]),
)
async def test_other_failures_are_not_retried_by_default(query: Query, answer: bytes) -> None:
    async with scripted(lambda peer: peer.answer(answer)) as server:
        outcome = await query(server.address)
        assert Text("hello") not in outcome.events
        assert len(server.requests) == 1


@both
async def test_a_retry_repeats_the_query_unless_output_was_shown(query: Query) -> None:
    wanted = RetryPolicy(delay=0, failures=True)
    async with scripted(answering(response(500)), answering(HELLO)) as server:
        assert (await query(server.address, retry=wanted)).events == [Text("hello"), Done()]
    async with scripted(lambda peer: peer.answer(STREAM_HEAD + sent(Text("a")))) as server:
        outcome = await query(server.address, retry=wanted)
        assert isinstance(outcome.error, IncompleteChunkedBody)
        assert len(server.requests) == 1


@both
async def test_a_failed_connection_is_retried(query: Query) -> None:
    attempts: list[Origin] = []

    async def failing(origin: Origin, timeout: float) -> ByteStream:
        attempts.append(origin)
        raise ConnectFailed("nothing listens")

    outcome = await query("http://bot.example/", connector=failing, retry=RetryPolicy(delay=0))
    assert isinstance(outcome.error, ConnectFailed)
    assert len(attempts) == 2


@both
async def test_all_attempts_share_the_time_of_the_call(query: Query) -> None:
    busy = response(503, b"", "Retry-After: 30")
    async with scripted(answering(busy)) as server:
        outcome = await query(server.address, timeouts=Timeouts(total=20))
        assert isinstance(outcome.error, RequestRefused), "there was no time to wait, and that says less"
        assert len(server.requests) == 1

    async def busy_then_silent(peer: Peer) -> None:
        await peer.answer(response(503, b"", "Retry-After: 0"))
        await peer.read_request()
        await peer.until_left()

    async with scripted(busy_then_silent) as server:
        outcome = await query(server.address, timeouts=Timeouts(total=0.2))
        assert isinstance(outcome.error, DeadlineExceeded)
        assert str(outcome.error) == "the total timeout of 0.2 s passed"
        assert len(server.requests) == 2


# --- invalid responses


@both
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("where", ["/elsewhere", "other origin"])
async def test_no_redirect_is_followed(query: Query, status: int, where: str) -> None:
    async with scripted(answering(HELLO)) as other:
        location = other.address if where == "other origin" else where
        async with scripted(answering(response(status, TEXT, f"Location: {location}", EVENT_STREAM))) as server:
            outcome = await query(server.address, access_key=KEY)
            assert isinstance(outcome.error, RequestRefused)
            assert (outcome.error.status, outcome.events) == (status, [])
            assert len(server.requests) == 1
        assert other.connections == 0


@both
@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (500, [EVENT_STREAM]),
        (201, [EVENT_STREAM]),
        (200, ["Content-Type: text/plain"]),
        (200, []),
        (200, [f"Content-Type: text/{'x' * 20_000}"]),
        (200, [EVENT_STREAM, "Content-Encoding: gzip"]),
        (200, [EVENT_STREAM, "Content-Encoding: identity", "Content-Encoding: br"]),
    ],
    ids=lambda value: repr(value)[:60],
)
async def test_a_refusal_gives_no_events_and_a_short_start_of_its_body(
    query: Query, status: int, headers: list[str]
) -> None:
    for body in (TEXT * 100, TEXT + KEY.encode() * 100, f'{{"error": "not {KEY}"}}'.encode()):
        async with scripted(answering(response(status, body, *headers))) as server:
            outcome = await query(server.address, access_key=KEY)
        assert isinstance(outcome.error, RequestRefused)
        assert (outcome.error.status, outcome.events) == (status, [])
        assert 0 < len(outcome.error.body_start) <= 1024
        shown = f"{outcome.error} {outcome.error!r} {vars(outcome.error)}"
        assert KEY not in shown
        assert len(str(outcome.error)) < 500


@both
async def test_a_refusal_that_drips_is_not_waited_for(query: Query) -> None:
    async def script(peer: Peer) -> None:
        await peer.answer(b"HTTP/1.1 500 No\r\nContent-Length: 1024\r\n\r\n")
        while True:
            await peer.send(b"n")
            await anyio.sleep(0.02)

    async with scripted(script) as server:
        outcome = await query(server.address, timeouts=Timeouts(idle=0.2))
        assert isinstance(outcome.error, RequestRefused)
        assert 0 < len(outcome.error.body_start) < 100
        await server.until_closed(1)


@both
async def test_no_key_is_sent_to_another_origin(query: Query) -> None:
    async with scripted(answering(HELLO)) as poe, scripted(answering(HELLO)) as other:
        at_poe = Endpoints.at(poe.address)
        for url in ("CatBot", poe.address + "bot/CatBot", other.address):
            assert (await query(url, api_key=KEY, endpoints=at_poe)).error is None
        assert [request.all("authorization") for request in poe.requests] == [[f"Bearer {KEY}"]] * 2
        assert [request.all("authorization") for request in other.requests] == [[]]


# --- more than there may be


def many(event: bytes, count: int) -> bytes:
    return STREAM_HEAD + chunk(event * count) + sent(Done()) + LAST_CHUNK


@both
@pytest.mark.parametrize(
    ("limits", "answer", "limit"),
    [
        (Limits(event_size=100), many(encode_event(Text("a" * 100)), 2), "event_size"),
        (Limits(event_size=100), many(b": " + b"x" * 200 + b"\n\n", 1), "event_size"),
        (Limits(event_size=100), many(b"x: y\n" * 100 + b"\n", 1), "event_size"),
        (Limits(answer_size=1000), many(encode_event(Text("a" * 100)), 20), "answer_size"),
        (Limits(answer_events=5), many(encode_event(Text("a")), 6), "answer_events"),
        (Limits(answer_events=5), many(b"event: novelty\ndata: x\n\n", 6), "answer_events"),
        (Limits(answer_events=5), many(b"event: ping\ndata: x\n\n", 6), "answer_events"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_reply_keeps_to_each_limit(query: Query, limits: Limits, answer: bytes, limit: str) -> None:
    async with scripted(answering(answer)) as server:
        outcome = await query(server.address, limits=limits)
        assert isinstance(outcome.error, LimitExceeded)
        assert outcome.error.limit == limit
        assert str(getattr(limits, limit)) in str(outcome.error)
        await server.until_closed(1)
        assert (await query(server.address)).error is None


@both_for_settings
async def test_settings_keep_to_their_limit(settings: Callable[..., Awaitable[SettingsResponse]]) -> None:
    async with scripted(answering(response(200, b"{}" + b" " * 100))) as server:
        with pytest.raises(LimitExceeded) as caught:
            await settings(server.address, limits=Limits(answer_size=101))
        assert caught.value.limit == "answer_size"
        assert await settings(server.address, limits=Limits(answer_size=102)) is not None
