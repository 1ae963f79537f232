"""The servers of the other tests, in an event loop of their own thread: for clients that block."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

import anyio
import anyio.abc
from anyio.from_thread import BlockingPortal

import poeproto_h11
from poeproto import Bot
from poeproto_asgi import BotApp

from .bots import KEY
from .hypercorn_servers import serving
from .scripted_peer import Script, ScriptedServer, scripted


class ScriptedServerInThread:
    """A `ScriptedServer` for another thread."""

    def __init__(self, server: ScriptedServer, portal: BlockingPortal) -> None:
        self.address = server.address
        self.requests = server.requests
        self._server = server
        self._portal = portal

    @property
    def connections(self) -> int:
        return self._server.connections

    def until_closed(self, count: int) -> None:
        """Return when this many connections have ended."""
        self._portal.call(self._server.until_closed, count)


@contextmanager
def scripted_in_thread(portal: BlockingPortal, *scripts: Script) -> Generator[ScriptedServerInThread]:
    """A scripted server, in the portal's event loop."""
    with portal.wrap_async_context_manager(scripted(*scripts)) as server:
        yield ScriptedServerInThread(server, portal)


@contextmanager
def serving_in_thread(portal: BlockingPortal, app: BotApp) -> Generator[str]:
    """Hypercorn with this application, in the portal's event loop; gives the address."""
    with portal.wrap_async_context_manager(serving(app)) as address:
        yield address


@contextmanager
def serving_embedded_in_thread(portal: BlockingPortal, bot: Bot) -> Generator[str]:
    """The small embedded server with this bot, in the portal's event loop; gives the address."""

    @asynccontextmanager
    async def serving_embedded() -> AsyncGenerator[str]:
        async with anyio.create_task_group() as tasks:

            async def run(*, task_status: anyio.abc.TaskStatus[str]) -> None:
                await poeproto_h11.serve(bot, bind="127.0.0.1:0", access_key=KEY, task_status=task_status)

            try:
                yield await tasks.start(run)
            finally:
                tasks.cancel_scope.cancel()

    with portal.wrap_async_context_manager(serving_embedded()) as address:
        yield address
