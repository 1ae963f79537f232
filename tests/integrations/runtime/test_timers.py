"""Streams that wait: what is done for them in time, by one task for all."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from typing import Any

import anyio
import anyio.abc
import anyio.to_thread
import pytest

from poeproto import Context, Done, Limits, QueryRequest, RequestHead, Text
from poeproto_runtime.reply.timers import ReplyTimers

from ...support.memory_channel import MemoryChannel, answer, service_of

pytestmark = pytest.mark.anyio

HEARTBEAT = b": \n\n"
SOON = 0.002


class Stream:
    """A stream that counts the looks at it."""

    tasks: anyio.abc.TaskGroup

    def __init__(self) -> None:
        self.started = 0
        self.looks = 0
        self.looked = anyio.Event()

    def start_soon(self, run: Callable[..., Coroutine[Any, Any, None]], *arguments: object) -> None:
        self.started += 1
        self.tasks.start_soon(run, *arguments)

    def tick(self, now: float, pause: float) -> None:
        assert pause > 0
        self.looks += 1
        self.looked.set()

    def join(self, timers: ReplyTimers, tasks: anyio.abc.TaskGroup) -> None:
        self.tasks = tasks
        timers.add(self)

    async def seen(self, times: int) -> None:
        while self.looks < times:
            self.looked = anyio.Event()
            await self.looked.wait()


async def test_one_task_looks_at_all() -> None:
    timers = ReplyTimers(SOON)
    streams = [Stream() for _ in range(3)]
    async with anyio.create_task_group() as tasks:
        for stream in streams:
            stream.join(timers, tasks)
        for stream in streams:
            await stream.seen(3)
        for stream in streams:
            timers.discard(stream)
            timers.discard(stream)
        tasks.cancel_scope.cancel()
    assert [stream.started for stream in streams] in ([1, 0, 0], [1, 1, 1])


async def test_when_the_host_leaves_another_takes_over() -> None:
    timers, host, other = ReplyTimers(SOON), Stream(), Stream()
    async with anyio.create_task_group() as second:
        async with anyio.create_task_group() as first:
            host.join(timers, first)
            other.join(timers, second)
            await other.seen(1)
            assert (host.started, other.started) == (1, 0)
            timers.discard(host)
            assert other.started == 1
            first.cancel_scope.cancel()
        seen = host.looks
        await other.seen(other.looks + 3)
        assert host.looks == seen
        timers.discard(other)
    # Its task has ended by itself, or the group would still be open.


async def test_when_the_host_is_cancelled_another_takes_over() -> None:
    timers, host, other = ReplyTimers(SOON), Stream(), Stream()
    async with anyio.create_task_group() as second:
        async with anyio.create_task_group() as first:
            host.join(timers, first)
            other.join(timers, second)
            await other.seen(1)
            first.cancel_scope.cancel()
        await other.seen(other.looks + 3)
        assert other.started == 1
        timers.discard(other)


async def test_after_all_have_left_a_new_one_is_looked_at() -> None:
    timers = ReplyTimers(SOON)
    for _ in range(2):
        async with anyio.create_task_group() as tasks:
            stream = Stream()
            stream.join(timers, tasks)
            await stream.seen(2)
            timers.discard(stream)


async def test_a_server_that_says_so_is_the_host() -> None:
    timers, early, late = ReplyTimers(SOON), Stream(), Stream()
    async with anyio.create_task_group() as tasks:
        early.join(timers, tasks)
        async with timers.running():
            late.join(timers, tasks)
            await late.seen(3)
            timers.discard(early)
            await late.seen(late.looks + 3)
            assert (early.started, late.started) == (1, 0)
        assert late.started == 1, "the server has stopped, and the stream goes on"
        await late.seen(late.looks + 3)
        timers.discard(late)


async def test_a_host_without_streams_waits_for_the_first() -> None:
    timers = ReplyTimers(SOON)
    async with timers.running(), anyio.create_task_group() as tasks:
        for _ in range(2):
            await anyio.wait_all_tasks_blocked()
            stream = Stream()
            stream.join(timers, tasks)
            await stream.seen(2)
            timers.discard(stream)


async def test_what_fails_within_the_host_comes_out_as_it_is() -> None:
    with pytest.raises(LookupError):
        async with ReplyTimers(SOON).running():
            raise LookupError


async def heartbeats_elsewhere(count: int) -> None:
    """Let so much time pass that a silent stream would have had so many."""

    async def bot(request: QueryRequest, context: Context) -> None:
        await anyio.sleep_forever()

    channel = MemoryChannel()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(answer, bot, channel, Limits(heartbeat_seconds=SOON))
        await channel.until(lambda: len(channel.writes) == count)
        tasks.cancel_scope.cancel()


async def test_heartbeats_break_every_silence() -> None:
    ended = anyio.Event()

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield "a"
        yield "b"
        await ended.wait()

    service = service_of(bot, Limits(heartbeat_seconds=SOON))
    channels = [MemoryChannel() for _ in range(3)]
    async with anyio.create_task_group() as tasks:
        for channel in channels:
            tasks.start_soon(service.handle, RequestHead("POST", "/"), "/", channel)
        for channel in channels:
            await channel.until(lambda: channel.writes[2:5] == [HEARTBEAT] * 3)  # noqa: B023 - used up within the round
        channels[0].gone.set()  # the one whose task the others' heartbeats come from
        seen = len(channels[2].writes)
        await channels[2].until(lambda: len(channels[2].writes) > seen + 2)
        ended.set()
    for channel in channels[1:]:
        assert channel.events == [Text("a"), Text("b"), Done()]


async def test_a_service_in_two_event_loops_looks_after_each_in_its_own() -> None:
    channels: dict[int, MemoryChannel] = {}

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        channel = channels[threading.get_ident()]
        yield "a"
        await channel.until(lambda: channel.writes[1:4] == [HEARTBEAT] * 3)
        yield "b"

    service = service_of(bot, Limits(heartbeat_seconds=SOON))

    async def ask() -> None:
        channels[threading.get_ident()] = channel = MemoryChannel()
        with anyio.fail_after(5):  # no scope of another loop ends this one
            await service.handle(RequestHead("POST", "/"), "/", channel)

    async with service.running(), anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        # Without the context of here, which says whose event loop this is.
        await anyio.to_thread.run_sync(contextvars.Context().run, partial(anyio.run, ask))
    assert [channel.events for channel in channels.values()] == [[Text("a"), Text("b"), Done()]] * 2


async def test_no_heartbeat_goes_into_a_write_that_is_stuck() -> None:
    channel = MemoryChannel()
    channel.open = anyio.Event()
    ended = anyio.Event()

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield "a"
        await ended.wait()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(answer, bot, channel, Limits(heartbeat_seconds=SOON))
        await channel.until(lambda: channel.attempts == 1)
        await heartbeats_elsewhere(5)
        assert channel.attempts == 1
        channel.open.set()
        await channel.until(lambda: len(channel.writes) == 3)
        ended.set()
    assert channel.writes[1:3] == [HEARTBEAT] * 2


async def test_no_heartbeat_goes_into_a_head_that_is_stuck() -> None:
    channel = MemoryChannel()
    channel.head_open = anyio.Event()

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield "a"

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(answer, bot, channel, Limits(heartbeat_seconds=SOON))
        await channel.until(lambda: channel.head is not None)
        await heartbeats_elsewhere(5)
        assert channel.attempts == 0
        channel.head_open.set()
    assert channel.events == [Text("a"), Done()]


async def test_a_peer_that_does_not_take_the_head_is_gone() -> None:
    asked: list[str] = []

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        asked.append("a")
        yield "a"

    channel = MemoryChannel()
    channel.head_open = anyio.Event()
    with anyio.fail_after(5):
        await answer(bot, channel, Limits(send_seconds=SOON))
    assert not asked
    assert not channel.ended


async def test_no_heartbeat_comes_after_the_end() -> None:
    channel = MemoryChannel()

    async def closer() -> None:
        await heartbeats_elsewhere(5)

    async def cleans_up(request: QueryRequest, context: Context) -> AsyncIterator[Done | str]:
        context.on_close(closer)
        try:
            yield "a"
            yield Done()
        finally:
            await heartbeats_elsewhere(5)

    await answer(cleans_up, channel, Limits(heartbeat_seconds=SOON))
    assert HEARTBEAT not in channel.writes
    assert channel.events == [Text("a"), Done()]


async def test_a_peer_that_does_not_read_is_gone_whoever_writes() -> None:
    closed: list[str] = []

    async def writes_itself(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        try:
            yield "a"
        finally:
            closed.append("by itself")

    async def hands_over(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        try:
            yield "a"
            channel.open = anyio.Event()
            yield "b"
            await anyio.sleep_forever()
        finally:
            closed.append("handed over")

    async def ends(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield "a"
        channel.open = anyio.Event()
        closed.append("ended")

    for bot in (writes_itself, hands_over, ends):
        channel = MemoryChannel()
        if bot is writes_itself:
            channel.open = anyio.Event()
        await answer(bot, channel, Limits(send_seconds=SOON))
        assert not channel.ended
    assert closed == ["by itself", "handed over", "ended"]
