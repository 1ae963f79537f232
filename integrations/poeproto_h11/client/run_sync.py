"""Running asynchronous code that never suspends: the one way from the client's code to its blocking form."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run_sync(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in the caller's own thread, whatever event loop may be running there.

    Raises:
        RuntimeError: when it suspends. Over a backend that blocks nothing does, so that this is a fault in whatever
            was awaited; an event loop would have been needed to go on.
    """
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    fault = RuntimeError("a blocking call was about to wait for an event loop: something it awaits does not block")
    try:
        coroutine.close()
    except RuntimeError as exc:  # what it does at its end suspends as well
        raise fault from exc
    raise fault
