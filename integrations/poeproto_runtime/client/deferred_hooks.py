"""Deferred hooks: those that are due while the garbage collector runs are called later, at a safe point.

A collection may begin between any two instructions, so the finalisers in it may run while their thread holds a lock, of
a tracer's SDK for instance. A finaliser may end a call: it closes a reply that was dropped in a reference cycle, or a
generator that reads one. A hook that takes that lock would then wait for its own thread, forever.

So `CallProgress` calls no hook during a collection, but defers it to here. The hooks are called soon by the event loop
in which the call was made. Without an event loop, or after it has ended, they are called when the next observed call
starts, when a blocking client is closed, or at the exit of the program.

What drops the last reference by itself, as a ``break`` does, runs finalisers too, but at a place of its own choice. The
hooks are called at once there, as anywhere else in the task or thread of a call.

Code that runs during a collection takes no lock: `deque.append`, and the functions that event loops offer to signal
handlers.
"""

from __future__ import annotations

import asyncio
import atexit
import gc
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from poeproto_runtime.client.drop_guard import trio_token

Call = Callable[[], object]
CallSoon = Callable[[Call], object]

_deferred: deque[Call] = deque()
_collecting_thread: int | None = None


def _note_collection(phase: str, info: object) -> None:
    global _collecting_thread
    _collecting_thread = threading.get_ident() if phase == "start" else None


def watch_collections() -> None:
    """Note from now on when the garbage collector runs. Only programs with hooks pay for that."""
    if _note_collection not in gc.callbacks:
        gc.callbacks.append(_note_collection)


def is_collecting() -> bool:
    """Whether a garbage collection, which runs in this thread, has called the caller."""
    return _collecting_thread is not None and _collecting_thread == threading.get_ident()


def running_loop() -> CallSoon | None:
    """What has the running event loop call a function soon, from any thread; None where no event loop runs."""
    token = trio_token()  # first: in trio's guest mode, another event loop runs here, too
    if token is not None:
        return token.run_sync_soon
    try:
        return asyncio.get_running_loop().call_soon_threadsafe
    except RuntimeError:
        return None


def defer(call: Call, call_soon: CallSoon | None) -> None:
    """Make this call at a safe point.

    Args:
        call: calls hooks; it raises nothing.
        call_soon: of the event loop of the observed call, if it has one.
    """
    # Registered again each time, so that it runs before the exit functions of a tracer, which flush what has ended.
    atexit.unregister(call_deferred)
    atexit.register(call_deferred)
    _deferred.append(call)
    if call_soon is not None:
        with suppress(RuntimeError):  # the event loop has ended; the next safe point makes the call
            call_soon(call_deferred)


def call_deferred() -> None:
    """Make the deferred calls, if this is a safe point."""
    while _deferred and not is_collecting():
        try:
            call = _deferred.popleft()
        except IndexError:  # another thread has made the last one
            return
        call()
