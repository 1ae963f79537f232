"""The gateway with a bot for each vector, and bot servers that fail, each in a thread of its own."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterable, Mapping
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, ClassVar

import anyio
import anyio.abc
from anyio.from_thread import BlockingPortal

import poeproto_h11
from poeproto import Bot, Context, Event, QueryRequest, encode_event
from poeproto_openai import OpenAIGateway
from poeproto_openai.gateway.models import GatewayBot

from ...support.bots import KEY
from .vectors import Cut, Fail, Refuse, Silence, Vector

__all__ = ["KEEPALIVE_SECONDS", "Gateway", "ScriptedBot", "Upstream", "bots_of", "serving_gateway", "serving_upstream"]

KEEPALIVE_SECONDS = 0.05


class ScriptedBot(Bot):
    """Replies as its vector says.

    Attributes:
        requests: the queries that it was asked.
    """

    attachment_templates = None

    def __init__(self, vector: Vector) -> None:
        self._steps = vector.steps
        self.requests: list[QueryRequest] = []

    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[Event]:
        self.requests.append(request)
        for step in self._steps:
            match step:
                case Fail():
                    raise ZeroDivisionError("of the bot")
                case Silence():
                    await anyio.sleep(step.intervals * KEEPALIVE_SECONDS)
                case Cut() | Refuse():
                    raise AssertionError("a step of a bot's server")
                case event:
                    yield event


class _Upstream(BaseHTTPRequestHandler):
    """A bot server: the path is the name of a vector. It ends the connection when the steps are over."""

    vectors: ClassVar[dict[str, Vector]] = {}

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        vector = self.vectors[self.path[1:]]
        self.server.calls.append(vector.name)  # pyright: ignore[reportAttributeAccessIssue]
        for number, step in enumerate(vector.steps):
            if isinstance(step, Refuse):
                self.send_response(step.status)
                if step.retry_after is not None:
                    self.send_header("retry-after", step.retry_after)
                self.end_headers()
                return
            if number == 0:
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.end_headers()
            if not isinstance(step, Cut | Fail | Silence):
                self.wfile.write(encode_event(step))

    def log_message(self, format: str, *args: object) -> None:
        """No log."""


class Upstream:
    """A bot server that fails.

    Attributes:
        address: its URL, without the name of a vector.
        calls: the names of the vectors that it was asked for.
    """

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.address = f"http://127.0.0.1:{server.server_port}"
        self.calls: list[str] = []
        server.calls = self.calls  # pyright: ignore[reportAttributeAccessIssue]


@contextmanager
def serving_upstream(vectors: Iterable[Vector]) -> Generator[Upstream]:
    """The bot server of the vectors that need one."""
    handler = type("Handler", (_Upstream,), {"vectors": {vector.name: vector for vector in vectors}})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield Upstream(server)
        finally:
            server.shutdown()
            thread.join()


def bots_of(vectors: Iterable[Vector], upstream: str) -> dict[str, Bot | str]:
    """A bot for each vector; by its URL, if its server fails."""
    return {
        vector.name: f"{upstream}/{vector.name}"
        if any(isinstance(step, Cut | Refuse) for step in vector.steps)
        else ScriptedBot(vector)
        for vector in vectors
    }


class Gateway:
    """A gateway that is served.

    Attributes:
        address: its base URL, as clients want it.
        bots: its bots.
    """

    def __init__(self, address: str, bots: Mapping[str, GatewayBot]) -> None:
        self.address = address
        self.bots = bots

    def requests(self, name: str) -> list[QueryRequest]:
        """The queries that this bot was asked."""
        bot = self.bots[name]
        assert isinstance(bot, ScriptedBot)
        return bot.requests


@contextmanager
def serving_gateway(portal: BlockingPortal, bots: Mapping[str, GatewayBot], **options: Any) -> Generator[Gateway]:
    """A gateway with these bots, in the portal's event loop."""
    given: dict[str, Any] = {"api_keys": KEY, **options}
    app = OpenAIGateway(bots, **given)

    @asynccontextmanager
    async def serving() -> AsyncGenerator[str]:
        async with anyio.create_task_group() as tasks:

            async def run(*, task_status: anyio.abc.TaskStatus[str]) -> None:
                await poeproto_h11.serve(app, bind="127.0.0.1:0", task_status=task_status)

            try:
                yield await tasks.start(run)
            finally:
                tasks.cancel_scope.cancel()

    with portal.wrap_async_context_manager(serving()) as address:
        yield Gateway(f"{address}v1", bots)
