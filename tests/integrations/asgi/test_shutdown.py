"""Hypercorn's sockets: which connections are reset, at shutdown and when the client does not read; shared listeners."""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

import anyio
import anyio.abc
import anyio.lowlevel
import pytest

from poeproto import Bot, Context, Done, Error, Limits, QueryRequest, Text
from poeproto_asgi import BotApp, serve
from poeproto_asgi.descriptor_scan import ScannedConnections
from poeproto_runtime.listen import listen

from ...support.hypercorn_servers import app_of, on_each_event_loop, quick_config, serving
from ...support.raw_http import Connection, connect, fetch, http_request

pytestmark = [pytest.mark.anyio, on_each_event_loop]

ENDLESS = Limits(events=10**9, text_length=10**12)
END_OF_BODY = b"\r\n0\r\n\r\n"


class Talking:
    """A bot that talks until it is cancelled; has an event for its end and for its cleanup."""

    def __init__(self) -> None:
        self.made = 0
        self.ended = anyio.Event()
        self.closed = anyio.Event()

    async def respond(self, request: QueryRequest, context: Context) -> AsyncIterator[str]:
        async def closer() -> None:
            await anyio.lowlevel.checkpoint()
            self.closed.set()

        context.on_close(closer)
        try:
            while True:
                yield "a" * 1000
                self.made += 1
        finally:
            self.ended.set()

    async def until_held_back(self) -> None:
        """Until backpressure stops it."""
        seen = -1
        while seen != self.made:
            seen = self.made
            await anyio.wait_all_tasks_blocked()

    async def until_over(self) -> None:
        await self.ended.wait()
        await self.closed.wait()


async def waits(request: QueryRequest, context: Context) -> AsyncIterator[str]:
    yield "hello"
    await anyio.sleep_forever()


@asynccontextmanager
async def unread(address: str) -> AsyncGenerator[Connection]:
    """A connection whose response has begun, and which is not read from then on."""
    async with connect(address) as connection:
        await connection.send(http_request())
        await connection.read_head()
        yield connection


async def test_a_peer_that_does_not_read_does_not_keep_the_server() -> None:
    bot = Talking()
    async with anyio.create_task_group() as tasks:
        scope, over = anyio.CancelScope(), anyio.Event()

        async def run(*, task_status: anyio.abc.TaskStatus[str]) -> None:
            app = app_of(bot.respond, ENDLESS)
            with scope:
                await serve(app, bind="127.0.0.1:0", config=quick_config(), task_status=task_status)
            over.set()

        async with unread(await tasks.start(run)) as connection:
            await bot.until_held_back()
            scope.cancel()
            await over.wait()
            assert bot.ended.is_set()
            assert bot.closed.is_set()
            assert not (await connection.read_to_end()).endswith(END_OF_BODY)


async def test_a_peer_that_does_not_read_in_time_is_cut_off(caplog: pytest.LogCaptureFixture) -> None:
    bot = Talking()
    limits = Limits(events=10**9, text_length=10**12, send_seconds=0.2)
    listener = listen("127.0.0.1:0")
    scanned = ScannedConnections(listener)
    async with serving(app_of(bot.respond, limits), bind=listener) as address, unread(address) as connection:
        assert len(list(scanned.open())) == 1
        await bot.until_over()
        # The connection closes as well, and its buffer is discarded.
        while list(scanned.open()):  # noqa: ASYNC110 - no event reports it
            await anyio.sleep(0.01)
        assert not (await connection.read_to_end()).endswith(END_OF_BODY)
    assert caplog.records == []


async def test_an_incomplete_request_does_not_delay_the_stop() -> None:
    async with serving(app_of(waits), quick_config()) as address:
        connection = await anyio.connect_tcp("127.0.0.1", int(address.rstrip("/").rpartition(":")[2]))
        await connection.send(http_request()[:-5])
        await fetch(address, http_request(b"", method="GET", key=None))  # accepted after that one
    async with connection:
        with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await connection.receive()


async def test_open_replies_end_when_hypercorn_stops_for_a_reason_of_its_own() -> None:
    config = quick_config()
    config.max_requests = 1
    async with anyio.create_task_group() as tasks:
        over = anyio.Event()

        async def run(*, task_status: anyio.abc.TaskStatus[str]) -> None:
            await serve(app_of(waits), bind="127.0.0.1:0", config=config, task_status=task_status)
            over.set()

        address = await tasks.start(run)
        async with connect(address) as connection:
            await connection.send(http_request())
            await connection.read_head()
            assert await connection.read_events() == [Text("hello")]
            await fetch(address, http_request(b"", method="GET", key=None))
            error, done = await connection.read_rest()
            assert isinstance(error, Error)
            assert error.allow_retry
            assert done == Done()
        await over.wait()


async def test_the_configuration_is_unchanged() -> None:
    config = quick_config()
    async with serving(app_of(waits), config):
        pass
    assert config.graceful_timeout == 0.2
    assert config.bind == ["127.0.0.1:8000"]


async def test_the_serving_task_can_continue() -> None:
    # asyncio's task groups can leave a cancellation request behind, which then confuses scopes around them.
    with anyio.CancelScope() as scope:
        async with serving(app_of(waits), quick_config()) as address, connect(address) as connection:
            await connection.send(http_request())
            await connection.read_head()
            scope.cancel()
    assert scope.cancelled_caught
    with anyio.CancelScope() as scope:
        scope.cancel()
        await anyio.lowlevel.checkpoint()
    assert scope.cancelled_caught


async def test_a_server_that_stops_does_not_reset_the_next_one_at_its_address() -> None:
    """Another server listens at its address while it shuts down; the connections of that one stay open."""
    first = socket.create_server(("127.0.0.1", 0), reuse_port=True)
    bind = first.getsockname()
    async with anyio.create_task_group() as tasks:
        bot = Talking()
        app = app_of(bot.respond, ENDLESS)
        scope, over = anyio.CancelScope(), anyio.Event()

        async def run(*, task_status: anyio.abc.TaskStatus[str]) -> None:
            with scope:
                await serve(app, bind=first, config=quick_config(), task_status=task_status)
            over.set()

        async with unread(await tasks.start(run)):
            await bot.until_held_back()
            with socket.create_server(bind, reuse_port=True) as second:
                scope.cancel()
                # Once the first has closed its own, each is the second's.
                second.setblocking(False)
                peer, theirs = await connected(second)
                with peer, theirs:
                    await over.wait()
                    peer.sendall(b"a")
                    assert theirs.recv(1) == b"a"


async def connected(listener: socket.socket) -> tuple[socket.socket, socket.socket]:
    """Both ends of a connection to this listener."""
    while True:
        peer = socket.create_connection(listener.getsockname())
        await anyio.sleep(0.01)
        with suppress(BlockingIOError):
            while True:
                connection, address = listener.accept()
                if address == peer.getsockname():
                    return peer, connection
                connection.close()
        peer.close()


async def test_a_listener_that_workers_share_is_at_no_time_made_to_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it blocks is one thing for all of them, and one that accepts meanwhile would stand still."""
    timeouts: list[float | None] = []
    set_timeout = socket.socket.settimeout

    def watched(self: socket.socket, value: float | None, /) -> None:
        timeouts.append(value)
        set_timeout(self, value)

    listener = socket.create_server(("127.0.0.1", 0))
    monkeypatch.setattr(socket.socket, "settimeout", watched)
    async with anyio.create_task_group() as tasks:
        await tasks.start(partial(serve, BotApp(Bot(), allow_without_key=True), bind=listener))
        tasks.cancel_scope.cancel()
    assert None not in timeouts
