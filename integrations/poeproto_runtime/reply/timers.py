"""Heartbeat and timeout timers: one task ticks for all replies of a server, since one task for each takes memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Protocol, cast

import anyio
from anyio.lowlevel import RunVar

from poeproto_runtime.task_groups import background_tasks

# How many ticks there are in the shortest timeout.
_TICKS = 16


class TaskStarter(Protocol):
    """A task group, or an object that starts tasks in one."""

    def start_soon(self, run: Callable[..., Coroutine[Any, Any, None]], /, *arguments: object) -> object:
        """Start a task, which is cancelled when the task group ends."""
        ...


class TimedReply(TaskStarter, Protocol):
    """A reply under way, which can start tasks."""

    def tick(self, now: float, interval: float, /) -> None:
        """Run the acts that are due now, or before the next tick. It must neither block nor raise."""
        ...


class ReplyTimers:
    """Ticks for each reply at an interval, from one task.

    The task runs in the server's task group while `running` is open. Without that, it runs in the `ReplyTasks` of one
    of the replies, and when that reply ends, it is started again in another's. A reply is added at its first
    suspension, so that a reply that is never suspended costs no timer.

    Args:
        shortest_timeout: the shortest timeout of a reply, in seconds. A tick is a sixteenth of it.
    """

    def __init__(self, shortest_timeout: float) -> None:
        self._interval = shortest_timeout / _TICKS
        self._replies: dict[TimedReply, None] = {}
        self._starter: TaskStarter | None = None  # starts the timers' task
        self._added = anyio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Run the task here while the block is open."""
        async with background_tasks() as tasks:
            self._start_in(tasks)
            try:
                yield
            finally:
                self._move_from(tasks)

    def add(self, reply: TimedReply) -> None:
        """Tick for this reply until it is discarded."""
        self._replies[reply] = None
        self._added.set()
        if self._starter is None:
            self._start_in(reply)

    def discard(self, reply: TimedReply) -> None:
        """Tick for this reply no more. Must be called before its tasks end; a second call does nothing."""
        self._replies.pop(reply, None)
        self._move_from(reply)

    def _start_in(self, starter: TaskStarter) -> None:
        self._starter = starter
        starter.start_soon(self._run, starter)

    def _move_from(self, starter: TaskStarter) -> None:
        if self._starter is starter:
            self._starter = None
            for reply in self._replies:
                self._start_in(reply)
                break

    async def _run(self, starter: TaskStarter) -> None:
        try:
            while starter is self._starter:
                if not self._replies:
                    self._added = anyio.Event()
                    await self._added.wait()
                await anyio.sleep(self._interval)
                now = anyio.current_time()
                for reply in tuple(self._replies):
                    reply.tick(now, self._interval)
        finally:
            # Cancelled with its task group. A reply that is cancelled needs no ticks.
            self._replies.pop(cast("TimedReply", starter), None)
            self._move_from(starter)


class LoopTimers:
    """A `ReplyTimers` for each event loop, since no loop can start tasks in another, and each has its own clock.

    Args:
        shortest_timeout: as for `ReplyTimers`.
    """

    def __init__(self, shortest_timeout: float) -> None:
        self._shortest_timeout = shortest_timeout
        self._timers: RunVar[ReplyTimers | None] = RunVar("timers", None)

    def here(self) -> ReplyTimers:
        """The ticker of the running event loop."""
        timers = self._timers.get()
        if timers is None:
            timers = ReplyTimers(self._shortest_timeout)
            self._timers.set(timers)
        return timers
