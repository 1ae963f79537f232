"""A real server in the test's own event loop."""

from __future__ import annotations

import importlib.util
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import pytest
from hypercorn.config import Config

from poeproto import Limits
from poeproto_asgi import BotApp, serve

from .bots import KEY, FunctionBot, Respond

# For a module's `pytestmark`: each of its tests on all that Hypercorn runs on here.
on_each_event_loop = pytest.mark.parametrize(
    "anyio_backend",
    [
        "asyncio",
        pytest.param(
            ("asyncio", {"use_uvloop": True}),
            marks=pytest.mark.skipif(importlib.util.find_spec("uvloop") is None, reason="uvloop is not installed"),
            id="uvloop",
        ),
        "trio",
    ],
)


class RefusedApp(BotApp):
    """An application whose lifespan raises an OSError at "startup" or at "shutdown"."""

    def __init__(self, respond: Respond, stage: str) -> None:
        super().__init__(FunctionBot(respond), access_key=KEY)
        self._stage = stage

    @asynccontextmanager
    async def lifespan(self, app: object = None) -> AsyncGenerator[None]:
        if self._stage == "startup":
            raise OSError("no space")
        yield
        raise OSError("no space")


def app_of(respond: Respond, limits: Limits | None = None) -> BotApp:
    """An application with one bot."""
    return BotApp(FunctionBot(respond), access_key=KEY, limits=limits)


def quick_config() -> Config:
    """Hypercorn's configuration, with a short graceful timeout."""
    config = Config()
    config.loglevel = "WARNING"
    config.graceful_timeout = 0.2
    return config


@asynccontextmanager
async def serving(
    app: BotApp, config: Config | None = None, bind: str | socket.socket = "127.0.0.1:0"
) -> AsyncGenerator[str]:
    """Serve the application; gives the address, and ends the server at the end."""
    async with anyio.create_task_group() as tasks:

        async def run(*, task_status: anyio.abc.TaskStatus[str]) -> None:
            await serve(app, bind=bind, config=config, task_status=task_status)

        address = await tasks.start(run)
        try:
            yield address
        finally:
            tasks.cancel_scope.cancel()
