"""One stream's way out: gathers what comes in bursts, writes what comes alone, and never lets two write at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

import anyio

from poeproto_runtime.channel import Channel, PeerGone

_NOT_READING = "the peer does not read what it is sent"


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
        raise PeerGone(_NOT_READING) from exc


class Outlet:
    """The writing end of a stream, bounded in bytes.

    The bot's task writes by itself as long as it can (`flush`), since waking another task for each lone event costs as
    much again as the event. Only when a burst ends because the bot waits for something, the rest of the burst is
    handed to the writer's task (`run`), which also sends the heartbeats of a silent bot.

    Args:
        channel: where the bytes go.
        limit: how many bytes may wait here for a slow peer; a bot that makes more waits with them.
        heartbeat_seconds: the longest silence on the wire.
        send_seconds: how long one write may take.

    Attributes:
        taken: how many bytes were given to the channel.
    """

    def __init__(self, channel: Channel, limit: int, heartbeat_seconds: float, send_seconds: float) -> None:
        self._channel = channel
        self._limit = limit
        self._heartbeat_seconds = heartbeat_seconds
        self._send_seconds = send_seconds
        self.taken = 0
        self._gathered: list[bytes] = []
        self._size = 0
        self._writing = False
        self._written = anyio.Event()  # replaced by each task that waits for the end of a write
        self._wake = anyio.Event()
        self._write_began = self._last_write = time.monotonic()
        self._closed = False
        self._broken = False

    @property
    def full(self) -> bool:
        """Whether more waits here than the limit says."""
        return self._size >= self._limit

    @property
    def closed(self) -> bool:
        """Whether the end of the stream has been written, or is being written."""
        return self._closed

    def put(self, data: bytes) -> bool:
        """Gather bytes for the next write; returns whether that makes it full."""
        if data:
            self._gathered.append(data)
            self._size += len(data)
        return self._size >= self._limit

    def hand_over(self) -> None:
        """Let the writer's task write what has gathered. Synchronous, so that it may be called between the moment a
        coroutine suspends and the moment the loop gets hold of it, where nothing may be awaited.
        """
        if self._gathered and not self._writing:
            self._wake.set()

    async def flush(self) -> None:
        """Write what has gathered from this task. While the other one writes, wait only if there is too much already:
        it will find what was put here when it is done.
        """
        if not self._writing:
            if self._gathered:
                await self._write()
        elif self.full:
            await self._until_written()
            await self.flush()

    async def finish(self, tail: bytes) -> None:
        """Write what has gathered, the tail, and the end of the stream.

        Raises:
            PeerGone: also when an earlier write was cut short by a deadline, since nobody knows how far it came.
        """
        while self._writing:
            await self._until_written()
        if self._broken:
            raise PeerGone("a write was cut short, so the stream cannot go on")
        self._closed = True
        self.put(tail)
        with within_send_seconds(self._send_seconds):
            await self._channel.finish(self._take())

    async def run(self, heartbeat: Callable[[], bytes]) -> None:
        """Write what is handed over, and a heartbeat after each silence, until cancelled.

        Raises:
            PeerGone: also when a write of the bot's task takes too long. It is watched from here, since a deadline
                around each write would cost more than the write.
        """
        wait = self._heartbeat_seconds
        while True:
            # A write that begins meanwhile must not be left alone for longer than it may take.
            with anyio.move_on_after(min(wait, self._send_seconds)):
                await self._wake.wait()
                self._wake = anyio.Event()
            wait = self._last_write + self._heartbeat_seconds - time.monotonic()
            if self._closed:
                wait = self._heartbeat_seconds
                continue
            if self._writing:
                # The bot's task is at it. If it is stuck there, a heartbeat would be stuck behind it.
                left = self._write_began + self._send_seconds - time.monotonic()
                if left <= 0:
                    raise PeerGone(_NOT_READING)
                wait = min(left, self._heartbeat_seconds)
                continue
            if not self._gathered and wait <= 0:
                self.put(heartbeat())
                wait = self._heartbeat_seconds
            while self._gathered and not self._closed and not self._writing:
                with within_send_seconds(self._send_seconds):
                    await self._write()
                wait = self._heartbeat_seconds

    async def _write(self) -> None:
        self._writing = self._broken = True
        self._write_began = time.monotonic()
        try:
            await self._channel.send(self._take())
            self._broken = False
        finally:
            self._writing = False
            self._last_write = time.monotonic()
            self._written.set()

    async def _until_written(self) -> None:
        self._written = anyio.Event()
        await self._written.wait()

    def _take(self) -> bytes:
        data = self._gathered[0] if len(self._gathered) == 1 else b"".join(self._gathered)
        self._gathered.clear()
        self.taken += self._size
        self._size = 0
        return data
