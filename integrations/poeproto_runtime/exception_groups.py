"""Exceptions that come out of task groups."""

from __future__ import annotations

from typing import cast


def sole_exception(failure: BaseException) -> BaseException:
    """The exception that a group holds if it holds one alone, at any depth; else what was passed.

    Task groups raise groups, and libraries on trio do, where the same library on asyncio raises the exception itself.
    """
    while isinstance(failure, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", failure)
        if len(group.exceptions) != 1:
            return group
        failure = group.exceptions[0]
    return failure
