"""Many clients that disconnect, and clients that do not read: what either server holds of them afterwards."""

from __future__ import annotations

import fcntl
import socket
import struct
import sys
import termios
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import anyio.abc
import anyio.lowlevel
import pytest

import poeproto_h11
from poeproto import Context, Limits, QueryRequest, Text, encode_event
from poeproto_asgi import BotApp, serve
from poeproto_asgi.descriptor_scan import ScannedConnections
from poeproto_runtime.listen import address_of, listen

from ..support.bots import query_body
from ..support.hypercorn_servers import app_of, quick_config
from ..support.raw_http import Connection, connect, http_request

pytestmark = pytest.mark.anyio

LETTERS = "a" * 1000
EVENT = len(encode_event(Text(LETTERS)))
HELD = 256 * 1024


@pytest.fixture(params=["hypercorn", "embedded"])
def host(request: pytest.FixtureRequest) -> str:
    return request.param


class Masses:
    """A bot that talks, is silent or floods, as the query says, and counts its replies."""

    def __init__(self) -> None:
        self.started = self.ended = self.closed = self.made = 0
        self._changed = anyio.Event()

    async def respond(self, request: QueryRequest, context: Context) -> AsyncIterator[str]:
        self.started += 1
        context.on_close(self._close)
        try:
            yield "hello"
            while request.query[-1].content == "talk":
                await anyio.sleep(0.01)
                yield "and on"
            while request.query[-1].content == "flood":
                yield LETTERS
                self.made += 1
            await anyio.sleep_forever()
        finally:
            self.ended += 1

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self._changed.wait()

    async def _close(self) -> None:
        await anyio.lowlevel.checkpoint()
        self.closed += 1
        self._changed.set()
        self._changed = anyio.Event()


@asynccontextmanager
async def serving_on(host: str, app: BotApp, listener: socket.socket) -> AsyncGenerator[str]:
    address = address_of(listener)

    async def run() -> None:
        if host == "hypercorn":
            await serve(app, bind=listener, config=quick_config())
        else:
            await poeproto_h11.serve(app, bind=listener)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        yield address
        tasks.cancel_scope.cancel()


def raw(connection: Connection) -> socket.socket:
    return connection.stream.extra(anyio.abc.SocketAttribute.raw_socket)


def reset(connection: Connection) -> None:
    """Have its end be a reset."""
    raw(connection).setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def closed(scanned: ScannedConnections) -> None:
    """Until the server has no connection left."""
    while list(scanned.open()):  # noqa: ASYNC110 - no event reports it
        await anyio.sleep(0.01)


@pytest.mark.parametrize("manner", ["talk", "be silent"])
async def test_connections_that_clients_reset_are_released(host: str, manner: str) -> None:
    bot, count = Masses(), 50
    present, leave = anyio.Semaphore(0), anyio.Event()

    async def come_and_go(address: str) -> None:
        async with connect(address) as connection:
            await connection.send(http_request(query_body(manner)))
            await connection.read_head()
            await connection.read_events()
            present.release()
            await leave.wait()
            reset(connection)

    listener = listen("127.0.0.1:0")
    scanned = ScannedConnections(listener)
    async with serving_on(host, app_of(bot.respond), listener) as address:
        async with anyio.create_task_group() as tasks:
            for _ in range(count):
                tasks.start_soon(come_and_go, address)
            for _ in range(count):
                await present.acquire()
            assert (bot.started, bot.ended, bot.closed) == (count, 0, 0)
            leave.set()
        await bot.until(lambda: bot.closed == count)
        assert bot.ended == count
        await closed(scanned)


async def test_connections_that_end_before_the_first_byte_are_released(host: str) -> None:
    bot = Masses()
    request = http_request(query_body("be silent"))
    head = request.index(b"\r\n\r\n") + 4
    listener = listen("127.0.0.1:0")
    scanned = ScannedConnections(listener)
    async with serving_on(host, app_of(bot.respond), listener) as address:
        for length in (0, head // 2, head, (head + len(request)) // 2, len(request)) * 5:
            async with connect(address) as connection:
                if length:
                    await connection.send(request[:length])
                reset(connection)
        await closed(scanned)
        await bot.until(lambda: bot.started == bot.ended == bot.closed)


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux what its buffers hold")
async def test_little_is_held_for_a_peer_that_does_not_read(host: str) -> None:
    bot = Masses()
    listener = listen("127.0.0.1:0")
    scanned = ScannedConnections(listener)
    limits = Limits(events=10**9, text_length=10**12)
    async with serving_on(host, app_of(bot.respond, limits), listener) as address:
        async with connect(address) as connection:
            await connection.send(http_request(query_body("flood")))
            await connection.read_head()
            seen = -1
            while seen != bot.made:
                seen = bot.made
                # The system's buffers fill in steps: only a bot that made nothing for a while is held back.
                await anyio.sleep(0.1)
            # Sent and not yet taken, by the peer's system or by the peer.
            in_system = [_pending(end, termios.TIOCOUTQ) for end in scanned.open()]
            in_system.append(_pending(raw(connection), termios.FIONREAD))
            assert bot.made * EVENT - sum(in_system) <= HELD
            assert bot.ended == 0
        await bot.until(lambda: bot.closed == 1)
        assert bot.ended == 1


def _pending(connection: socket.socket, what: int) -> int:
    return struct.unpack("i", fcntl.ioctl(connection.fileno(), what, b"\0" * 4))[0]
