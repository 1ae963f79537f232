"""The origin of a cancellation: the running task's own, or one that merely reached it."""

from __future__ import annotations

import asyncio
import math

import anyio


def cancellation_is_ours() -> bool:
    """Whether a `asyncio.CancelledError` that was caught here is a cancellation of the running task.

    asyncio raises the same exception in a task that is cancelled and in one that awaits a cancelled task or future.
    Only the former is marked as being cancelled.
    """
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return False  # on trio: a tool or bot raised the exception itself
    return task is None or task.cancelling() > 0


def is_cancelled() -> bool:
    """Whether the running task is being cancelled, by a scope around the caller or as a whole.

    A cancellation exception that is seen while the task is not being cancelled came from a scope that has already
    exited: a generator that held the scope open around a `yield` was closed meanwhile.
    """
    if anyio.get_cancelled_exc_class() is asyncio.CancelledError:
        return cancellation_is_ours()
    return anyio.current_effective_deadline() == -math.inf
