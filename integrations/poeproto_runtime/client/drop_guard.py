"""The drop guard: closes the call of a reply that is dropped before its end, after a ``break`` for instance.

`__del__` cannot await. Event loops do await the `aclose` of an async generator that is still suspended when it is
garbage-collected, or when they end; the guard of a reply is one of these generators. trio also warns of one that is
garbage-collected, so there the guard keeps its generator alive, and has a system task close it.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

logger = logging.getLogger("poeproto")

# trio's generators that are not closed yet; at its end, trio closes the rest.
_open: set[AsyncGenerator[None]] = set()


class DropGuard:
    """Closes a call when the guard is dropped, when it is closed, or when the event loop ends.

    Only the reply may refer to the guard, and the call must not refer to the reply.

    Args:
        close: closes the call.
    """

    __slots__ = ("_generator", "_trio")

    def __init__(self, close: Callable[[], Awaitable[None]]) -> None:
        self._generator = _close_at_end(close)
        self._trio: Any = None

    async def start(self) -> None:
        """Start to guard, in the running event loop."""
        self._trio = trio_token()
        if self._trio is not None:
            _open.add(self._generator)
        await anext(self._generator)

    async def aclose(self) -> None:
        """Close the call."""
        self._trio = None
        _open.discard(self._generator)
        await self._generator.aclose()

    def __del__(self) -> None:
        if self._trio is not None:
            try:
                self._trio.run_sync_soon(_close_in_system_task, self._generator)
            except RuntimeError:  # trio has ended, and closed the call
                _open.discard(self._generator)


def trio_token() -> Any:
    """The token of the trio that runs in this thread; None where none does."""
    trio: Any = sys.modules.get("trio")  # trio need not be installed
    try:
        return trio and trio.lowlevel.current_trio_token()
    except (AttributeError, RuntimeError):  # another thread imports it, or it does not run here
        return None


async def _close_at_end(close: Callable[[], Awaitable[None]]) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        await close()


def _close_in_system_task(generator: AsyncGenerator[None]) -> None:
    _open.discard(generator)
    sys.modules["trio"].lowlevel.spawn_system_task(_close, generator)


async def _close(generator: AsyncGenerator[None]) -> None:
    try:
        await generator.aclose()
    except Exception:  # trio ends if a system task fails
        logger.exception("a reply that was dropped could not be closed")
