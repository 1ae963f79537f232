"""Closing async iterables, which `async for` does not do when it is left early."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")


async def close(source: object) -> None:
    """Close an async generator, or another object with `aclose`. Other async iterables have nothing to close."""
    aclose: Callable[[], Any] | None = getattr(source, "aclose", None)
    if aclose is not None:
        closed = aclose()
        if inspect.isawaitable(closed):  # a test may replace a generator by a mock
            await closed


@asynccontextmanager
async def closing(source: AsyncIterable[T]) -> AsyncGenerator[AsyncIterable[T]]:
    """The iterable itself, which is closed after the block."""
    try:
        yield source
    finally:
        await close(source)
