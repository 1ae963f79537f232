"""A served simulator, and bots with servers of their own that call it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from poeproto import Endpoints, Event, Limits, QueryRequest, SettingsResponse
from poeproto_asgi import BotApp
from poeproto_h11 import Client
from poeproto_simulator import Scripted, Simulator

from .bots import KEY
from .hypercorn_servers import serving

Work = Callable[[QueryRequest, Client], AsyncIterator[Event | str]]


class Place:
    """A served simulator, and bots with servers of their own, which call it with a client."""

    def __init__(self, simulator: Simulator, address: str, stack: AsyncExitStack) -> None:
        self.simulator = simulator
        self.address = address
        self._stack = stack

    async def client(self, access_key: str) -> Client:
        client = Client(api_key=access_key, access_key=access_key, endpoints=Endpoints.at(self.address))
        return await self._stack.enter_async_context(client)

    async def add(self, name: str, work: Work, calls: dict[str, int] | None = None, key: str = KEY) -> None:
        client = await self.client(key)
        bot = Scripted(lambda request: work(request, client), SettingsResponse(server_bot_dependencies=calls or {}))
        url = await self._stack.enter_async_context(serving(BotApp(bot, access_key=key)))
        self.simulator.register(name, url, access_key=key)


@asynccontextmanager
async def a_place(**arguments: object) -> AsyncGenerator[Place]:
    # A busy machine must not fail a test; none of them is about time.
    limits = Limits(first_answer_seconds=30)
    simulator = Simulator(limits=limits, **arguments)  # pyright: ignore[reportArgumentType]
    async with simulator.serving() as address, AsyncExitStack() as stack:
        yield Place(simulator, address, stack)
