"""The coalescing writer of one response."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import pytest

from poeproto import ResponseHead
from poeproto_runtime import ClientDisconnected
from poeproto_runtime.channel import ChannelFailed
from poeproto_runtime.reply.states import SUSPEND, Writing
from poeproto_runtime.reply.writer import CoalescingWriter

from ...support.memory_channel import MemoryChannel
from ...support.reply_state import CheckedState

pytestmark = pytest.mark.anyio

SOON = 0.002


async def a_writer(limit: int, channel: MemoryChannel | None = None) -> tuple[CoalescingWriter, MemoryChannel]:
    """A writer within a response that has begun, of a reply whose bot has been suspended once."""
    channel = channel or MemoryChannel()
    state = CheckedState()
    state.tasks = SUSPEND[state.tasks]
    writer = CoalescingWriter(channel, limit, state)
    await writer.start(ResponseHead(200))
    return writer, channel


@asynccontextmanager
async def running(writer: CoalescingWriter) -> AsyncGenerator[Callable[[], None]]:
    """Yields a function that hands over to the writer's task, and starts it as a reply does."""

    def hand_over() -> None:
        if writer.hand_over():
            tasks.start_soon(writer.run)

    async with anyio.create_task_group() as tasks:
        yield hand_over
        tasks.cancel_scope.cancel()


async def test_a_flush_writes_from_the_task_that_calls_it() -> None:
    writer, channel = await a_writer(1000)
    async with running(writer):
        writer.buffer(b"a")
        writer.buffer(b"b")
        await writer.flush()
        assert channel.writes == [b"ab"]
        assert channel.writers == [anyio.get_current_task().id]
        await writer.flush()
        assert channel.writes == [b"ab"], "there was nothing more to write"


async def test_the_buffer_is_written_by_the_other_task_in_one_piece() -> None:
    writer, channel = await a_writer(1000)
    async with running(writer) as hand_over:
        for letter in (b"a", b"b", b"c"):
            writer.buffer(letter)
        hand_over()
        await channel.until(lambda: channel.writes != [])
        assert channel.writes == [b"abc"]
        assert channel.writers != [anyio.get_current_task().id]
        writer.buffer(b"d")
        hand_over()
        await channel.until(lambda: channel.writes == [b"abc", b"d"])


async def test_handing_over_an_empty_buffer_wakes_no_task() -> None:
    writer, channel = await a_writer(1000)
    async with running(writer) as hand_over:
        hand_over()
        await anyio.wait_all_tasks_blocked()
        assert channel.attempts == 0


async def test_data_buffered_during_a_write_is_written_after_it_by_the_same_task() -> None:
    writer, channel = await a_writer(1000)
    channel.open = anyio.Event()
    async with running(writer) as hand_over:
        writer.buffer(b"a")
        hand_over()
        await channel.until(lambda: channel.attempts == 1)
        writer.buffer(b"b")
        await writer.flush()  # returns at once: the buffer is not full, and the other task writes
        writer.buffer(b"c")
        hand_over()
        assert channel.writes == []
        channel.open.set()
        await channel.until(lambda: channel.writes == [b"a", b"bc"])
    assert len(set(channel.writers)) == 1


async def test_a_full_buffer_makes_the_bots_task_wait() -> None:
    writer, channel = await a_writer(10)
    channel.open = anyio.Event()
    flushed = anyio.Event()

    async def flush() -> None:
        await writer.flush()
        flushed.set()

    async with running(writer) as hand_over, anyio.create_task_group() as tasks:
        writer.buffer(b"a")
        hand_over()
        await channel.until(lambda: channel.attempts == 1)
        assert writer.capacity == 10
        assert writer.buffer(b"b" * 10), "that makes it full"
        tasks.start_soon(flush)
        await anyio.wait_all_tasks_blocked()
        assert not flushed.is_set()
        channel.open.set()
        await flushed.wait()
        assert writer.capacity == 10
        await channel.until(lambda: channel.writes == [b"a", b"b" * 10])


async def test_the_end_waits_for_the_write_before_it() -> None:
    writer, channel = await a_writer(1000)
    channel.open = anyio.Event()

    async with running(writer) as hand_over, anyio.create_task_group() as tasks:
        writer.buffer(b"a")
        hand_over()
        await channel.until(lambda: channel.attempts == 1)
        writer.buffer(b"b")
        tasks.start_soon(writer.finish, b"c")
        await anyio.wait_all_tasks_blocked()
        assert channel.attempts == 1
        channel.open.set()
        await channel.until(lambda: channel.ended)
    assert channel.stream == b"abc"


