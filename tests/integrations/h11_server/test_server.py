"""The embedded server over loopback sockets: responses to requests, and the state of the connection after them."""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncIterator

import anyio
import anyio.abc
import anyio.lowlevel
import pytest

from poeproto import (
    Context,
    Done,
    Event,
    Limits,
    QueryRequest,
    SettingsRequest,
    Text,
    encode_request,
    encode_settings,
)
from poeproto_h11.server.server_connection import ServerConnection

from ...support.bots import BEARER, KEY, FunctionBot, query_body
from ...support.embedded_servers import SETTINGS, serving
from ...support.raw_http import Connection, chunk, connect, fetch, http_request

pytestmark = pytest.mark.anyio


async def ask(connection: Connection, text: str, *headers: str) -> list[Event]:
    """The events of one query on this connection."""
    await connection.send(http_request(query_body(text), headers=headers))
    return (await connection.read_response()).events


# --- responses


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("http://bot.invalid/", 200),
        ("http://bot.invalid", 200),
        ("http://bot.invalid?a=b", 200),
        ("http://bot.invalid/a%3Fb", 404),
        ("*", 404),
        ("http://[bad/", 400),
        ("http://[bad/?a=b", 400),
    ],
)
async def test_targets_that_are_urls(target: str, status: int, caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as address:
        for method in ("POST", "GET"):
            assert (await fetch(address, http_request(path=target, method=method))).status == status
    # A refused POST is logged, and nothing else has happened.
    assert len(caplog.records) == (status != 200)
    assert all(f" refused: {status} " in record.getMessage() for record in caplog.records)


async def test_a_query() -> None:
    async with serving() as address:
        response = await fetch(address, http_request(query_body("how are you?")))
        assert response.status == 200
        assert response.events == [Text("how are you?"), Done()]
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert response.headers["cache-control"] == "no-cache, no-transform"
        assert response.headers["x-accel-buffering"] == "no"
        assert response.headers["date"].endswith(" GMT")


async def test_settings() -> None:
    async with serving() as address:
        response = await fetch(address, http_request(encode_request(SettingsRequest())))
        assert (response.status, response.body) == (200, encode_settings(SETTINGS))


@pytest.mark.parametrize("path", ["/", "/?a=b", "/?"])
async def test_the_index_page(path: str) -> None:
    async with serving() as address:
        page = await fetch(address, http_request(b"", method="GET", path=path, key=None))
        assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert b"A Poe bot answers here" in page.body


async def test_head_is_get_without_a_body() -> None:
    async with serving() as address, connect(address) as connection:
        await connection.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        page = await connection.read_response()
        await connection.send(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
        status, headers = await connection.read_head()
        assert (status, headers["content-length"]) == (200, str(len(page.body)))
        # That no body came shows in that the next response is understood.
        assert await ask(connection, "a") == [Text("a"), Done()]


LIMITS = Limits(request_body=1000)
REFUSALS = [
    pytest.param(http_request(path="/nobody"), 404, id="path"),
    pytest.param(http_request(method="GET", body=b"", path="/nobody"), 404, id="path of the index page"),
    pytest.param(http_request(method="PUT"), 405, id="method"),
    pytest.param(http_request(method="PUT", key=None), 405, id="method without a key"),
    pytest.param(http_request(key=None), 401, id="no key"),
    pytest.param(http_request(key="Bearer wrong"), 401, id="wrong key"),
    pytest.param(http_request(key="Basic " + KEY), 401, id="wrong scheme"),
    pytest.param(http_request(bytes(1001)), 413, id="declared length"),
    pytest.param(http_request(chunked=True) + chunk(bytes(1001)), 413, id="chunked length"),
    pytest.param(http_request(b"{"), 400, id="malformed"),
    pytest.param(http_request(b"[]"), 400, id="list"),
    pytest.param(http_request(b"{}"), 400, id="no type"),
    pytest.param(http_request(b'{"version": "1.2", "type": "novelty"}'), 501, id="unknown type"),
]


@pytest.mark.parametrize(("request_", "status"), REFUSALS)
async def test_refusals(request_: bytes, status: int) -> None:
    async with serving(limits=LIMITS) as address:
        response = await fetch(address, request_)
        assert response.status == status
        assert response.headers["content-type"] == "application/json"
        assert b'"error"' in response.body
        assert response.headers.get("allow") == ("GET, HEAD, POST" if status == 405 else None)
        assert response.headers.get("www-authenticate") == ("Bearer" if status == 401 else None)


async def test_a_refusal_does_not_wait_for_the_body() -> None:
    async with serving() as address, connect(address) as connection:
        await connection.send(http_request(key=None, chunked=True))
        assert (await connection.read_response()).status == 401


async def test_a_large_refused_body_does_not_hide_the_refusal() -> None:
    # If the connection was closed with unread data, it would be reset while the client is still sending.
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
    async with serving(bind=listener, limits=LIMITS) as address, connect(address) as connection:
        raw = connection.stream.extra(anyio.abc.SocketAttribute.raw_socket)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * 1024)
        await connection.send(http_request(bytes(900_000)))
        response = await connection.read_response()
        assert response.status == 413
        assert response.headers["connection"] == "close"
        assert await connection.read_to_end() == b""


BAD_HTTP = [
    pytest.param(b"nonsense\r\n\r\n", 400, id="no HTTP"),
    pytest.param(b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400, id="TLS"),
    pytest.param(b"POST / HTTP/1.1\r\n\r\n", 400, id="no host"),
    pytest.param(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400, id="bad length"),
    pytest.param(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501, id="bad encoding"),
    pytest.param(b"POST / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", 431, id="large head"),
]


@pytest.mark.parametrize(("data", "status"), BAD_HTTP)
@pytest.mark.parametrize("before", [b"", b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"], ids=["at first", "after a HEAD"])
async def test_data_that_is_not_http(data: bytes, status: int, before: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as address:
        async with connect(address) as connection:
            if before:
                await connection.send(before)
                await connection.read_head()
            await connection.send(data)
            response = await connection.read_response()
            assert (response.status, response.headers["connection"]) == (status, "close")
            assert response.body == b'{"error": "the request is not acceptable HTTP"}'
            assert await connection.read_to_end() == b""
        assert (await fetch(address, http_request())).status == 200
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


# --- connections


async def test_keep_alive() -> None:
    async with serving(limits=LIMITS) as address, connect(address) as connection:
        for text in ("a", "b"):
            assert await ask(connection, text) == [Text(text), Done()]
        for request, status in (
            (http_request(encode_request(SettingsRequest())), 200),
            (http_request(b"{"), 400),
            (http_request(b'{"type": "novelty"}'), 501),
            (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 200),
            (b"GET /nobody HTTP/1.1\r\nHost: x\r\n\r\n", 404),
            (b"DELETE / HTTP/1.1\r\nHost: x\r\n\r\n", 405),
            (b"POST / HTTP/1.1\r\nHost: x\r\n\r\n", 401),
            (f"POST / HTTP/1.1\r\nHost: x\r\nAuthorization: {BEARER}\r\n\r\n".encode(), 400),
        ):
            await connection.send(request)
            response = await connection.read_response()
            assert (response.status, response.headers.get("connection")) == (status, None)
        assert await ask(connection, "c") == [Text("c"), Done()]


async def test_connection_close_is_obeyed() -> None:
    async with serving() as address, connect(address) as connection:
        assert await ask(connection, "a", "Connection: close") == [Text("a"), Done()]
        assert await connection.read_to_end() == b""


async def test_pipelined_requests_are_answered_in_order() -> None:
    texts = list("abcdef")
    async with serving() as address, connect(address) as connection:
        await connection.send(b"".join(http_request(query_body(text)) for text in texts))
        for text in texts:
            assert (await connection.read_response()).events == [Text(text), Done()]


async def test_pipelined_requests_do_not_block_other_connections() -> None:
    turns, seen = 0, set[int]()

    async def respond(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        seen.add(turns)
        yield "a"

    async with serving(FunctionBot(respond), access_key=KEY) as address, connect(address) as connection:
        await connection.send(http_request() * 20)
        while len(seen) < 20:  # if one turn answered several, there would be fewer turns
            turns += 1
            await anyio.lowlevel.checkpoint()
        for _ in range(20):
            assert (await connection.read_response()).events == [Text("a"), Done()]


async def test_a_request_that_arrives_early_waits() -> None:
    go = anyio.Event()

    async def respond(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield request.query[-1].content
        await go.wait()

    bot = FunctionBot(respond)
    async with serving(bot, access_key=KEY) as address, connect(address) as connection:
        await connection.send(http_request(query_body("a")))
        await connection.read_head()
        assert await connection.read_events() == [Text("a")]
        second = http_request(query_body("b"))
        await connection.send(second[:10])
        await connection.send(second[10:-3])
        go.set()
        assert await connection.read_rest() == [Done()]
        await connection.send(second[-3:])
        assert (await connection.read_response()).events == [Text("b"), Done()]


async def test_expect_100_continue() -> None:
    body = query_body("a")
    head = http_request(body, headers=["Expect: 100-continue"])[: -len(body)]
    async with serving() as address:
        async with connect(address) as connection:
            await connection.send(head)
            assert (await connection.read_head())[0] == 100
            await connection.send(body)
            assert (await connection.read_head())[0] == 200
            assert await connection.read_rest() == [Text("a"), Done()]
        async with connect(address) as connection:
            await connection.send(head.replace(KEY.encode(), b"wrong"))
            assert (await connection.read_response()).status == 401


async def test_a_client_of_http_1_0() -> None:
    async with serving() as address, connect(address) as connection:
        await connection.send(http_request(query_body("a")).replace(b"HTTP/1.1", b"HTTP/1.0"))
        status, headers = await connection.read_head()
        assert (status, headers["connection"]) == (200, "close")
        assert "transfer-encoding" not in headers
        assert await connection.read_to_end() == b'event: text\ndata: {"text":"a"}\n\nevent: done\ndata: {}\n\n'


async def test_a_client_that_sends_byte_by_byte() -> None:
    request = http_request(query_body("a"))
    async with serving() as address, connect(address) as connection:
        for byte in request:
            await connection.send(bytes([byte]))
        await connection.read_head()
        assert await connection.read_rest() == [Text("a"), Done()]


async def test_events_are_sent_as_they_are_yielded() -> None:
    gates = [anyio.Event() for _ in range(3)]

    async def respond(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        for number, gate in enumerate(gates):
            yield str(number)
            await gate.wait()

    async with serving(FunctionBot(respond), allow_without_key=True) as address, connect(address) as connection:
        await connection.send(http_request(key=None))
        assert (await connection.read_head())[0] == 200
        for number, gate in enumerate(gates):
            assert await connection.read_events() == [Text(str(number))]
            gate.set()
        assert await connection.read_rest() == [Done()]


async def test_the_head_is_sent_before_the_first_event() -> None:
    go = anyio.Event()

    async def respond(request: QueryRequest, context: Context) -> str:
        await go.wait()
        return "a"

    async with serving(FunctionBot(respond), allow_without_key=True) as address, connect(address) as connection:
        await connection.send(http_request())
        assert (await connection.read_head())[0] == 200
        go.set()
        assert await connection.read_rest() == [Text("a"), Done()]


@pytest.mark.parametrize("waits", [False, True])
async def test_only_a_suspended_reply_waits_for_a_disconnect(waits: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    watched: list[ServerConnection] = []
    wait_disconnected = ServerConnection.wait_disconnected

    async def noted(connection: ServerConnection) -> None:
        watched.append(connection)
        await wait_disconnected(connection)

    async def respond(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield "a"
        if waits:
            await anyio.lowlevel.checkpoint()
        yield "b"

    monkeypatch.setattr(ServerConnection, "wait_disconnected", noted)
    async with serving(FunctionBot(respond), access_key=KEY) as address, connect(address) as connection:
        for _ in range(3):
            assert await ask(connection, "") == [Text("a"), Text("b"), Done()]
    assert bool(watched) == waits


async def test_an_event_larger_than_the_kernels_buffer() -> None:
    text = "a" * 5_000_000

    async def respond(request: QueryRequest, context: Context) -> str:
        return text

    limits = Limits(text_length=len(text))
    bot = FunctionBot(respond)
    async with serving(bot, access_key=KEY, limits=limits) as address, connect(address) as connection:
        assert await ask(connection, "") == [Text(text), Done()]
