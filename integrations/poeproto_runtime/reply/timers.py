"""Looking after the streams that wait: one task for all of a server's, since one for each takes memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Protocol, cast

import anyio
from anyio.lowlevel import RunVar

# How often a stream is looked at, in parts of the shortest time that matters to it.
_LOOKS = 16


class Host(Protocol):
    """A task group that a task can live in."""

    def start_soon(self, run: Callable[..., Coroutine[Any, Any, None]], /, *arguments: object) -> object:
        """Start a task, which is cancelled when the host ends."""
        ...


class TimedReply(Host, Protocol):
    """A stream that is under way, within a task group of its own."""

    def tick(self, now: float, pause: float, /) -> None:
        """Do what is due by now, or in the pause until the next look. It must neither wait nor fail."""
        ...


class ReplyTimers:
    """Looks at each stream every so often, from one task.

    The task lives with the server, where that says when it begins and ends (`hosted`); else with one of the streams,
    and when that one ends, another takes over. A stream is added when it waits for the first time, so that a reply that
    never waits takes no task but the bot's.

    Args:
        shortest: the shortest time, in seconds, that a stream wants something done after.
    """

    def __init__(self, shortest: float) -> None:
        self._pause = shortest / _LOOKS
        self._streams: dict[TimedReply, None] = {}
        self._host: Host | None = None
        self._more = anyio.Event()

    @asynccontextmanager
    async def hosted(self) -> AsyncGenerator[None]:
        """Have the task live here, until the block is left."""
        failure: Exception | None = None
        async with anyio.create_task_group() as tasks:
            self._live_with(tasks)
            try:
                yield
            except Exception as exc:  # noqa: BLE001 - carried past the task group, which would wrap it
                failure = exc
            finally:
                self._leave(tasks)
                tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure

    def add(self, stream: TimedReply) -> None:
        """Look after this stream, until it is discarded."""
        self._streams[stream] = None
        self._more.set()
        if self._host is None:
            self._live_with(stream)

    def discard(self, stream: TimedReply) -> None:
        """Look after this stream no more; it must be said before its task group is left, and does no harm twice."""
        self._streams.pop(stream, None)
        self._leave(stream)

    def _live_with(self, host: Host) -> None:
        self._host = host
        host.start_soon(self._run, host)

    def _leave(self, host: Host) -> None:
        if self._host is host:
            self._host = None
            for stream in self._streams:
                self._live_with(stream)
                break

    async def _run(self, host: Host) -> None:
        try:
            while host is self._host:
                if not self._streams:
                    self._more = anyio.Event()
                    await self._more.wait()
                await anyio.sleep(self._pause)
                now = anyio.current_time()
                for stream in tuple(self._streams):
                    stream.tick(now, self._pause)
        finally:
            # Cancelled with its host. A stream that is cancelled needs nobody to look at it.
            self._streams.pop(cast("TimedReply", host), None)
            self._leave(host)


class LoopTimers:
    """A `ReplyTimers` for each event loop, since no loop can start tasks in another, and each has a clock of its own.

    Args:
        shortest: as for `ReplyTimers`.
    """

    def __init__(self, shortest: float) -> None:
        self._shortest = shortest
        self._watch: RunVar[ReplyTimers | None] = RunVar("watch", None)

    def here(self) -> ReplyTimers:
        """The one of the running event loop."""
        watch = self._watch.get()
        if watch is None:
            watch = ReplyTimers(self._shortest)
            self._watch.set(watch)
        return watch