async def test_the_end_is_written_with_the_buffer() -> None:
    writer, channel = await a_writer(1000)
    writer.buffer(b"a")
    await writer.finish(b"b")
    assert channel.writes == [b"ab"]
    assert channel.ended


async def test_after_a_write_that_was_cut_short_the_stream_cannot_continue() -> None:
    writer, channel = await a_writer(1000)
    channel.open = anyio.Event()
    writer.buffer(b"a")
    with anyio.move_on_after(SOON):
        await writer.flush()
    with pytest.raises(ClientDisconnected):
        await writer.finish(b"b")
    assert not channel.ended


async def test_a_write_that_was_cut_short_can_be_skipped_with_the_buffer() -> None:
    writer, channel = await a_writer(1000)
    writer.buffer(b"a")
    await writer.flush()
    assert writer._state.writing is Writing.IDLE
    channel.open = anyio.Event()
    writer.buffer(b"b")
    with anyio.move_on_after(SOON):
        await writer.flush()
    assert writer._state.writing is Writing.CUT_SHORT
    writer.buffer(b"c")
    assert not writer.hand_over(), "nothing may follow before that"
    channel.open.set()
    writer.skip_cut_short()
    assert (writer._state.writing, writer.capacity) == (Writing.IDLE, 1000)
    await writer.finish(b"d")
    assert channel.writes == [b"a", b"d"]
    assert channel.ended


async def test_a_channel_that_raises_a_forbidden_exception() -> None:
    class Faulty(MemoryChannel):
        async def send(self, data: bytes) -> None:
            raise LookupError

    writer, _ = await a_writer(1000, Faulty())
    writer.buffer(b"a")
    with pytest.raises(ChannelFailed) as raised:
        await writer.flush()
    assert isinstance(raised.value.__cause__, LookupError)
    assert writer._state.writing is Writing.BROKEN
    with pytest.raises(ClientDisconnected):
        await writer.finish(b"b")


class SynchronousChannel(MemoryChannel):
    """A channel whose writes end at once, or raise an exception."""

    def __init__(self, failure: Exception | None = None) -> None:
        super().__init__()
        self._failure = failure

    def send(self, data: bytes) -> Awaitable[None] | None:
        if self._failure is not None:
            raise self._failure
        self.writes.append(data)
        return None


class FailingChannel(SynchronousChannel):
    """A channel whose writes raise an exception when they are awaited."""

    def send(self, data: bytes) -> Awaitable[None] | None:
        return self._fail()

    async def _fail(self) -> None:
        assert self._failure is not None
        raise self._failure


async def test_a_write_that_the_channel_does_not_wait_for() -> None:
    writer, channel = await a_writer(1000, SynchronousChannel())
    assert writer.write_lone(b"abc") is None
    assert writer._state.writing is Writing.IDLE
    writer.buffer(b"de")
    await writer.flush()
    assert (channel.writes, writer.bytes_sent, writer.writes) == ([b"abc", b"de"], 5, 3)


async def test_a_lone_event_is_written_without_the_buffer() -> None:
    writer, channel = await a_writer(1000)
    written = writer.write_lone(b"abc")
    assert written is not None
    assert writer._state.writing is Writing.BOT
    await written
    assert (channel.writes, writer.bytes_sent, writer.writes) == ([b"abc"], 3, 2)


@pytest.mark.parametrize("kind", [SynchronousChannel, FailingChannel])
@pytest.mark.parametrize("failure", [OSError("reset"), ClientDisconnected("reset"), LookupError("a fault")])
async def test_a_lone_event_that_cannot_be_written(kind: type[SynchronousChannel], failure: Exception) -> None:
    async def write() -> None:
        written = writer.write_lone(b"abc")
        if written is not None:
            try:
                await written
            except Exception as exc:  # noqa: BLE001 - `fail` raises it
                writer.fail(exc)

    writer, _ = await a_writer(1000, kind(failure))
    with pytest.raises(ChannelFailed if isinstance(failure, LookupError) else ClientDisconnected) as raised:
        await write()
    assert failure in (raised.value, raised.value.__cause__)
    assert writer._state.writing is Writing.BROKEN


