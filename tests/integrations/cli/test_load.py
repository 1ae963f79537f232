"""The load generator: where a response ends, what is measured, and its errors."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from poeproto import (
    ConnectFailed,
    ConnectionLost,
    DeadlineExceeded,
    Done,
    Error,
    Event,
    IncompleteReply,
    LocalProtocolError,
    Message,
    PoeprotoError,
    QueryRequest,
    RemoteProtocolError,
    RequestRefused,
    Text,
    encode_event,
)
from poeproto_cli.load import Load, LoadConnection, Received
from poeproto_cli.load_query import Query, events_of, write_query

from ...support.bots import BEARER, KEY
from ...support.scripted_peer import HELLO, LAST_CHUNK, STREAM_HEAD, Peer, answering, chunk, response, scripted, sent

pytestmark = pytest.mark.anyio

T = TypeVar("T")
TIMEOUT = 20.0
STREAM = b"".join(map(encode_event, (Text("hello"), Done())))
TYPE = "Content-Type: text/event-stream"
ENDLESS = f"HTTP/1.1 200 OK\r\n{TYPE}\r\n\r\n".encode() + STREAM


def query(url: str) -> Query:
    return write_query(url, QueryRequest([Message("user", "hi")]), KEY)


async def in_thread(function: Callable[..., T], *arguments: object) -> T:
    return await anyio.to_thread.run_sync(partial(function, *arguments))


def exchange(url: str, times: int = 1, timeout: float = TIMEOUT) -> list[Received]:
    """Several replies on one connection."""
    connection = LoadConnection(query(url), timeout)
    try:
        return [connection.exchange() for _ in range(times)]
    finally:
        connection.close()


def load(url: str, connections: int, replies: int, timeout: float = TIMEOUT) -> list[Received]:
    generator = Load(query(url), connections, timeout)
    try:
        return generator.replies(replies)
    finally:
        generator.close()


async def bytewise(data: bytes, peer: Peer) -> None:
    """Answer every request byte by byte."""
    while True:
        await peer.read_request()
        for place in range(len(data)):
            await peer.send(data[place : place + 1])
            await anyio.lowlevel.checkpoint()


async def once(data: bytes, peer: Peer) -> None:
    await peer.answer(data)


@pytest.mark.parametrize(
    "data",
    [HELLO, STREAM_HEAD + chunk(STREAM) + LAST_CHUNK, response(200, STREAM, TYPE)],
    ids=["chunks", "a chunk", "a length"],
)
async def test_replies_one_after_another(data: bytes) -> None:
    for script in (answering(data), partial(bytewise, data)):
        async with scripted(script) as server:
            for received in await in_thread(exchange, server.address, 3):
                assert received.response == data
                assert events_of(received.response) == [Text("hello"), Done()]
                assert 0 < received.first <= received.whole
            assert (server.connections, len(server.requests)) == (1, 3)
            for request in server.requests:
                assert request.line == "POST / HTTP/1.1"
                assert request.all("authorization") == [BEARER]
                assert b'"hi"' in request.body


@pytest.mark.parametrize(
    "data", [ENDLESS, response(200, STREAM, TYPE, "Connection: close"), b"HTTP/1.0" + response(200, STREAM, TYPE)[8:]]
)
async def test_a_connection_for_each_reply(data: bytes) -> None:
    async with scripted(partial(once, data)) as server:
        for received in await in_thread(exchange, server.address, 2):
            assert events_of(received.response) == [Text("hello"), Done()]
        assert server.connections == 2
        assert len(await in_thread(load, server.address, 2, 6)) == 6


async def test_many_connections_at_once() -> None:
    async with scripted(answering(HELLO)) as server:
        received = await in_thread(load, server.address, 5, 17)
        assert [each.response for each in received] == [HELLO] * 17
        assert (server.connections, len(server.requests)) == (5, 17)


async def test_a_reply_without_events_has_no_first() -> None:
    async with scripted(answering(response(401, b"{}"))) as server:
        [received] = await in_thread(exchange, server.address)
        assert received.first == 0
        with pytest.raises(RequestRefused) as caught:
            events_of(received.response)
        assert caught.value.status == 401


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (STREAM_HEAD + sent(Text("a")) + LAST_CHUNK, IncompleteReply),
        (STREAM_HEAD + chunk(b"event: text\ndata: {}\n\n") + LAST_CHUNK, RemoteProtocolError),
        (STREAM_HEAD + b"no size\r\n" + LAST_CHUNK, RemoteProtocolError),
        (STREAM_HEAD + sent(Text("a")), RemoteProtocolError),
    ],
)
def test_invalid_replies(data: bytes, error: type[PoeprotoError]) -> None:
    with pytest.raises(error):
        events_of(data)


def test_an_error_event_is_an_event() -> None:
    event: Event = Error(allow_retry=False, text="no dogs here")
    assert events_of(STREAM_HEAD + sent(event, Done()) + LAST_CHUNK)[0] == event


@pytest.mark.parametrize("data", [b"HTTP/1.1 200", STREAM_HEAD + sent(Text("a")), response(200, STREAM, TYPE)[:-1]])
async def test_a_lost_connection(data: bytes) -> None:
    async with scripted(partial(once, data)) as server:
        with pytest.raises(ConnectionLost):
            await in_thread(exchange, server.address)
        with pytest.raises(ConnectionLost):
            await in_thread(load, server.address, 2, 4)


async def test_an_invalid_content_length() -> None:
    async with scripted(partial(once, b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n")) as server:
        with pytest.raises(RemoteProtocolError, match="content-length"):
            await in_thread(exchange, server.address)


async def test_a_server_that_sends_nothing() -> None:
    async def silent(peer: Peer) -> None:
        await peer.until_left()

    async with scripted(silent) as server:
        for ask in (partial(exchange, server.address, 1, 0.05), partial(load, server.address, 2, 2, 0.05)):
            with pytest.raises(DeadlineExceeded, match=r"nothing for 0\.05 s"):
                await in_thread(ask)


async def test_no_server() -> None:
    async with scripted(answering(HELLO)) as server:
        address = server.address
    with pytest.raises(ConnectFailed, match="no connection to "):
        await in_thread(exchange, address)


def test_a_query_that_cannot_be_sent() -> None:
    with pytest.raises(LocalProtocolError):
        query("ftp://bot.example/")


def test_the_key_is_not_shown() -> None:
    assert KEY not in repr(query("http://bot.example/"))
