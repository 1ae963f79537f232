"""The application on other people's servers and in other people's frameworks."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from poeproto import Context, Done, Limits, QueryRequest, Text

from ..support import asgi_processes
from ..support.bots import BEARER, events_in, query_body
from ..support.hypercorn_servers import app_of
from ..support.raw_http import Connection, chunk, connect, fetch, http_request
from ..support.uvicorn_server import on_uvicorn

pytestmark = pytest.mark.anyio

HTTP_PARSERS = ["h11", "httptools"]


@pytest.fixture
def anyio_backend() -> str:
    """Uvicorn knows asyncio only."""
    return "asyncio"


async def echo(request: QueryRequest, context: Context) -> AsyncIterator[str]:
    yield request.query[-1].content


class WaitingBot:
    """A bot that says hello and waits to be cancelled."""

    def __init__(self) -> None:
        self.ended = anyio.Event()
        self.closed = anyio.Event()

    async def respond(self, request: QueryRequest, context: Context) -> AsyncIterator[str]:
        async def closer() -> None:
            await anyio.lowlevel.checkpoint()
            self.closed.set()

        context.on_close(closer)
        try:
            yield "hello"
            await anyio.sleep_forever()
        finally:
            self.ended.set()


@pytest.mark.parametrize("http", HTTP_PARSERS)
class TestOnUvicorn:
    async def test_events_arrive_as_they_are_yielded(self, http: str) -> None:
        read = anyio.Event()

        async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
            yield "one"
            await read.wait()
            yield "two"

        async with on_uvicorn(app_of(bot), http) as address, connect(address) as connection:
            await connection.send(http_request())
            assert (await connection.read_head())[0] == 200
            assert await connection.read_events() == [Text("one")]
            read.set()
            assert await connection.read_rest() == [Text("two"), Done()]

    async def test_heartbeats(self, http: str) -> None:
        read = anyio.Event()

        async def bot(request: QueryRequest, context: Context) -> str:
            await read.wait()
            return "at last"

        app = app_of(bot, Limits(heartbeat_seconds=0.01))
        async with on_uvicorn(app, http) as address, connect(address) as connection:
            await connection.send(http_request())
            await connection.read_head()
            assert await connection.read_chunk() == b": \n\n"
            read.set()
            assert await connection.read_rest() == [Text("at last"), Done()]

    async def test_a_disconnect_ends_the_bot(self, http: str) -> None:
        bot = WaitingBot()
        async with on_uvicorn(app_of(bot.respond), http) as address:
            async with connect(address) as connection:
                await connection.send(http_request())
                await connection.read_head()
                assert await connection.read_events() == [Text("hello")]
            await bot.ended.wait()
            await bot.closed.wait()

    async def test_a_disconnect_of_a_client_that_does_not_read_ends_the_bot(self, http: str) -> None:
        ended = anyio.Event()
        full = anyio.Event()
        made = 0

        async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
            nonlocal made
            try:
                while True:
                    made += 1
                    if made == 20:
                        full.set()
                    yield "x" * 50_000
            finally:
                ended.set()

        app = app_of(bot, Limits(text_length=10**10, events=10**9))
        async with on_uvicorn(app, http) as address:
            async with connect(address) as connection:
                await connection.send(http_request())
                await connection.read_head()
                await full.wait()
            await ended.wait()

    async def test_a_connection_is_used_again(self, http: str) -> None:
        async with on_uvicorn(app_of(echo), http) as address, connect(address) as connection:
            for _ in range(3):
                await connection.send(http_request())
                assert (await connection.read_response()).events == [Text("hello"), Done()]
            for body, status in ((b'{"type": "settings"}', 200), (b"[]", 400), (b'{"type": "dance"}', 501)):
                await connection.send(http_request(body))
                assert (await connection.read_response()).status == status

    async def test_the_index_page_and_its_head(self, http: str) -> None:
        async with on_uvicorn(app_of(echo), http) as address, connect(address) as connection:
            await connection.send(http_request(b"", method="HEAD", key=None))
            assert (await connection.read_head())[0] == 200
            await connection.send(http_request(b"", method="GET", key=None))
            assert (await connection.read_response()).status == 200

    async def test_refusals_before_the_body_is_read(self, http: str) -> None:
        async with on_uvicorn(app_of(echo, Limits(request_body=1000)), http) as address:
            for request, status in (
                (http_request(b" " * 1_000_000, key="Bearer wrong")[:200_000], 401),
                (http_request(b" " * 1_000_000)[:200_000], 413),
                (http_request(chunked=True) + chunk(b" " * 300) * 4, 413),
                (http_request(chunked=True, key=None) + chunk(b" ") * 1000, 401),
                (http_request(b"", method="PUT"), 405),
                (http_request(path="/elsewhere"), 404),
            ):
                assert (await fetch(address, request)).status == status

    async def test_behind_a_proxy_that_strips_a_path(self, http: str) -> None:
        # Uvicorn puts its root_path before the path it received.
        async with on_uvicorn(app_of(echo), http, root_path="/bots") as address:
            assert (await fetch(address, http_request())).events == [Text("hello"), Done()]


async def alive(request: Request) -> PlainTextResponse:
    return PlainTextResponse("alive")


def mounted(app: Any, **more: Any) -> Starlette:
    """A larger application with the bot below /bots/echo."""
    routes = [Route("/alive", alive), Mount("/bots", routes=[Mount("/echo", app=app)])]
    return Starlette(routes=routes, lifespan=app.lifespan, **more)


async def test_mounted_in_starlette() -> None:
    transport = httpx.ASGITransport(mounted(app_of(echo)))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        assert (await client.get("/alive")).text == "alive"
        headers = {"authorization": BEARER}
        # Starlette redirects from a mount without a slash to the one with it.
        answer = await client.post("/bots/echo/", content=query_body(), headers=headers)
        assert events_in(answer.content) == [Text("hello"), Done()]
        for path, body, status in (
            ("/bots/echo/", b'{"type": "settings"}', 200),
            ("/bots/echo/", b"[]", 400),
            ("/bots/echo/elsewhere", b"[]", 404),
            ("/bots/echoes", b"[]", 404),
        ):
            assert (await client.post(path, content=body, headers=headers)).status_code == status
        assert (await client.post("/bots/echo/", content=query_body())).status_code == 401
        assert (await client.get("/bots/echo/")).status_code == 200


async def test_mounted_in_starlette_on_uvicorn() -> None:
    bot = WaitingBot()
    async with on_uvicorn(mounted(app_of(bot.respond)), root_path="/outside") as address:
        async with connect(address) as connection:
            await connection.send(http_request(path="/bots/echo/"))
            assert (await connection.read_head())[0] == 200
            assert await connection.read_events() == [Text("hello")]
        await bot.ended.wait()
        await bot.closed.wait()


async def test_starlettes_compression_leaves_the_stream_alone() -> None:
    read = anyio.Event()

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield "one"
        await read.wait()
        yield "two"

    app = mounted(app_of(bot), middleware=[Middleware(GZipMiddleware, minimum_size=1)])
    async with on_uvicorn(app) as address, connect(address) as connection:
        await connection.send(http_request(path="/bots/echo/", headers=["Accept-Encoding: gzip"]))
        _, headers = await connection.read_head()
        assert "content-encoding" not in headers
        assert await connection.read_events() == [Text("one")]
        read.set()
        assert await connection.read_rest() == [Text("two"), Done()]


@pytest.fixture(params=["granian", "daphne"], scope="module")
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[asgi_processes.Host]:
    with asgi_processes.running(request.param, tmp_path_factory.mktemp(request.param)) as host:
        yield host


def ask(instruction: str) -> bytes:
    """The request of a query that commands the bot of `asgi_processes`."""
    return http_request(query_body(instruction))


@asynccontextmanager
async def started(host: asgi_processes.Host, instruction: str) -> AsyncGenerator[Connection]:
    """A connection on which this query has been sent, and the head of the response has arrived."""
    async with connect(host.address) as connection:
        await connection.send(ask(instruction))
        assert (await connection.read_head())[0] == 200
        yield connection


class TestInAProcessOfItsOwn:
    """Hosts that an event loop cannot run beside a test."""

    async def test_events_arrive_as_they_are_yielded(self, host: asgi_processes.Host) -> None:
        async with started(host, "hold") as connection:
            assert await connection.read_events() == [Text("one")]
            assert (await fetch(host.address, ask("release"))).events == [Text("released"), Done()]
            assert await connection.read_rest() == [Text("two"), Done()]

    async def test_heartbeats(self, host: asgi_processes.Host) -> None:
        async with started(host, "hold") as connection:
            await connection.read_events()
            assert await connection.read_chunk() == b": \n\n"
            await fetch(host.address, ask("release"))
            assert await connection.read_rest() == [Text("two"), Done()]

    async def test_a_client_that_disconnects_ends_the_bot(self, host: asgi_processes.Host) -> None:
        async with started(host, "wait") as connection:
            assert await connection.read_events() == [Text("hello")]
        for instruction in ("ended", "closed"):
            assert (await fetch(host.address, ask(instruction))).events == [Text(instruction), Done()]

    async def test_a_connection_is_used_again(self, host: asgi_processes.Host) -> None:
        async with connect(host.address) as connection:
            for _ in range(3):
                await connection.send(http_request())
                assert (await connection.read_response()).events == [Text("hello"), Done()]
            for body, status in ((b'{"type": "settings"}', 200), (b"[]", 400), (b'{"type": "dance"}', 501)):
                await connection.send(http_request(body))
                assert (await connection.read_response()).status == status

    async def test_the_index_page_and_its_head(self, host: asgi_processes.Host) -> None:
        async with connect(host.address) as connection:
            await connection.send(http_request(b"", method="HEAD", key=None))
            assert (await connection.read_head())[0] == 200
            await connection.send(http_request(b"", method="GET", key=None))
            assert (await connection.read_response()).status == 200

    async def test_large_bodies(self, host: asgi_processes.Host) -> None:
        text = "a" * 3_000_000
        assert (await fetch(host.address, ask(text))).events == [Text(text), Done()]
        parts = [chunk(data) for data in (query_body(text)[:100_000], query_body(text)[100_000:], b"")]
        answer = await fetch(host.address, http_request(chunked=True) + b"".join(parts))
        assert answer.events == [Text(text), Done()]

    async def test_refusals(self, host: asgi_processes.Host) -> None:
        """docs/howto/asgi_servers.md says which hosts read the whole body first."""
        large, unauthorized = http_request(b" " * 5_000_000), http_request(b" " * 1_000_000, key="Bearer wrong")
        # Granian resets a connection that still sends.
        sent = None if host.name == "daphne" else 200_000
        for request, status in (
            (unauthorized[:sent], 401),
            (large[:sent], 413),
            (http_request(b"", method="PUT"), 405),
            (http_request(path="/elsewhere"), 404),
        ):
            assert (await fetch(host.address, request)).status == status

    async def test_lifespans(self, host: asgi_processes.Host) -> None:
        """docs/howto/asgi_servers.md says which hosts run one."""
        scopes = "http" if host.name == "daphne" else "http lifespan"
        assert (await fetch(host.address, ask("scopes"))).events == [Text(scopes), Done()]

    async def test_an_unread_reply(self, host: asgi_processes.Host) -> None:
        """docs/howto/asgi_servers.md says which hosts have backpressure; the bot of another is not even held back."""
        async with started(host, "flood"):
            if host.name == "granian":
                # Cancelled, `Limits.send_seconds` after it was held back.
                assert (await fetch(host.address, ask("flooded"))).events == [Text("flooded"), Done()]
            else:
                while await kilobytes_made(host) < MORE_THAN_BUFFERS_HOLD:
                    pass
        assert (await fetch(host.address, ask("flooded"))).events == [Text("flooded"), Done()]
        assert (await kilobytes_made(host) < MORE_THAN_BUFFERS_HOLD) == (host.name == "granian")


MORE_THAN_BUFFERS_HOLD = 30_000  # kilobytes, of the kernel and of a server


async def kilobytes_made(host: asgi_processes.Host) -> int:
    text, _ = (await fetch(host.address, ask("how far?"))).events
    assert isinstance(text, Text)
    return int(text.text)


async def test_granian_waits_for_an_open_reply_when_it_stops(tmp_path: Path) -> None:
    with asgi_processes.running("granian", tmp_path) as host:
        async with started(host, "read gate") as connection:
            assert await connection.read_events() == [Text("one")]
            host.process.terminate()
            for _ in range(10):
                assert await connection.read_chunk() == b": \n\n"
            await anyio.Path(tmp_path / "gate").write_text("two")
            assert await connection.read_rest() == [Text("two"), Done()]
        await anyio.to_thread.run_sync(host.process.wait, asgi_processes.SECONDS)


async def test_daphne_breaks_off_an_open_reply_when_it_stops(tmp_path: Path) -> None:
    with asgi_processes.running("daphne", tmp_path) as host:
        async with started(host, "wait") as connection:
            assert await connection.read_events() == [Text("hello")]
            host.process.terminate()
            assert not (await connection.read_to_end()).endswith(b"0\r\n\r\n")
        await anyio.to_thread.run_sync(host.process.wait, asgi_processes.SECONDS)
