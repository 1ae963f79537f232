"""Task groups: the exceptions of code beside them and in them, without the groups around."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import cast

import anyio
import anyio.abc


@asynccontextmanager
async def background_tasks() -> AsyncGenerator[anyio.abc.TaskGroup]:
    """A task group for tasks beside the block; they are cancelled when the block is left.

    A task group would wrap the block's exception in a group. Here it is caught, and re-raised unchanged outside.

    Raises:
        Exception: the exception of the block.
        ExceptionGroup: the exceptions of the tasks.
    """
    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:
        try:
            yield tasks
        except Exception as exc:  # noqa: BLE001 - raised below
            failure = exc
        finally:
            tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


def sole_exception(failure: BaseException) -> BaseException:
    """The exception that a group holds if it holds one alone, at any depth; otherwise the given exception.

    A task group raises a group even for one exception. So Hypercorn raises a group on trio, where on asyncio it raises
    the exception itself.
    """
    while isinstance(failure, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", failure)
        if len(group.exceptions) != 1:
            return group
        failure = group.exceptions[0]
    return failure
