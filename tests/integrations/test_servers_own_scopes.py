"""Bots that yield from inside task groups of their own, one task of which fails: how either server ends the reply."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from poeproto import Context, Done, Error, Event, Limits, QueryRequest, Text
from poeproto_asgi import BotApp

from ..support import embedded_servers, hypercorn_servers
from ..support.bots import KEY, FunctionBot, query_body
from ..support.raw_http import connect, fetch, http_request
from ..support.scripted_asgi import body_messages, http_scope

pytestmark = pytest.mark.anyio

ENDLESS = Limits(events=10**9, text_length=10**12)


@pytest.fixture(params=["hypercorn", "embedded"])
def host(request: pytest.FixtureRequest) -> Any:
    return hypercorn_servers.serving if request.param == "hypercorn" else embedded_servers.serving


def assert_is_a_beginning_and_an_error(events: list[Event], said: list[Event]) -> None:
    *before, error, done = events
    assert before == said[: len(before)]
    assert isinstance(error, Error)
    assert done == Done()


async def test_a_task_of_anyio_that_fails_after_its_last_event(host: Any) -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        sender, receiver = anyio.create_memory_object_stream[str](1)

        async def think() -> None:
            with sender:
                await sender.send("one")
                await anyio.wait_all_tasks_blocked()
                sender.send_nowait("two")
                raise LookupError("the thread is lost")

        async with anyio.create_task_group() as tasks, receiver:
            tasks.start_soon(think)
            async for word in receiver:
                yield word

    async with host(BotApp(FunctionBot(bot), access_key=KEY)) as address:
        for _ in range(20):  # trio has tasks run in any order
            response = await fetch(address, http_request())
            assert_is_a_beginning_and_an_error(response.events, [Text("one"), Text("two")])


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_task_of_asyncio_that_fails_after_its_last_event(host: Any) -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        words: asyncio.Queue[str] = asyncio.Queue()

        async def think() -> None:
            words.put_nowait("one")
            await anyio.wait_all_tasks_blocked()
            words.put_nowait("two")
            raise LookupError("the thread is lost")

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(think())
            while True:
                yield await words.get()

    async with host(BotApp(FunctionBot(bot), access_key=KEY)) as address:
        response = await fetch(address, http_request())
    assert_is_a_beginning_and_an_error(response.events, [Text("one"), Text("two")])


class Stuck(embedded_servers.TalkingBot):
    """Has a task of its own, which fails when the bot is held back by a peer that does not read."""

    WORDS = "a" * 1_000_000  # more than the system takes, so that a part is sent

    def __init__(self) -> None:
        super().__init__()
        self.fail = anyio.Event()

    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[str]:
        async def think() -> None:
            await self.fail.wait()
            raise LookupError("the thread is lost")

        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(think)
                while True:
                    await anyio.lowlevel.checkpoint()
                    yield self.WORDS
        finally:
            self.ended.set()


async def test_an_event_of_which_a_part_is_sent_is_the_last_of_the_embedded_server() -> None:
    bot = Stuck()
    app = BotApp(bot, access_key=KEY, limits=ENDLESS)
    async with (
        embedded_servers.serving(app, bind=embedded_servers.small_listener()) as address,
        connect(address) as connection,
    ):
        embedded_servers.take_little(connection)
        await connection.send(http_request())
        await connection.read_head()
        await bot.until_held_back()
        bot.fail.set()
        await bot.ended.wait()
        # By a reset, as of every reply that is broken off.
        with pytest.raises(anyio.BrokenResourceError):
            while True:
                assert b"event: done" not in await connection.stream.receive()


async def test_an_event_of_which_a_part_is_handed_over_is_the_last() -> None:
    fail = anyio.Event()
    sent: list[dict[str, Any]] = []
    messages = body_messages(query_body())

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        async def think() -> None:
            await fail.wait()
            raise LookupError("the thread is lost")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(think)
            await anyio.lowlevel.checkpoint()
            yield "a" * 100_000

    async def receive() -> dict[str, Any]:
        if not messages:
            await anyio.sleep_forever()
        return messages.pop(0)

    async def send(message: Any) -> None:
        if len(sent) == 2:
            fail.set()
            await anyio.sleep_forever()
        sent.append(message)

    await BotApp(FunctionBot(bot), access_key=KEY)(http_scope(), receive, send)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[-1]["more_body"]
