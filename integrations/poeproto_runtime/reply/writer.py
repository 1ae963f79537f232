"""One stream's way out: gathers what comes in bursts, writes what comes alone, and never lets two write at once."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import anyio

from poeproto import ResponseHead
from poeproto_runtime.channel import Channel, ChannelFailed, ClientDisconnected

_NOT_READING = "the peer does not read what it is sent"
_BROKEN = "a write failed or was cut short, so the stream cannot go on"


@contextmanager
def within_send_seconds(seconds: float) -> Generator[None]:
    """Take a peer for gone that lets a write wait longer.

    Raises:
        PeerGone: then.
    """
    try:
        with anyio.fail_after(seconds):
            yield
    except TimeoutError as exc:
        raise ClientDisconnected(_NOT_READING) from exc


class CoalescingWriter:
    """The writing end of a stream, bounded in bytes.

    The bot's task writes by itself as long as it can (`flush`), since waking another task for each lone event costs as
    much again as the event. Only when a burst ends because the bot waits for something, the rest of the burst is
    handed to a task of the outlet's own (`run`), and so are the heartbeats of a silent bot. Nothing here knows the
    time: whether a write takes too long can be told from `writes` and `writing`.

    Args:
        channel: where the bytes go.
        limit: how many bytes may wait here for a slow peer; a bot that makes more waits with them.

    Attributes:
        taken: how many bytes were given to the channel.
        writes: how many writes were begun.
        writing: whether one is under way.
        broken: whether one failed or was cancelled, so that nobody knows whether the peer gets what it was to bring.
        cut_short: whether it was a `flush` that was cancelled, which can be passed over.
        closed: whether the end of the stream has been written, or is being written.
    """

    __slots__ = (
        "_channel",
        "_gathered",
        "_limit",
        "_running",
        "_size",
        "_staying",
        "_wake",
        "_written",
        "broken",
        "closed",
        "cut_short",
        "taken",
        "writes",
        "writing",
    )

    def __init__(self, channel: Channel, limit: int) -> None:
        self._channel = channel
        self._limit = limit
        self.taken = 0
        self.writes = 0
        self.writing = False
        self.broken = False
        self.cut_short = False
        self.closed = False
        self._gathered: list[bytes] = []
        self._size = 0
        self._running = False
        self._staying = True
        self._written: anyio.Event | None = None  # where somebody waits for the end of a write
        self._wake: anyio.Event | None = None  # where the outlet's own task waits

    async def start(self, head: ResponseHead) -> None:
        """Write the head, which is a write like others: nothing comes between, and it takes no longer."""
        self.writing = True
        self.writes += 1
        try:
            await self._channel.start(head)
        except BaseException:
            self.broken = True
            raise
        finally:
            self._end_write()

    @property
    def room(self) -> int:
        """How many bytes may be put here before it is full."""
        return self._limit - self._size

    def put(self, data: bytes) -> bool:
        """Gather bytes for the next write; returns whether that makes it full."""
        if data:
            self._gathered.append(data)
            self._size += len(data)
        return self._size >= self._limit

    def hand_over(self, *, staying: bool = True) -> bool:
        """Let the outlet's own task write what has gathered; returns whether there is none yet, and `run` must be
        started in one. Synchronous, so that it may be called between the moment a coroutine suspends and the moment the
        loop gets hold of it, where nothing may be awaited.

        Args:
            staying: whether the task is to stay for what comes next. To start one takes longer than to wake it, and one
                that waits takes memory.
        """
        if not self._gathered or self.writing or self.broken:
            return False
        self._staying = staying
        if self._wake is not None:
            self._wake.set()
        if self._running:
            return False
        self._running = True
        return True

    async def flush(self) -> None:
        """Write what has gathered from this task. While the other one writes, wait only if there is too much already:
        it will find what was put here when it is done.

        Raises:
            PeerGone: as the channel does; and when an earlier write failed, or was cut short and not passed over.
            ChannelFailed: when the channel raises another exception.
        """
        while self.writing:
            if self._size < self._limit:
                return
            await self._until_written()
        if self.broken:  # by the other task: behind what it lost nothing can be sent
            raise ClientDisconnected(_BROKEN)
        if not self._gathered:
            return
        self.writing = True
        self.writes += 1
        try:
            await self._channel.send(self._take())
        except Exception as exc:
            self.broken = True
            if isinstance(exc, ClientDisconnected):
                raise
            raise ChannelFailed("a write failed") from exc
        except BaseException:
            self.broken = self.cut_short = True
            raise
        finally:
            self._end_write()

    def pass_over(self) -> None:
        """Go on behind a write that was cut short, without what has gathered since: what the peer got of the reply is
        its beginning then, with no hole in it.
        """
        self._gathered.clear()
        self._size = 0
        self.broken = self.cut_short = False

    async def finish(self, tail: bytes) -> None:
        """Write what has gathered, the tail, and the end of the stream.

        Raises:
            PeerGone: also when an earlier write failed, or was cut short and not passed over.
        """
        while self.writing:
            await self._until_written()
        if self.broken:
            raise ClientDisconnected(_BROKEN)
        self.closed = self.writing = True
        self.writes += 1
        self.put(tail)
        try:
            await self._channel.finish(self._take())
        finally:
            self._end_write()

    async def run(self) -> None:
        """Write what is handed over; `hand_over` says when to start this, and when it may end.

        Raises:
            PeerGone, ChannelFailed: as `flush` does.
        """
        try:
            while True:
                while self._gathered and not self.writing and not self.closed:
                    await self.flush()
                if not self._staying:
                    return
                self._wake = anyio.Event()
                await self._wake.wait()
        finally:
            self._running = False
            self._wake = None

    def _end_write(self) -> None:
        self.writing = False
        if self._written is not None:
            self._written.set()
            self._written = None

    async def _until_written(self) -> None:
        self._written = anyio.Event()
        await self._written.wait()

    def _take(self) -> bytes:
        gathered = self._gathered
        data = gathered[0] if len(gathered) == 1 else b"".join(gathered)
        gathered.clear()
        self.taken += self._size
        self._size = 0
        return data
