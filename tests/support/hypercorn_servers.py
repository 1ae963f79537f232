"""Hypercorn in the test's own event loop, with a `BotApp` or with any ASGI application."""

from __future__ import annotations

import importlib.util
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from hypercorn.config import Config

from poeproto import Limits
from poeproto_asgi import BotApp, serve
from poeproto_asgi.server import in_trio_task, load_hypercorn_serve
from poeproto_runtime.listen import address_of, listen

from .bots import KEY, FunctionBot, Respond

# For a module's `pytestmark`: runs each test on every event loop that Hypercorn supports here.
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
    """An application whose lifespan raises an OSError, at its "startup" or its "shutdown"."""

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
    """Hypercorn's configuration with a short graceful timeout."""
    config = Config()
    config.loglevel = "WARNING"
    config.graceful_timeout = 0.2
    return config


@asynccontextmanager
async def serving(
    app: BotApp, config: Config | None = None, bind: str | socket.socket = "127.0.0.1:0"
) -> AsyncGenerator[str]:
    """A server with this application; yields its address, and stops it on exit."""
    async with anyio.create_task_group() as tasks:

        async def run(*, task_status: anyio.abc.TaskStatus[str]) -> None:
            await serve(app, bind=bind, config=config, task_status=task_status)

        address = await tasks.start(run)
        try:
            yield address
        finally:
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def hosting(app: Any) -> AsyncGenerator[str]:
    """A server with any ASGI application, lifespan included; yields its address, and stops it on exit."""
    listener = listen("127.0.0.1:0")
    address = address_of(listener)
    config = quick_config()
    config.bind = [f"fd://{listener.detach()}"]
    serve = load_hypercorn_serve(in_trio_task())
    stop = anyio.Event()
    async with anyio.create_task_group() as tasks:

        async def run() -> None:
            await serve(app, config, shutdown_trigger=stop.wait)

        tasks.start_soon(run)
        try:
            yield address
        finally:
            stop.set()
