"""Requests that Hypercorn accepts, and after which its connection must close: two framings, and bodies that drip."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest

from poeproto import Context, Done, QueryRequest, Text
from poeproto_asgi import hypercorn_requests
from poeproto_h11 import ServerLimits

from ...support.bots import BEARER, query_body
from ...support.hypercorn_servers import app_of, on_each_event_loop, serving
from ...support.raw_http import chunk, connect

pytestmark = [pytest.mark.anyio, on_each_event_loop]

BODY = query_body("a")
HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nAuthorization: " + BEARER.encode() + b"\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = chunk(BODY) + b"0\r\n\r\n"
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def echo(request: QueryRequest, context: Context) -> AsyncIterator[str]:
    yield request.query[-1].content


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(HEAD + LENGTH + CHUNKED, id="both"),
        pytest.param(HEAD + CHUNKED + LENGTH, id="both, turned round"),
    ],
)
async def test_no_request_follows_one_with_two_framings(head: bytes) -> None:
    async with serving(app_of(echo)) as address, connect(address) as connection:
        await connection.send(head + b"\r\n" + CHUNKS + REQUEST)
        response = await connection.read_response()
        assert response.headers["connection"] == "close"
        assert response.events == [Text("a"), Done()]
        assert await connection.read_to_end() == b""


async def test_no_request_follows_a_chunked_one_of_http_1_0() -> None:
    head = HEAD.replace(b"HTTP/1.1", b"HTTP/1.0") + b"Connection: keep-alive\r\n" + CHUNKED
    async with serving(app_of(echo)) as address, connect(address) as connection:
        await connection.send(head + b"\r\n" + CHUNKS + REQUEST)
        assert (await connection.read_to_end()).count(b"HTTP/1.") == 1


async def test_a_request_follows_one_with_one_framing() -> None:
    async with serving(app_of(echo)) as address, connect(address) as connection:
        for framed in (LENGTH + b"\r\n" + BODY, CHUNKED + b"\r\n" + CHUNKS):
            await connection.send(HEAD + framed)
            assert (await connection.read_response()).events == [Text("a"), Done()]


@pytest.mark.parametrize("sent", [b"", BODY[:5]], ids=["nothing", "a part"])
async def test_a_body_that_takes_too_long_closes_the_connection(monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(hypercorn_requests, "_LIMITS", ServerLimits(body_seconds=0.05, body_rate=10**9))
    async with serving(app_of(echo)) as address, connect(address) as connection:
        await connection.send(HEAD + LENGTH + b"\r\n" + sent)
        with pytest.raises((anyio.BrokenResourceError, ConnectionError)):
            assert await connection.read_to_end() == b""
            raise ConnectionError("it has ended")


async def test_a_body_whose_parts_arrive_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each part extends the time; a reply may take longer than its body."""
    monkeypatch.setattr(hypercorn_requests, "_LIMITS", ServerLimits(body_seconds=0.2, body_rate=1.0))

    async def slow(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield "a"
        await anyio.sleep(0.3)

    async with serving(app_of(slow)) as address, connect(address) as connection:
        await connection.send(HEAD + LENGTH + b"\r\n" + BODY[:5])
        await anyio.sleep(0.3)
        await connection.send(BODY[5:])
        assert (await connection.read_response()).events == [Text("a"), Done()]
