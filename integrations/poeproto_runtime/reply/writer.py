"""The coalescing writer of one response: buffers bursts, writes a lone event at once, one writer at a time."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import NoReturn

import anyio

from poeproto import ResponseHead
from poeproto_runtime.channel import Channel, ChannelFailed, ClientDisconnected
from poeproto_runtime.reply.states import (
    BOT,
    FINISH,
    IDLE,
    SKIP_WRITE,
    START,
    UNDER_WAY,
    WATCHED,
    WRITE_CANCELLED,
    WRITE_ENDS,
    WRITE_FAILS,
    WRITER,
    WRITER_BUSY,
    WRITER_CANCELLED,
    WRITER_LEAVES,
    WRITER_WAITS,
    ReplyState,
    Writing,
)

_BROKEN = "an earlier write failed or was cut short, so nothing can follow it"


class CoalescingWriter:
    """Coalescing writer: buffers bursts, writes a lone event at once, one writer at a time; bounded in bytes.

    The bot's task writes by itself as long as it can (`flush`): to wake another task for each lone event would cost as
    much again as the event. Only when a burst ends because the bot is suspended, the rest of the burst is handed to the
    writer's task (`run`). So are the heartbeats of a bot that is idle. There is no clock here: the timers compare
    `writes` from tick to tick to see how long a write has taken.

    Args:
        channel: where the bytes go.
        limit: how many bytes may be buffered while the client is slow; a bot that makes more waits.
        state: the reply's state.

    Attributes:
        buffered: the data that waits to be written.
        bytes_sent: how many bytes were given to the channel.
        writes: how many writes were begun.
    """

    __slots__ = ("_channel", "_limit", "_size", "_state", "_wake", "_write_ended", "buffered", "bytes_sent", "writes")

    def __init__(self, channel: Channel, limit: int, state: ReplyState) -> None:
        self._channel = channel
        self._limit = limit
        self._state = state
        self.bytes_sent = 0
        self.writes = 0
        self.buffered: list[bytes] = []
        self._size = 0
        self._write_ended: anyio.Event | None = None  # where a task waits for the end of the write under way
        self._wake: anyio.Event | None = None  # set to wake the writer's task

    async def start(self, head: ResponseHead) -> None:
        """Write the head. It counts as a write: no other is begun before it ends, and the same timeout holds.

        Raises:
            ClientDisconnected: as the channel does.
        """
        self._begin(START[self._state.writing])
        try:
            await self._channel.start(head)
        except BaseException:
            self._state.writing = WRITE_FAILS[self._state.writing]
            raise
        else:
            self._state.writing = WRITE_ENDS[self._state.writing]
        finally:
            self._notify_write_ended()

    @property
    def capacity(self) -> int:
        """How many bytes may be buffered before the buffer is full."""
        return self._limit - self._size

    def buffer(self, data: bytes) -> bool:
        """Buffer bytes for the next write; returns whether the buffer is full now."""
        if data:
            self.buffered.append(data)
            self._size += len(data)
        return self._size >= self._limit

    def hand_over(self, *, staying: bool = True) -> bool:
        """Hand the buffer over to the writer's task.

        Synchronous, so that it may be called from the hook before a suspension, where nothing may be awaited.

        Args:
            staying: whether the task is to wait for more afterwards. To start one takes longer than to wake it, and one
                that waits takes memory.

        Returns:
            Whether there is no such task yet, and the caller must start one with `run`.
        """
        state = self._state
        if not self.buffered or state.writing is not IDLE:
            return False
        starts = state.tasks is WATCHED
        state.tasks = WRITER_BUSY if staying else WRITER_LEAVES
        if self._wake is not None:
            self._wake.set()
        return starts

    def write_lone(self, data: bytes) -> Awaitable[None] | None:
        """Begin the write of a lone event, from the bot's task; only while nobody writes and nothing is buffered.

        It does the work of `buffer` and `flush` without a coroutine, which costs as much as the rest of a lone event.

        Returns:
            None if the write has ended. Otherwise, the awaitable of its end; then set the state to IDLE, or call
            `fail`.

        Raises:
            ClientDisconnected, ChannelFailed: as `flush` does.
        """
        state = self._state
        state.writing = BOT
        self.writes += 1
        self.bytes_sent += len(data)
        try:
            written = self._channel.send(data)
        except BaseException as exc:  # noqa: BLE001 - `fail` raises it
            self.fail(exc)
        if written is None:
            state.writing = IDLE
        return written

    def fail(self, exc: BaseException) -> NoReturn:
        """Record that the write under way raised this, and raise the exception for its caller.

        Raises:
            ClientDisconnected: when the channel raised it, or an OSError.
            ChannelFailed: when the channel raised another exception.
            BaseException: the cancellation of the write.
        """
        state = self._state
        if not isinstance(exc, Exception):
            state.writing = WRITE_CANCELLED[state.writing]
            raise exc
        state.writing = WRITE_FAILS[state.writing]
        if isinstance(exc, ClientDisconnected):
            raise exc
        if isinstance(exc, OSError):
            raise ClientDisconnected("the client disconnected while the response was written") from exc
        raise ChannelFailed("a write failed") from exc

    async def flush(self, writing: Writing = BOT) -> None:
        """Write the buffer, from this task. While the other task writes, wait only if the buffer is full: the other
        task writes the data buffered meanwhile when its write has ended.

        Args:
            writing: which task this is; `run` passes its own state.

        Raises:
            ClientDisconnected: as the channel does; and when an earlier write failed, or was cut short and not skipped.
            ChannelFailed: when the channel raises another exception.
        """
        state = self._state
        while state.writing is not IDLE:
            if state.writing not in UNDER_WAY:
                raise ClientDisconnected(_BROKEN)
            if self._size < self._limit:
                return
            await self._until_write_ended()
        if not self.buffered:
            return
        state.writing = writing
        self.writes += 1
        try:
            written = self._channel.send(self._drain())
            if written is not None:
                await written
        except BaseException as exc:  # noqa: BLE001 - `fail` raises it
            self.fail(exc)
        else:
            state.writing = IDLE
        finally:
            if self._write_ended is not None:
                self._notify_write_ended()

    def skip_cut_short(self) -> None:
        """Continue after a write that was cut short, and drop the data buffered since: the client then has a beginning
        of the reply without a hole.
        """
        self._state.writing = SKIP_WRITE[self._state.writing]
        self.buffered.clear()
        self._size = 0

    async def finish(self, tail: bytes) -> None:
        """Write the buffer, the tail, and the end of the response.

        Raises:
            ClientDisconnected: as the channel does; and when an earlier write failed, or was cut short and not skipped.
        """
        while (writing := FINISH.get(self._state.writing)) is None:
            if self._state.writing not in UNDER_WAY:
                raise ClientDisconnected(_BROKEN)
            await self._until_write_ended()
        self._begin(writing)
        self.buffer(tail)
        try:
            await self._channel.finish(self._drain())
        except BaseException:
            self._state.writing = WRITE_FAILS[writing]
            raise
        else:
            self._state.writing = WRITE_ENDS[writing]
        finally:
            self._notify_write_ended()

    async def run(self) -> None:
        """The writer's task: writes the data that is handed over. `hand_over` says when to start it, and when it may
        end.

        Raises:
            ClientDisconnected, ChannelFailed: as `flush` does.
        """
        state = self._state
        try:
            while True:
                while self.buffered and state.writing is IDLE:
                    await self.flush(WRITER)
                if state.tasks is WRITER_LEAVES:
                    state.tasks = WATCHED
                    return
                state.tasks = WRITER_WAITS
                self._wake = anyio.Event()
                await self._wake.wait()
        except BaseException:
            state.tasks = WRITER_CANCELLED[state.tasks]
            raise
        finally:
            self._wake = None

    def _begin(self, writing: Writing) -> None:
        self._state.writing = writing
        self.writes += 1

    def _notify_write_ended(self) -> None:
        if self._write_ended is not None:
            self._write_ended.set()
            self._write_ended = None

    async def _until_write_ended(self) -> None:
        self._write_ended = anyio.Event()
        await self._write_ended.wait()

    def _drain(self) -> bytes:
        buffered = self.buffered
        data = buffered[0] if len(buffered) == 1 else b"".join(buffered)
        buffered.clear()
        self.bytes_sent += self._size
        self._size = 0
        return data
