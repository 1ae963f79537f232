"""Bots that yield within task groups and scopes of their own, which can cancel the runtime's writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from poeproto import BotError, Context, Done, Error, Event, Limits, QueryRequest, Text

from ...support.bots import SECRET
from ...support.memory_channel import MemoryChannel, answer

pytestmark = pytest.mark.anyio

Wait = Callable[[], Awaitable[object]]
# A block around a `yield` that ends as soon as the function given to it returns.
Held = Callable[[Wait], AbstractAsyncContextManager[object]]


class AnyioTaskGroup:
    """A task group of anyio whose child fails."""

    def __init__(self, until: Wait, failure: Exception | None = None) -> None:
        self._until = until
        self._failure = failure or LookupError(SECRET)
        self._group = anyio.create_task_group()

    async def __aenter__(self) -> None:
        tasks = await self._group.__aenter__()
        tasks.start_soon(self._fail)

    async def __aexit__(self, *exc: Any) -> bool | None:
        return await self._group.__aexit__(*exc)

    async def _fail(self) -> None:
        await self._until()
        raise self._failure


class AnyioScope:
    """That another task cancels."""

    def __init__(self, until: Wait) -> None:
        self._until = until
        self._scope = anyio.CancelScope()
        self._group = anyio.create_task_group()

    async def __aenter__(self) -> None:
        tasks = await self._group.__aenter__()
        tasks.start_soon(self._cancel)
        self._scope.__enter__()

    async def __aexit__(self, *exc: Any) -> bool | None:
        caught = self._scope.__exit__(*exc)
        return await self._group.__aexit__(*((None, None, None) if caught else exc))

    async def _cancel(self) -> None:
        await self._until()
        self._scope.cancel()


class AsyncioTaskGroup:
    """A task group of asyncio whose child fails."""

    def __init__(self, until: Wait) -> None:
        self._until = until
        self._group = asyncio.TaskGroup()

    async def __aenter__(self) -> None:
        tasks = await self._group.__aenter__()
        tasks.create_task(self._fail())

    async def __aexit__(self, *exc: Any) -> bool | None:
        return await self._group.__aexit__(*exc)

    async def _fail(self) -> None:
        await self._until()
        raise LookupError(SECRET)


class AsyncioTimeout:
    """The standard library's."""

    def __init__(self, until: Wait) -> None:
        self._until = until
        self._timeout = asyncio.timeout(None)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()
        self._task = asyncio.create_task(self._expire())

    async def __aexit__(self, *exc: Any) -> bool | None:
        assert self._task is not None
        await self._task
        return await self._timeout.__aexit__(*exc)

    async def _expire(self) -> None:
        await self._until()
        self._timeout.reschedule(0)


each_block = pytest.mark.parametrize(
    ("anyio_backend", "held"),
    [
        *(("asyncio", held) for held in (AnyioTaskGroup, AnyioScope, AsyncioTaskGroup, AsyncioTimeout)),
        *(("trio", held) for held in (AnyioTaskGroup, AnyioScope)),
    ],
)


def assert_ends_with_error(channel: MemoryChannel, before: list[Event]) -> None:
    assert channel.ended
    *events, error, done = channel.events
    assert events == before
    assert isinstance(error, Error)
    assert error.text is not None
    assert SECRET not in error.text
    assert done == Done()


@each_block
async def test_a_write_that_the_bots_own_scope_cuts_short(held: Held, caplog: pytest.LogCaptureFixture) -> None:
    channel = MemoryChannel()
    seen: list[str] = []

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        try:
            async with held(lambda: channel.until(lambda: channel.attempts == 2)):
                await anyio.lowlevel.checkpoint()
                yield "before"
                channel.open = anyio.Event()
                await anyio.lowlevel.checkpoint()
                yield "nobody knows how much of this is sent"
        finally:
            seen.append("finally")
            channel.open.set()

    await answer(bot, channel)
    assert_ends_with_error(channel, [Text("before")])
    assert seen == ["finally"]
    assert [record.levelname for record in caplog.records] == ["ERROR"]


