"""The writing end of one stream."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import anyio
import pytest

from poeproto import ResponseHead
from poeproto_runtime import ClientDisconnected
from poeproto_runtime.channel import ChannelFailed
from poeproto_runtime.reply.writer import CoalescingWriter

from ...support.memory_channel import MemoryChannel

pytestmark = pytest.mark.anyio

SOON = 0.002


async def a_channel() -> MemoryChannel:
    channel = MemoryChannel()
    await channel.start(ResponseHead(200))
    return channel


@asynccontextmanager
async def running(writer: CoalescingWriter) -> AsyncGenerator[Callable[[], None]]:
    """The outlet with a task of its own, as a stream gives it one; yields what hands over to that."""

    def hand_over() -> None:
        if writer.hand_over():
            tasks.start_soon(writer.run)

    async with anyio.create_task_group() as tasks:
        yield hand_over
        tasks.cancel_scope.cancel()


async def test_a_flush_writes_from_the_task_that_calls_it() -> None:
    channel = await a_channel()
    writer = CoalescingWriter(channel, 1000)
    async with running(writer):
        writer.put(b"a")
        writer.put(b"b")
        await writer.flush()
        assert channel.writes == [b"ab"]
        assert channel.writers == [anyio.get_current_task().id]
        await writer.flush()
        assert channel.writes == [b"ab"], "there was nothing more to write"


async def test_what_is_handed_over_is_written_by_the_other_task_in_one_piece() -> None:
    channel = await a_channel()
    writer = CoalescingWriter(channel, 1000)
    async with running(writer) as hand_over:
        for letter in (b"a", b"b", b"c"):
            writer.put(letter)
        hand_over()
        await channel.until(lambda: channel.writes != [])
        assert channel.writes == [b"abc"]
        assert channel.writers != [anyio.get_current_task().id]
        writer.put(b"d")
        hand_over()
        await channel.until(lambda: channel.writes == [b"abc", b"d"])


async def test_handing_over_nothing_wakes_nobody() -> None:
    channel = await a_channel()
    writer = CoalescingWriter(channel, 1000)
    async with running(writer) as hand_over:
        hand_over()
        await anyio.wait_all_tasks_blocked()
        assert channel.attempts == 0


async def test_what_comes_during_a_write_is_written_after_it_by_the_same_task() -> None:
    channel = await a_channel()
    channel.open = anyio.Event()
    writer = CoalescingWriter(channel, 1000)
    async with running(writer) as hand_over:
        writer.put(b"a")
        hand_over()
        await channel.until(lambda: channel.attempts == 1)
        writer.put(b"b")
        await writer.flush()  # returns at once: there is room, and a writer
        writer.put(b"c")
        hand_over()
        assert channel.writes == []
        channel.open.set()
        await channel.until(lambda: channel.writes == [b"a", b"bc"])
    assert len(set(channel.writers)) == 1


async def test_a_full_outlet_makes_the_bots_task_wait() -> None:
    channel = await a_channel()
    channel.open = anyio.Event()
    writer = CoalescingWriter(channel, 10)
    flushed = anyio.Event()

    async def flush() -> None:
        await writer.flush()
        flushed.set()

    async with running(writer) as hand_over, anyio.create_task_group() as tasks:
        writer.put(b"a")
        hand_over()
        await channel.until(lambda: channel.attempts == 1)
        assert writer.room == 10
        assert writer.put(b"b" * 10), "that makes it full"
        tasks.start_soon(flush)
        await anyio.wait_all_tasks_blocked()
        assert not flushed.is_set()
        channel.open.set()
        await flushed.wait()
        assert writer.room == 10
        await channel.until(lambda: channel.writes == [b"a", b"b" * 10])


async def test_the_end_waits_for_the_write_before_it() -> None:
    channel = await a_channel()
    channel.open = anyio.Event()
    writer = CoalescingWriter(channel, 1000)

    async with running(writer) as hand_over, anyio.create_task_group() as tasks:
        writer.put(b"a")
        hand_over()
        await channel.until(lambda: channel.attempts == 1)
        writer.put(b"b")
        tasks.start_soon(writer.finish, b"c")
        await anyio.wait_all_tasks_blocked()
        assert channel.attempts == 1
        channel.open.set()
        await channel.until(lambda: channel.ended)
    assert channel.stream == b"abc"


async def test_the_end_goes_out_with_what_had_gathered() -> None:
    channel = await a_channel()
    writer = CoalescingWriter(channel, 1000)
    writer.put(b"a")
    await writer.finish(b"b")
    assert channel.writes == [b"ab"]
    assert channel.ended


async def test_after_a_write_that_was_cut_short_the_stream_cannot_go_on() -> None:
    channel = await a_channel()
    channel.open = anyio.Event()
    writer = CoalescingWriter(channel, 1000)
    writer.put(b"a")
    with anyio.move_on_after(SOON):
        await writer.flush()
    with pytest.raises(ClientDisconnected):
        await writer.finish(b"b")
    assert not channel.ended


async def test_a_write_that_was_cut_short_can_be_passed_over_with_what_was_to_follow() -> None:
    channel = await a_channel()
    writer = CoalescingWriter(channel, 1000)
    writer.put(b"a")
    await writer.flush()
    assert not writer.broken
    channel.open = anyio.Event()
    writer.put(b"b")
    with anyio.move_on_after(SOON):
        await writer.flush()
    assert writer.broken
    assert writer.cut_short
    writer.put(b"c")
    assert not writer.hand_over(), "nothing may follow before that"
    channel.open.set()
    writer.pass_over()
    assert (writer.broken, writer.cut_short, writer.room) == (False, False, 1000)
    await writer.finish(b"d")
    assert channel.writes == [b"a", b"d"]
    assert channel.ended


async def test_a_channel_that_raises_what_it_must_not() -> None:
    class Faulty(MemoryChannel):
        async def send(self, data: bytes) -> None:
            raise LookupError

    writer = CoalescingWriter(Faulty(), 1000)
    writer.put(b"a")
    with pytest.raises(ChannelFailed) as raised:
        await writer.flush()
    assert isinstance(raised.value.__cause__, LookupError)
    assert (writer.broken, writer.cut_short) == (True, False)
    with pytest.raises(ClientDisconnected):
        await writer.finish(b"b")


async def test_nothing_is_written_behind_a_write_that_failed() -> None:
    channel = await a_channel()
    writer = CoalescingWriter(channel, 1000)
    channel.break_writes = True
    writer.put(b"a")
    with pytest.raises(ClientDisconnected):
        await writer.flush()
    channel.break_writes = False
    writer.put(b"b")
    with pytest.raises(ClientDisconnected):
        await writer.flush()
    assert channel.writes == []


async def test_a_peer_that_is_gone_ends_the_task() -> None:
    channel = await a_channel()
    channel.break_writes = True
    writer = CoalescingWriter(channel, 1000)
    writer.put(b"a")
    assert writer.hand_over()
    with pytest.raises(ClientDisconnected):
        await writer.run()


async def test_a_task_is_asked_for_once() -> None:
    channel = await a_channel()
    writer = CoalescingWriter(channel, 1000)
    assert not writer.hand_over(), "there is nothing to write"
    writer.put(b"a")
    assert writer.hand_over()
    writer.put(b"b")
    assert not writer.hand_over(), "it has not started yet"
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(writer.run)
        await channel.until(lambda: channel.writes == [b"ab"])
        writer.put(b"c")
        assert not writer.hand_over(), "it waits"
        await channel.until(lambda: channel.writes == [b"ab", b"c"])
        tasks.cancel_scope.cancel()


async def test_a_task_that_is_not_to_stay_ends_when_it_has_written() -> None:
    channel = await a_channel()
    writer = CoalescingWriter(channel, 1000)
    for letter in (b"a", b"b"):
        writer.put(letter)
        assert writer.hand_over(staying=False)
        await writer.run()
    assert channel.writes == [b"a", b"b"]

    writer.put(b"c")
    async with anyio.create_task_group() as tasks:
        assert writer.hand_over()
        tasks.start_soon(writer.run)
        await channel.until(lambda: channel.writes[2:] == [b"c"])
        writer.put(b"d")
        assert not writer.hand_over(staying=False), "the one that waits writes this, and ends"
    assert channel.writes[2:] == [b"c", b"d"]


async def test_writes_can_be_watched() -> None:
    channel = await a_channel()
    channel.open = anyio.Event()
    writer = CoalescingWriter(channel, 1000)
    assert (writer.writes, writer.writing, writer.closed) == (0, False, False)
    writer.put(b"a")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(writer.flush)
        await channel.until(lambda: channel.attempts == 1)
        assert (writer.writes, writer.writing, writer.closed) == (1, True, False)
        channel.open.set()
    assert (writer.writes, writer.writing, writer.taken) == (1, False, 1)
    channel.open = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(writer.finish, b"end")
        await channel.until(lambda: channel.attempts == 2)
        assert (writer.writes, writer.writing, writer.closed) == (2, True, True)
        channel.open.set()
    assert (writer.writes, writer.writing, writer.closed) == (2, False, True)
