"""Heartbeat and timeout timers: one task for all replies of a server."""

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


class CountingReply:
    """A reply that counts the ticks."""

    tasks: anyio.abc.TaskGroup

    def __init__(self) -> None:
        self.started = 0
        self.ticks = 0
        self.ticked = anyio.Event()

    def start_soon(self, run: Callable[..., Coroutine[Any, Any, None]], *arguments: object) -> None:
        self.started += 1
        self.tasks.start_soon(run, *arguments)

    def tick(self, now: float, interval: float) -> None:
        assert interval > 0
        self.ticks += 1
        self.ticked.set()

    def join(self, timers: ReplyTimers, tasks: anyio.abc.TaskGroup) -> None:
        self.tasks = tasks
        timers.add(self)

    async def seen(self, times: int) -> None:
        while self.ticks < times:
            self.ticked = anyio.Event()
            await self.ticked.wait()


async def test_one_task_ticks_for_all() -> None:
    timers = ReplyTimers(SOON)
    replies = [CountingReply() for _ in range(3)]
    async with anyio.create_task_group() as tasks:
        for reply in replies:
            reply.join(timers, tasks)
        for reply in replies:
            await reply.seen(3)
        for reply in replies:
            timers.discard(reply)
            timers.discard(reply)
        tasks.cancel_scope.cancel()
    assert [reply.started for reply in replies] in ([1, 0, 0], [1, 1, 1])


async def test_when_the_reply_with_the_task_ends_the_task_moves() -> None:
    timers, first_reply, other = ReplyTimers(SOON), CountingReply(), CountingReply()
    async with anyio.create_task_group() as second:
        async with anyio.create_task_group() as first:
            first_reply.join(timers, first)
            other.join(timers, second)
            await other.seen(1)
            assert (first_reply.started, other.started) == (1, 0)
            timers.discard(first_reply)
            assert other.started == 1
            first.cancel_scope.cancel()
        seen = first_reply.ticks
        await other.seen(other.ticks + 3)
        assert first_reply.ticks == seen
        timers.discard(other)
    # Its task has ended by itself, or the group would still be open.


async def test_when_the_reply_with_the_task_is_cancelled_the_task_moves() -> None:
    timers, first_reply, other = ReplyTimers(SOON), CountingReply(), CountingReply()
    async with anyio.create_task_group() as second:
        async with anyio.create_task_group() as first:
            first_reply.join(timers, first)
            other.join(timers, second)
            await other.seen(1)
            first.cancel_scope.cancel()
        await other.seen(other.ticks + 3)
        assert other.started == 1
        timers.discard(other)


async def test_after_all_have_ended_a_new_reply_has_ticks() -> None:
    timers = ReplyTimers(SOON)
    for _ in range(2):
        async with anyio.create_task_group() as tasks:
            reply = CountingReply()
            reply.join(timers, tasks)
            await reply.seen(2)
            timers.discard(reply)


async def test_a_server_with_a_lifespan_runs_the_task() -> None:
    timers, early, late = ReplyTimers(SOON), CountingReply(), CountingReply()
    async with anyio.create_task_group() as tasks:
        early.join(timers, tasks)
        async with timers.running():
            late.join(timers, tasks)
            await late.seen(3)
            timers.discard(early)
            await late.seen(late.ticks + 3)
            assert (early.started, late.started) == (1, 0)
        assert late.started == 1, "the server has stopped, and the reply goes on"
        await late.seen(late.ticks + 3)
        timers.discard(late)


async def test_a_server_without_replies_waits_for_the_first() -> None:
    timers = ReplyTimers(SOON)
    async with timers.running(), anyio.create_task_group() as tasks:
        for _ in range(2):
            await anyio.wait_all_tasks_blocked()
            reply = CountingReply()
            reply.join(timers, tasks)
            await reply.seen(2)
            timers.discard(reply)


async def test_an_exception_of_the_server_is_not_wrapped() -> None:
    with pytest.raises(LookupError):
        async with ReplyTimers(SOON).running():
            raise LookupError


async def heartbeats_elsewhere(count: int) -> None:
    """Wait as long as an idle reply takes to send the given number of heartbeats."""

    async def bot(request: QueryRequest, context: Context) -> None:
        await anyio.sleep_forever()

    channel = MemoryChannel()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(answer, bot, channel, Limits(heartbeat_seconds=SOON))
        await channel.until(lambda: len(channel.writes) == count)
        tasks.cancel_scope.cancel()


async def test_heartbeats_while_bots_are_idle() -> None:
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


async def test_a_service_in_two_event_loops_has_timers_in_each() -> None:
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
        # In an empty context: that of the test names the event loop.
        await anyio.to_thread.run_sync(contextvars.Context().run, partial(anyio.run, ask))
    assert [channel.events for channel in channels.values()] == [[Text("a"), Text("b"), Done()]] * 2


async def test_no_heartbeat_is_added_to_a_blocked_write() -> None:
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


async def test_no_heartbeat_is_added_to_a_blocked_head() -> None:
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


async def test_a_client_that_does_not_read_the_head_is_treated_as_disconnected() -> None:
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


async def test_no_heartbeat_follows_the_end() -> None:
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


async def test_a_client_that_does_not_read_is_treated_as_disconnected_whoever_writes() -> None:
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
