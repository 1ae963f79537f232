"""The tasks of a reply beside the bot's: a task group on trio, plain tasks of the event loop on asyncio.

A reply that waits has one such task, and thousands of replies wait at a time. anyio's task group gives each task a
handle with an event, a cancel scope and a coroutine of its own. For a silent stream that is 3 kB of 34, and it adds
50 µs of CPU time to a reply (``python -m benchmarks silent many``). None of it is needed here, since nobody awaits
such a task by itself, and no task has children. So on asyncio `AsyncioTasks` uses only a cancel scope and
`loop.create_task`.
The rules are those of a task group: a failure of a task cancels the rest, and no task outlives the reply.
tests/integrations/runtime/test_reply_tasks.py holds both classes to them.

A cancellation is delivered to such a task once, as by `asyncio.Task.cancel`, and not at each of its awaits as in a task
group. All that these tasks await ends at the first one.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Protocol

import anyio

Run = Callable[..., Coroutine[Any, Any, None]]


class ReplyTasks(Protocol):
    """The tasks of a reply beside the bot's task, which enters this as a context manager."""

    async def __aenter__(self) -> object: ...

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        """Cancel the tasks and wait for their end.

        Raises:
            BaseExceptionGroup: the exceptions of the block or a task, except cancellations.
        """
        ...

    @property
    def is_cancelled(self) -> bool:
        """Whether `cancel` was called."""
        ...

    def start_soon(self, context: contextvars.Context, run: Run, *arguments: object) -> None:
        """Start a task with these context variables; from any task."""
        ...

    def cancel(self) -> None:
        """Cancel the block and the tasks."""
        ...

    def cancel_beside(self) -> None:
        """Cancel the tasks, at the end of the block. Anything that the block still awaits must be shielded."""
        ...


def make_reply_tasks() -> ReplyTasks:
    """The tasks of one reply, for the running event loop."""
    return AsyncioTasks() if anyio.get_cancelled_exc_class() is asyncio.CancelledError else AnyioTasks()


class AnyioTasks:
    """`ReplyTasks` in a task group."""

    __slots__ = ("_group",)

    def __init__(self) -> None:
        self._group = anyio.create_task_group()

    async def __aenter__(self) -> None:
        await self._group.__aenter__()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        self._group.cancel_scope.cancel()
        return await self._group.__aexit__(exc_type, exc, traceback)

    @property
    def is_cancelled(self) -> bool:
        return self._group.cancel_scope.cancel_called

    def start_soon(self, context: contextvars.Context, run: Run, *arguments: object) -> None:
        context.run(self._group.start_soon, run, *arguments)

    def cancel(self) -> None:
        self._group.cancel_scope.cancel()

    cancel_beside = cancel


class AsyncioTasks:
    """`ReplyTasks` as plain tasks of asyncio's event loop."""

    __slots__ = ("_all_ended", "_ending", "_failures", "_scope", "_tasks")

    def __init__(self) -> None:
        self._scope = anyio.CancelScope()
        self._tasks: tuple[asyncio.Task[None], ...] = ()  # there are one or two, and the empty tuple takes no memory
        self._failures: tuple[BaseException, ...] = ()
        self._ending = False
        self._all_ended: asyncio.Future[None] | None = None  # where the block waits for the end of the tasks

    async def __aenter__(self) -> None:
        self._scope.__enter__()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        if exc is not None and not isinstance(exc, asyncio.CancelledError):
            self._failures = (exc, *self._failures)
        try:
            cancelled = await self._end() if self._tasks else None
            if self._failures:
                raise BaseExceptionGroup("unhandled errors in a reply", self._failures) from None
            if cancelled is not None and exc is None:
                raise cancelled
        except BaseException as raised:
            if self._scope.__exit__(type(raised), raised, raised.__traceback__):
                return True
            raise
        finally:
            self._failures = ()
        return self._scope.__exit__(exc_type, exc, traceback)

    async def _end(self) -> asyncio.CancelledError | None:
        """Wait for the end of the tasks; returns a cancellation that came meanwhile."""
        self.cancel_beside()
        cancelled: asyncio.CancelledError | None = None
        shield = anyio.CancelScope()
        with shield:
            while self._tasks:
                self._all_ended = asyncio.get_running_loop().create_future()
                try:
                    await self._all_ended
                except asyncio.CancelledError as exc:
                    cancelled = exc
                    shield.shield = True  # a scope would cancel this wait again and again
        return cancelled

    @property
    def is_cancelled(self) -> bool:
        return self._scope.cancel_called

    def start_soon(self, context: contextvars.Context, run: Run, *arguments: object) -> None:
        coroutine = run(*arguments)
        task = asyncio.get_running_loop().create_task(coroutine, name=coroutine.__qualname__, context=context)
        self._tasks = (*self._tasks, task)
        task.add_done_callback(self._on_end)

    def cancel(self) -> None:
        self._scope.cancel()
        self.cancel_beside()

    def cancel_beside(self) -> None:
        self._ending = True
        for task in self._tasks:
            task.cancel()

    def _on_end(self, ended: asyncio.Task[None]) -> None:
        self._tasks = tuple([task for task in self._tasks if task is not ended])
        if not self._tasks and self._all_ended is not None and not self._all_ended.done():
            self._all_ended.set_result(None)
        failure = None if ended.cancelled() else ended.exception()
        if failure is not None:
            self._failures = (*self._failures, failure)
        if failure is not None or (ended.cancelled() and not self._ending):
            self.cancel()