@each_block
async def test_data_after_a_write_that_was_cut_short_is_not_sent(held: Held) -> None:
    """With a hole in it, a text would still look complete."""
    channel = MemoryChannel()

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        async with held(lambda: channel.until(lambda: channel.attempts == 2)):
            await anyio.lowlevel.checkpoint()
            yield "first"
            channel.open = anyio.Event()
            for number in range(100):
                yield f"{number:100}"

    async def open_again() -> None:
        await channel.until(lambda: channel.attempts == 3)
        channel.open.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(open_again)
        await answer(bot, channel, Limits(write_buffer=1000))
    assert_ends_with_error(channel, [Text("first")])


@each_block
async def test_a_bot_that_is_held_back_while_its_own_scope_ends(held: Held) -> None:
    channel = MemoryChannel()
    held_back = anyio.Event()

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        async with held(held_back.wait):
            yield "first"
            channel.open = anyio.Event()
            yield "the writer's task is stuck with this"
            await channel.until(lambda: channel.attempts == 2)
            while True:
                yield "a" * 100

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(answer, bot, channel, Limits(write_buffer=1000))
        await channel.until(lambda: channel.attempts == 2)
        await anyio.wait_all_tasks_blocked()
        held_back.set()
        await anyio.wait_all_tasks_blocked()
        channel.open.set()
    assert channel.ended
    first, stuck, *rest, error, done = channel.events
    assert (first, stuck) == (Text("first"), Text("the writer's task is stuck with this"))
    assert set(rest) == {Text("a" * 100)}
    assert isinstance(error, Error)
    assert done == Done()


async def test_an_error_of_another_bot_that_cuts_a_write_short_is_forwarded() -> None:
    channel = MemoryChannel()
    theirs = Error(allow_retry=False, text="You asked too much.", error_type="user_caused_error")

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        cut = lambda: channel.until(lambda: channel.attempts == 1)  # noqa: E731
        try:
            async with AnyioTaskGroup(cut, BotError(theirs)):
                channel.open = anyio.Event()
                await anyio.lowlevel.checkpoint()
                yield "nobody knows how much of this is sent"
        finally:
            channel.open.set()

    await answer(bot, channel)
    assert channel.events == [theirs, Done()]


@each_block
async def test_a_disconnect_during_a_write_within_a_scope_of_the_bots(held: Held) -> None:
    channel = MemoryChannel()
    never = anyio.Event()

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        async with held(never.wait):
            await anyio.lowlevel.checkpoint()
            yield "before"
            channel.open = anyio.Event()
            await anyio.lowlevel.checkpoint()
            yield "nobody reads this"

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(answer, bot, channel)
        await channel.until(lambda: channel.attempts == 2)
        channel.gone.set()
        never.set()
    assert channel.events == [Text("before")]
    assert not channel.ended


async def test_a_bot_that_fails_while_its_deadline_cuts_a_write_short() -> None:
    """Who does not read is not written to once more."""
    channel = MemoryChannel()

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        try:
            await anyio.lowlevel.checkpoint()
            channel.open = anyio.Event()
            yield "nobody reads this"
        finally:
            raise LookupError(SECRET)

    await answer(bot, channel, Limits(answer_seconds=0.02))
    assert (channel.attempts, channel.writes, channel.ended) == (1, [], False)


@each_block
async def test_events_after_a_cancelled_scope_of_the_bot_are_lost(held: Held) -> None:
    """It is closed within the scope, so that it does not come to say it; the client gets an error."""
    channel = MemoryChannel()

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        async with held(lambda: channel.until(lambda: channel.attempts == 1)):
            channel.open = anyio.Event()
            await anyio.lowlevel.checkpoint()
            yield "nobody knows how much of this is sent"
        yield "this took too long"

    async def open_again() -> None:
        await channel.until(lambda: channel.attempts == 2)
        channel.open.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(open_again)
        await answer(bot, channel)
    assert_ends_with_error(channel, [])
