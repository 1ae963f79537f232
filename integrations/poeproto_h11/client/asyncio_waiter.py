"""The awaitable of a read on asyncio: a future-like object that resumes its task in the callback of the event loop.

`asyncio.Future` schedules the task that awaits it, so the task runs one iteration of the event loop later, with a poll
of all sockets in between. For an event that arrives alone, that takes a tenth of the client's CPU time. A `Waiter`
calls the task at once, from `data_received`, where no task is running. It also serves all reads of its connection,
whereas a future is made for each.

It implements the interface that tasks expect of any object with `_asyncio_future_blocking` (`asyncio.isfuture`
documents the attribute): `get_loop`, `add_done_callback` with a context, `result` and `cancel`. Task.cancel calls
`cancel`, and expects the task to be called back soon, not at once. With `asyncio.Future` in place of it everything
works, only slower (``python -m benchmarks lone relay``). tests/integrations/h11_client/test_asyncio_waiter.py would
notice a change.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Generator
from typing import Any

_Callback = Callable[["Waiter"], object]


class Waiter:
    """A future-like object that one task at a time awaits, as often as it likes.

    Args:
        loop: the event loop of the task.
    """

    __slots__ = ("_asyncio_future_blocking", "_callback", "_cancelled", "_context", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._asyncio_future_blocking = False
        self._loop = loop
        self._callback: _Callback | None = None  # resumes the task; None unless the task waits
        self._context: contextvars.Context | None = None
        self._cancelled: asyncio.CancelledError | None = None

    def resume(self) -> None:
        """Resume the task now, if it waits. Only for callbacks of the event loop, in which no task is running."""
        callback = self._callback
        if callback is not None:
            self._callback = None
            assert self._context is not None
            self._context.run(callback, self)

    def resume_soon(self) -> None:
        """Resume the task in the next iteration of the event loop, if it waits."""
        callback = self._callback
        if callback is not None:
            self._callback = None
            self._loop.call_soon(callback, self, context=self._context)

    def __await__(self) -> Generator[Any, None, None]:
        self._asyncio_future_blocking = True
        yield self

    # --- called by the task

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The event loop, which the task compares with its own."""
        return self._loop

    def add_done_callback(self, callback: _Callback, *, context: contextvars.Context) -> None:
        """Wait with this callback, which resumes the task."""
        self._callback, self._context, self._cancelled = callback, context, None

    def done(self) -> bool:
        """Whether no task waits, or one is about to be resumed. Tools ask for it, such as `wait_all_tasks_blocked`."""
        return self._callback is None

    def result(self) -> None:
        """Raise the exception that resumes the task, if it was cancelled."""
        if self._cancelled is not None:
            raise self._cancelled

    def cancel(self, msg: object = None) -> bool:
        """Resume the task with a CancelledError; False if it is about to be resumed anyway."""
        if self._callback is None:
            return False
        self._cancelled = asyncio.CancelledError() if msg is None else asyncio.CancelledError(msg)
        self.resume_soon()
        return True