async def test_a_burst_that_cannot_be_written_since_the_client_disconnected() -> None:
    writer, _ = await a_writer(1000, SynchronousChannel(OSError("reset")))
    writer.buffer(b"a")
    with pytest.raises(ClientDisconnected):
        await writer.flush()
    assert writer._state.writing is Writing.BROKEN


async def test_nothing_is_written_behind_a_write_that_failed() -> None:
    writer, channel = await a_writer(1000)
    channel.break_writes = True
    writer.buffer(b"a")
    with pytest.raises(ClientDisconnected):
        await writer.flush()
    channel.break_writes = False
    writer.buffer(b"b")
    with pytest.raises(ClientDisconnected):
        await writer.flush()
    assert channel.writes == []


async def test_a_disconnect_ends_the_task() -> None:
    writer, channel = await a_writer(1000)
    channel.break_writes = True
    writer.buffer(b"a")
    assert writer.hand_over()
    with pytest.raises(ClientDisconnected):
        await writer.run()


async def test_a_task_is_started_once() -> None:
    writer, channel = await a_writer(1000)
    assert not writer.hand_over(), "there is nothing to write"
    writer.buffer(b"a")
    assert writer.hand_over()
    writer.buffer(b"b")
    assert not writer.hand_over(), "it has not started yet"
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(writer.run)
        await channel.until(lambda: channel.writes == [b"ab"])
        writer.buffer(b"c")
        assert not writer.hand_over(), "it waits"
        await channel.until(lambda: channel.writes == [b"ab", b"c"])
        tasks.cancel_scope.cancel()


async def test_a_task_that_is_not_to_stay_ends_when_it_has_written() -> None:
    writer, channel = await a_writer(1000)
    for letter in (b"a", b"b"):
        writer.buffer(letter)
        assert writer.hand_over(staying=False)
        await writer.run()
    assert channel.writes == [b"a", b"b"]

    writer.buffer(b"c")
    async with anyio.create_task_group() as tasks:
        assert writer.hand_over()
        tasks.start_soon(writer.run)
        await channel.until(lambda: channel.writes[2:] == [b"c"])
        writer.buffer(b"d")
        assert not writer.hand_over(staying=False), "the one that waits writes this, and ends"
    assert channel.writes[2:] == [b"c", b"d"]


async def test_writes_are_counted_for_the_timers() -> None:
    writer, channel = await a_writer(1000)
    state = writer._state
    channel.open = anyio.Event()
    assert (writer.writes, state.writing) == (1, Writing.IDLE)
    writer.buffer(b"a")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(writer.flush)
        await channel.until(lambda: channel.attempts == 1)
        assert (writer.writes, state.writing) == (2, Writing.BOT)
        channel.open.set()
    assert (writer.writes, state.writing, writer.bytes_sent) == (2, Writing.IDLE, 1)
    channel.open = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(writer.finish, b"end")
        await channel.until(lambda: channel.attempts == 2)
        assert (writer.writes, state.writing) == (3, Writing.ENDING)
        channel.open.set()
    assert (writer.writes, state.writing) == (3, Writing.ENDED)


async def test_the_head_and_the_end_break_the_response_when_they_fail() -> None:
    channel = MemoryChannel()
    channel.head_open = anyio.Event()
    writer = CoalescingWriter(channel, 1000, CheckedState())
    with anyio.move_on_after(SOON):
        await writer.start(ResponseHead(200))
    assert writer._state.writing is Writing.BROKEN
    with pytest.raises(ClientDisconnected):
        await writer.finish(b"")

    writer, channel = await a_writer(1000)
    channel.break_writes = True
    with pytest.raises(ClientDisconnected):
        await writer.finish(b"")
    assert writer._state.writing is Writing.BROKEN
    assert not channel.ended


async def test_a_cancelled_task_can_be_started_again() -> None:
    writer, channel = await a_writer(1000)
    for letter in (b"a", b"b"):
        async with anyio.create_task_group() as tasks:
            writer.buffer(letter)
            assert writer.hand_over()
            tasks.start_soon(writer.run)
            await channel.until(lambda letter=letter: channel.writes[-1:] == [letter])
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
    assert channel.writes == [b"a", b"b"]
