"""The writing end of one stream."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import anyio
import pytest

from poeproto import ResponseHead
from poeproto_runtime import PeerGone
from poeproto_runtime.channel import ChannelFailed
from poeproto_runtime.outlet import Outlet

from .memory_channel import MemoryChannel

pytestmark = pytest.mark.anyio

SOON = 0.002


async def a_channel() -> MemoryChannel:
    channel = MemoryChannel()
    await channel.start(ResponseHead(200))
    return channel


@asynccontextmanager
async def running(outlet: Outlet) -> AsyncGenerator[Callable[[], None]]:
    """The outlet with a task of its own, as a stream gives it one; yields what hands over to that."""

    def hand_over() -> None:
        if outlet.hand_over():
            tasks.start_soon(outlet.run)

    async with anyio.create_task_group() as tasks:
        yield hand_over
        tasks.cancel_scope.cancel()


async def test_a_flush_writes_from_the_task_that_calls_it() -> None:
    channel = await a_channel()
    outlet = Outlet(channel, 1000)
    async with running(outlet):
        outlet.put(b"a")
        outlet.put(b"b")
        await outlet.flush()
        assert channel.writes == [b"ab"]
        assert channel.writers == [anyio.get_current_task().id]
        await outlet.flush()
        assert channel.writes == [b"ab"], "there was nothing more to write"


async def test_what_is_handed_over_is_written_by_the_other_task_in_one_piece() -> None:
    channel = await a_channel()
    outlet = Outlet(channel, 1000)
    async with running(outlet) as hand_over:
        for letter in (b"a", b"b", b"c"):
            outlet.put(letter)
        hand_over()
        await channel.until(lambda: channel.writes != [])
        assert channel.writes == [b"abc"]
        assert channel.writers != [anyio.get_current_task().id]
        outlet.put(b"d")
        hand_over()
        await channel.until(lambda: channel.writes == [b"abc", b"d"])


async def test_handing_over_nothing_wakes_nobody() -> None:
    channel = await a_channel()
    outlet = Outlet(channel, 1000)
    async with running(outlet) as hand_over:
        hand_over()
        await anyio.wait_all_tasks_blocked()
        assert channel.attempts == 0


async def test_what_comes_during_a_write_is_written_after_it_by_the_same_task() -> None:
    channel = await a_channel()
    channel.open = anyio.Event()
    outlet = Outlet(channel, 1000)
    async with running(outlet) as hand_over:
        outlet.put(b"a")
        hand_over()
        await channel.until(lambda: channel.attempts == 1)
        outlet.put(b"b")
        await outlet.flush()  # returns at once: there is room, and a writer
        outlet.put(b"c")
        hand_over()
        assert channel.writes == []
        channel.open.set()
        await channel.until(lambda: channel.writes == [b"a", b"bc"])
    assert len(set(channel.writers)) == 1


async def test_a_full_outlet_makes_the_bots_task_wait() -> None:
    channel = await a_channel()
    channel.open = anyio.Event()
    outlet = Outlet(channel, 10)
    flushed = anyio.Event()

    async def flush() -> None:
        await outlet.flush()
        flushed.set()

    async with running(outlet) as hand_over, anyio.create_task_group() as tasks:
        outlet.put(b"a")
        hand_over()
        await channel.until(lambda: channel.attempts == 1)
        assert outlet.room == 10
        assert outlet.put(b"b" * 10), "that makes it full"
        tasks.start_soon(flush)
        await anyio.wait_all_tasks_blocked()
        assert not flushed.is_set()
        channel.open.set()
        await flushed.wait()
        assert outlet.room == 10
        await channel.until(lambda: channel.writes == [b"a", b"b" * 10])


async def test_the_end_waits_for_the_write_before_it() -> None:
    channel = await a_channel()
    channel.open = anyio.Event()
    outlet = Outlet(channel, 1000)

    async with running(outlet) as hand_over, anyio.create_task_group() as tasks:
        outlet.put(b"a")
        hand_over()
        await channel.until(lambda: channel.attempts == 1)
        outlet.put(b"b")
        tasks.start_soon(outlet.finish, b"c")
        await anyio.wait_all_tasks_blocked()
        assert channel.attempts == 1
        channel.open.set()
        await channel.until(lambda: channel.ended)
    assert channel.stream == b"abc"


async def test_the_end_goes_out_with_what_had_gathered() -> None:
    channel = await a_channel()
    outlet = Outlet(channel, 1000)
    outlet.put(b"a")
    await outlet.finish(b"b")
    assert channel.writes == [b"ab"]
    assert channel.ended


async def test_after_a_write_that_was_cut_short_the_stream_cannot_go_on() -> None:
    channel = await a_channel()
    channel.open = anyio.Event()
    outlet = Outlet(channel, 1000)
    outlet.put(b"a")
    with anyio.move_on_after(SOON):
        await outlet.flush()
    with pytest.raises(PeerGone):
        await outlet.finish(b"b")
    assert not channel.ended


async def test_a_write_that_was_cut_short_can_be_passed_over_with_what_was_to_follow() -> None:
    channel = await a_channel()
    outlet = Outlet(channel, 1000)
    outlet.put(b"a")
    await outlet.flush()
    assert not outlet.broken
    channel.open = anyio.Event()
    outlet.put(b"b")
    with anyio.move_on_after(SOON):
        await outlet.flush()
    assert outlet.broken
    assert outlet.cut_short
    outlet.put(b"c")
    assert not outlet.hand_over(), "nothing may follow before that"
    channel.open.set()
    outlet.pass_over()
    assert (outlet.broken, outlet.cut_short, outlet.room) == (False, False, 1000)
    await outlet.finish(b"d")
    assert channel.writes == [b"a", b"d"]
    assert channel.ended


async def test_a_channel_that_raises_what_it_must_not() -> None:
    class Faulty(MemoryChannel):
        async def send(self, data: bytes) -> None:
            raise LookupError

    outlet = Outlet(Faulty(), 1000)
    outlet.put(b"a")
    with pytest.raises(ChannelFailed) as raised:
        await outlet.flush()
    assert isinstance(raised.value.__cause__, LookupError)
    assert (outlet.broken, outlet.cut_short) == (True, False)
    with pytest.raises(PeerGone):
        await outlet.finish(b"b")


async def test_nothing_is_written_behind_a_write_that_failed() -> None:
    channel = await a_channel()
    outlet = Outlet(channel, 1000)
    channel.break_writes = True
    outlet.put(b"a")
    with pytest.raises(PeerGone):
        await outlet.flush()
    channel.break_writes = False
    outlet.put(b"b")
    with pytest.raises(PeerGone):
        await outlet.flush()
    assert channel.writes == []


async def test_a_peer_that_is_gone_ends_the_task() -> None:
    channel = await a_channel()
    channel.break_writes = True
    outlet = Outlet(channel, 1000)
    outlet.put(b"a")
    assert outlet.hand_over()
    with pytest.raises(PeerGone):
        await outlet.run()


async def test_a_task_is_asked_for_once() -> None:
    channel = await a_channel()
    outlet = Outlet(channel, 1000)
    assert not outlet.hand_over(), "there is nothing to write"
    outlet.put(b"a")
    assert outlet.hand_over()
    outlet.put(b"b")
    assert not outlet.hand_over(), "it has not started yet"
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(outlet.run)
        await channel.until(lambda: channel.writes == [b"ab"])
        outlet.put(b"c")
        assert not outlet.hand_over(), "it waits"
        await channel.until(lambda: channel.writes == [b"ab", b"c"])
        tasks.cancel_scope.cancel()


async def test_a_task_that_is_not_to_stay_ends_when_it_has_written() -> None:
    channel = await a_channel()
    outlet = Outlet(channel, 1000)
    for letter in (b"a", b"b"):
        outlet.put(letter)
        assert outlet.hand_over(staying=False)
        await outlet.run()
    assert channel.writes == [b"a", b"b"]

    outlet.put(b"c")
    async with anyio.create_task_group() as tasks:
        assert outlet.hand_over()
        tasks.start_soon(outlet.run)
        await channel.until(lambda: channel.writes[2:] == [b"c"])
        outlet.put(b"d")
        assert not outlet.hand_over(staying=False), "the one that waits writes this, and ends"
    assert channel.writes[2:] == [b"c", b"d"]


async def test_writes_can_be_watched() -> None:
    channel = await a_channel()
    channel.open = anyio.Event()
    outlet = Outlet(channel, 1000)
    assert (outlet.writes, outlet.writing, outlet.closed) == (0, False, False)
    outlet.put(b"a")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(outlet.flush)
        await channel.until(lambda: channel.attempts == 1)
        assert (outlet.writes, outlet.writing, outlet.closed) == (1, True, False)
        channel.open.set()
    assert (outlet.writes, outlet.writing, outlet.taken) == (1, False, 1)
    channel.open = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(outlet.finish, b"end")
        await channel.until(lambda: channel.attempts == 2)
        assert (outlet.writes, outlet.writing, outlet.closed) == (2, True, True)
        channel.open.set()
    assert (outlet.writes, outlet.writing, outlet.closed) == (2, False, True)
