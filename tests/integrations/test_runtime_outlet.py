"""The writing end of one stream."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import pytest

from poeproto import ResponseHead
from poeproto_runtime import PeerGone
from poeproto_runtime.outlet import Outlet

from .memory_channel import MemoryChannel

pytestmark = pytest.mark.anyio

HEARTBEAT = b": \n\n"
NEVER = 3600.0
SOON = 0.002


async def a_channel() -> MemoryChannel:
    channel = MemoryChannel()
    await channel.start(ResponseHead(200))
    return channel


@asynccontextmanager
async def running(outlet: Outlet) -> AsyncGenerator[None]:
    """The outlet with its own task, as a stream has it."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(outlet.run, lambda: HEARTBEAT)
        yield
        tasks.cancel_scope.cancel()


async def test_a_flush_writes_from_the_task_that_calls_it() -> None:
    channel = await a_channel()
    outlet = Outlet(channel, 1000, NEVER, NEVER)
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
    outlet = Outlet(channel, 1000, NEVER, NEVER)
    async with running(outlet):
        for letter in (b"a", b"b", b"c"):
            outlet.put(letter)
        outlet.hand_over()
        await channel.until(lambda: channel.writes != [])
        assert channel.writes == [b"abc"]
        assert channel.writers != [anyio.get_current_task().id]
        outlet.put(b"d")
        outlet.hand_over()
        await channel.until(lambda: channel.writes == [b"abc", b"d"])


async def test_handing_over_nothing_wakes_nobody() -> None:
    channel = await a_channel()
    outlet = Outlet(channel, 1000, NEVER, NEVER)
    async with running(outlet):
        outlet.hand_over()
        await anyio.wait_all_tasks_blocked()
        assert channel.attempts == 0


async def test_what_comes_during_a_write_is_written_after_it_by_the_same_task() -> None:
    channel = await a_channel()
    channel.open = anyio.Event()
    outlet = Outlet(channel, 1000, NEVER, NEVER)
    async with running(outlet):
        outlet.put(b"a")
        outlet.hand_over()
        await channel.until(lambda: channel.attempts == 1)
        outlet.put(b"b")
        await outlet.flush()  # returns at once: there is room, and a writer
        outlet.put(b"c")
        outlet.hand_over()
        assert channel.writes == []
        channel.open.set()
        await channel.until(lambda: channel.writes == [b"a", b"bc"])
    assert len(set(channel.writers)) == 1


async def test_a_full_outlet_makes_the_bots_task_wait() -> None:
    channel = await a_channel()
    channel.open = anyio.Event()
    outlet = Outlet(channel, 10, NEVER, NEVER)
    flushed = anyio.Event()

    async def flush() -> None:
        await outlet.flush()
        flushed.set()

    async with running(outlet), anyio.create_task_group() as tasks:
        outlet.put(b"a")
        outlet.hand_over()
        await channel.until(lambda: channel.attempts == 1)
        assert not outlet.full
        outlet.put(b"b" * 10)
        assert outlet.full
        tasks.start_soon(flush)
        await anyio.wait_all_tasks_blocked()
        assert not flushed.is_set()
        channel.open.set()
        await flushed.wait()
        assert not outlet.full
        await channel.until(lambda: channel.writes == [b"a", b"b" * 10])


async def test_the_end_waits_for_the_write_before_it() -> None:
    channel = await a_channel()
    channel.open = anyio.Event()
    outlet = Outlet(channel, 1000, NEVER, NEVER)

    async with running(outlet), anyio.create_task_group() as tasks:
        outlet.put(b"a")
        outlet.hand_over()
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
    outlet = Outlet(channel, 1000, NEVER, NEVER)
    outlet.put(b"a")
    await outlet.finish(b"b")
    assert channel.writes == [b"ab"]
    assert channel.ended


async def test_after_a_write_that_was_cut_short_the_stream_cannot_go_on() -> None:
    channel = await a_channel()
    channel.open = anyio.Event()
    outlet = Outlet(channel, 1000, NEVER, NEVER)
    outlet.put(b"a")
    with anyio.move_on_after(SOON):
        await outlet.flush()
    with pytest.raises(PeerGone):
        await outlet.finish(b"b")
    assert not channel.ended


async def test_a_peer_that_is_gone_ends_the_task() -> None:
    channel = await a_channel()
    channel.break_writes = True
    outlet = Outlet(channel, 1000, NEVER, NEVER)
    outlet.put(b"a")
    outlet.hand_over()
    with pytest.raises(PeerGone):
        await outlet.run(lambda: HEARTBEAT)


async def test_heartbeats_break_the_silence() -> None:
    channel = await a_channel()
    async with running(Outlet(channel, 1000, SOON, NEVER)):
        await channel.until(lambda: len(channel.writes) == 3)
    assert channel.writes == [HEARTBEAT] * 3


async def heartbeats_elsewhere() -> None:
    """Let so much time pass that a silent outlet would have sent several."""
    other = await a_channel()
    async with running(Outlet(other, 1000, SOON, NEVER)):
        await other.until(lambda: len(other.writes) == 5)


async def test_no_heartbeat_goes_into_a_write_that_is_stuck() -> None:
    channel = await a_channel()
    channel.open = anyio.Event()
    outlet = Outlet(channel, 1000, SOON, NEVER)
    async with running(outlet), anyio.create_task_group() as tasks:
        outlet.put(b"a")
        tasks.start_soon(outlet.flush)
        await channel.until(lambda: channel.attempts == 1)
        await heartbeats_elsewhere()
        assert channel.attempts == 1
        channel.open.set()
        await channel.until(lambda: len(channel.writes) == 2)
    assert channel.writes[:2] == [b"a", HEARTBEAT]


async def test_no_heartbeat_comes_after_the_end() -> None:
    channel = await a_channel()
    outlet = Outlet(channel, 1000, SOON, NEVER)
    async with running(outlet):
        await outlet.finish(b"end")
        await heartbeats_elsewhere()
    assert channel.writes == [b"end"]


async def test_a_busy_stream_needs_no_heartbeat() -> None:
    channel = await a_channel()
    outlet = Outlet(channel, 1000, NEVER, NEVER)
    async with running(outlet):
        for _ in range(5):
            outlet.put(b"a")
            await outlet.flush()
    assert channel.writes == [b"a"] * 5


async def test_a_peer_that_does_not_read_is_gone_long_before_a_heartbeat_is_due() -> None:
    channel = await a_channel()
    channel.open = anyio.Event()
    outlet = Outlet(channel, 1000, NEVER, 2 * SOON)
    outlet.put(b"a")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(outlet.flush)
        await channel.until(lambda: channel.attempts == 1)
        with pytest.raises(PeerGone):
            await outlet.run(lambda: HEARTBEAT)
        tasks.cancel_scope.cancel()


async def test_a_peer_that_does_not_read_is_gone_whoever_writes() -> None:
    channel = await a_channel()
    channel.open = anyio.Event()
    outlet = Outlet(channel, 1000, SOON, 2 * SOON)
    outlet.put(b"a")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(outlet.flush)
        await channel.until(lambda: channel.attempts == 1)
        with pytest.raises(PeerGone):
            await outlet.run(lambda: HEARTBEAT)
        tasks.cancel_scope.cancel()

    other = await a_channel()
    other.open = anyio.Event()
    outlet = Outlet(other, 1000, SOON, SOON)
    with pytest.raises(PeerGone):
        await outlet.run(lambda: HEARTBEAT)
    with pytest.raises(PeerGone):
        await outlet.finish(b"end")
