"""The embedded server in the test's own event loop."""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel
import attrs

from poeproto import Bot, Context, QueryRequest, SettingsRequest, SettingsResponse
from poeproto_h11 import ServerLimits, serve
from poeproto_runtime import BotService

from .bots import KEY
from .raw_http import Connection

_SMALL = 8 * 1024

LONG_GRACE = ServerLimits(grace_seconds=3600.0)

SETTINGS = SettingsResponse(introduction_message="hello")


class EchoBot(Bot):
    """Answers with the last message of the query."""

    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield request.query[-1].content

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        return SETTINGS


class WaitingBot(Bot):
    """Says hello and waits to be cancelled; sets `ended` and `closed`."""

    def __init__(self) -> None:
        self.ended = anyio.Event()
        self.closed = anyio.Event()

    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[str]:
        context.on_close(self._close)
        try:
            yield "hello"
            await anyio.sleep_forever()
        finally:
            self.ended.set()

    async def _close(self) -> None:
        await anyio.lowlevel.checkpoint()
        self.closed.set()


class TalkingBot(Bot):
    """Sends text until it is cancelled; counts the characters sent in `said`, and sets `ended`."""

    WORDS = "a" * 1000

    def __init__(self) -> None:
        self.said = 0
        self.ended = anyio.Event()

    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[str]:
        try:
            while True:
                yield self.WORDS
                self.said += len(self.WORDS)
        finally:
            self.ended.set()

    async def until_held_back(self) -> None:
        """Wait until backpressure holds the bot, not merely a pause of the kernel."""
        before, times = -1, 0
        while times < 10:
            times = times + 1 if before == self.said else 0
            before = self.said
            await anyio.wait_all_tasks_blocked()


def small_listener() -> socket.socket:
    """A listening socket whose connections have small kernel buffers."""
    listener = socket.create_server(("127.0.0.1", 0))
    for which in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        listener.setsockopt(socket.SOL_SOCKET, which, _SMALL)
    return listener


def take_little(connection: Connection) -> None:
    """Have the kernel buffer little that the client does not read."""
    raw = connection.stream.extra(anyio.abc.SocketAttribute.raw_socket)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL)


@asynccontextmanager
async def serving(app: Any = None, **options: Any) -> AsyncGenerator[str]:
    """An embedded server with this bot or application, by default an echo bot with a key; yields its address."""
    options = {"bind": "127.0.0.1:0", **options}
    if app is None:
        app, options = EchoBot(), {"access_key": KEY, **options}
    async with anyio.create_task_group() as tasks:

        async def run(*, task_status: anyio.abc.TaskStatus[str]) -> None:
            await serve(app, task_status=task_status, **options)

        yield await tasks.start(run)
        tasks.cancel_scope.cancel()


@attrs.frozen
class AppOf:
    """An application in whose `service` attribute `serve` finds the service."""

    service: BotService


class Stopping:
    """A server that can be stopped while clients are connected.

    Attributes:
        over: set when `serve` has returned.
    """

    def __init__(self) -> None:
        self.address = ""
        self.scope = anyio.CancelScope()
        self.over = anyio.Event()

    def stop(self) -> None:
        self.scope.cancel()


@asynccontextmanager
async def stopping(app: Any, server_limits: ServerLimits = LONG_GRACE, **options: Any) -> AsyncGenerator[Stopping]:
    """An embedded server with this bot or application, for a test that stops it."""
    server = Stopping()
    options = {"bind": "127.0.0.1:0", "access_key": KEY, **options}

    async def run(*, task_status: anyio.abc.TaskStatus[str]) -> None:
        with server.scope:
            await serve(app, server_limits=server_limits, task_status=task_status, **options)
        server.over.set()

    async with anyio.create_task_group() as tasks:
        server.address = await tasks.start(run)
        yield server
        server.stop()
