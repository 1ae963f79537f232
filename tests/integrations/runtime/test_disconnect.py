"""A disconnect of the client, and the clean-up after it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import anyio.lowlevel
import pytest

from poeproto import Context, Limits, QueryRequest, RequestHead, Text
from poeproto_runtime import ClientDisconnected

from ...support.bots import SECRET
from ...support.memory_channel import MemoryChannel, answer, service_of

pytestmark = pytest.mark.anyio


async def test_a_disconnect_cancels_a_bot_that_waits() -> None:
    channel = MemoryChannel()
    seen: list[str] = []

    async def closer() -> None:
        await anyio.lowlevel.checkpoint()
        seen.append("on_close")

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        context.on_close(closer)
        try:
            yield "hello"
            await anyio.sleep_forever()
        finally:
            seen.append("finally")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(answer, bot, channel)
        await channel.until(lambda: channel.events == [Text("hello")])
        channel.gone.set()
    assert seen == ["finally", "on_close"]
    assert channel.events == [Text("hello")]
    assert not channel.ended


async def test_a_channel_may_raise_at_a_disconnect() -> None:
    class Raising(MemoryChannel):
        async def wait_disconnected(self) -> None:
            await self.gone.wait()
            raise ClientDisconnected("reset")

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield "hello"
        await anyio.sleep_forever()

    channel = Raising()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(answer, bot, channel)
        await channel.until(lambda: channel.events == [Text("hello")])
        channel.gone.set()
    assert not channel.ended


async def test_a_disconnect_cancels_a_bot_that_is_stuck_in_a_write() -> None:
    channel = MemoryChannel()
    channel.open = anyio.Event()
    seen: list[str] = []

    async def closer() -> None:
        await anyio.lowlevel.checkpoint()
        seen.append("on_close")

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        context.on_close(closer)
        try:
            yield "hello"
        finally:
            seen.append("finally")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(answer, bot, channel)
        await channel.until(lambda: channel.attempts == 1)
        channel.gone.set()
    assert seen == ["finally", "on_close"]
    assert channel.writes == []


async def test_a_disconnect_cancels_a_bot_that_waits_for_a_full_buffer() -> None:
    channel = MemoryChannel()
    seen: list[str] = []

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        try:
            yield "first"
            channel.open = anyio.Event()
            yield "the writer's task is stuck with this"
            await anyio.lowlevel.checkpoint()
            while True:
                yield "a" * 100
        finally:
            seen.append("finally")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(answer, bot, channel, Limits(write_buffer=1000))
        await channel.until(lambda: channel.attempts == 2)
        await anyio.wait_all_tasks_blocked()
        channel.gone.set()
    assert seen == ["finally"]
    assert channel.events == [Text("first")]


async def test_a_disconnect_cancels_the_bots_tasks() -> None:
    channel = MemoryChannel()
    seen: list[str] = []

    async def child() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            seen.append("child")

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(child)
            yield "hello"
            await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(answer, bot, channel)
        await channel.until(lambda: channel.attempts == 1)
        channel.gone.set()
    assert seen == ["child"]


async def test_a_disconnect_while_a_generator_with_a_task_group_is_stuck_in_a_write() -> None:
    channel = MemoryChannel()
    channel.open = anyio.Event()
    seen: list[str] = []

    async def child() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            seen.append("child")

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(child)
            await anyio.lowlevel.checkpoint()
            yield "hello"

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(answer, bot, channel)
        await channel.until(lambda: channel.attempts == 1)
        channel.gone.set()
    assert seen == ["child"]


async def test_a_bot_that_fails_because_it_is_cancelled_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    channel = MemoryChannel()

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        try:
            yield "hello"
            await anyio.sleep_forever()
        finally:
            raise LookupError(SECRET)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(answer, bot, channel)
        await channel.until(lambda: channel.attempts == 1)
        channel.gone.set()
    assert SECRET in caplog.text


async def test_tasks_that_fail_because_they_are_cancelled_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    channel = MemoryChannel()

    async def child() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise LookupError(SECRET)

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(child)
            yield "hello"
            await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(answer, bot, channel)
        await channel.until(lambda: channel.attempts == 1)
        channel.gone.set()
    assert SECRET in caplog.text


async def test_a_write_that_fails_ends_the_bot() -> None:
    for waits in (False, True):
        channel = MemoryChannel()
        seen: list[str] = []

        async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
            try:
                yield "hello"
                channel.break_writes = True  # noqa: B023 - used up within the round
                yield "nobody reads this"
                if waits:  # noqa: B023
                    await anyio.sleep_forever()  # so the writer's task meets it, not the bot's
                await anyio.lowlevel.checkpoint()
                yield "nor this"
                raise AssertionError("asked again")
            finally:
                seen.append("finally")  # noqa: B023

        await answer(bot, channel)
        assert seen == ["finally"]
        assert channel.events == [Text("hello")]


async def test_a_disconnect_does_not_cut_the_end_short() -> None:
    channel = MemoryChannel()

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield "hello"
        channel.open = anyio.Event()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(answer, bot, channel)
        await channel.until(lambda: channel.attempts == 2)
        channel.gone.set()  # as servers do when an exchange ends
        await anyio.wait_all_tasks_blocked()
        channel.open.set()
    assert channel.ended


async def test_a_disconnect_before_the_head_is_sent() -> None:
    asked: list[str] = []

    class GoneAtStart(MemoryChannel):
        async def start(self, head: object) -> None:
            raise ClientDisconnected("the client disconnected")

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        asked.append("asked")
        yield "hello"

    await answer(bot, GoneAtStart())
    assert asked == []


async def test_a_disconnect_while_the_request_is_read() -> None:
    class GoneInBody(MemoryChannel):
        async def receive(self) -> bytes | None:
            raise ClientDisconnected("the client disconnected")

    async def bot(request: QueryRequest, context: Context) -> str:
        return "hello"

    channel = GoneInBody()
    await service_of(bot).handle(RequestHead("POST", "/"), "/", channel)
    assert channel.head is None
    assert channel.response is None
