"""A watch on event loops: a thread that logs which bot blocks one, and where.

Nothing is paid for it in the event loop. A thread samples the stack of the loop's thread, twenty times a second. Only
when that is code of a bot does it ask the loop to call back. If the loop has not done so after `_STEP_SECONDS`, and the
same frame of the bot's still runs, then one step of the bot has taken that long: a loop runs each task once before it
calls back. A C function that holds the interpreter's lock is not noticed.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from anyio.lowlevel import current_token

from poeproto_runtime.bot_location import Blocking, blocking_code

logger = logging.getLogger("poeproto")

_SAMPLE_SECONDS = 0.05
_STEP_SECONDS = 0.1
# A sample after such a time is not reliable: the machine was too busy to run this thread.
_LATE_SECONDS = 2 * _STEP_SECONDS
# How often each bot is logged.
_LOG_SECONDS = 60.0

_watches: dict[int, _LoopWatch] = {}  # by the loop's thread
_lock = threading.Lock()


@contextmanager
def loop_watched() -> Generator[None]:
    """Watch the running event loop while the block is open. Several blocks share a watch."""
    thread = threading.get_ident()
    with _lock:
        watch = _watches.get(thread)
        if watch is None:
            watch = _watches[thread] = _LoopWatch(thread, current_token().native_token)
        watch.users += 1
    try:
        yield
    finally:
        with _lock:
            watch.users -= 1
            if not watch.users:
                del _watches[thread]
                watch.stop()


class _LoopWatch:
    """The watch on one event loop.

    Args:
        loop_thread: the identifier of the loop's thread.
        token: the asyncio loop, or trio's token.
    """

    def __init__(self, loop_thread: int, token: Any) -> None:
        self.users = 0
        self._loop_thread = loop_thread
        # The functions of trio and asyncio; both may be called from any thread.
        self._call_soon = token.run_sync_soon if hasattr(token, "run_sync_soon") else token.call_soon_threadsafe
        self._stop = threading.Event()
        self._next_log: dict[str, float] = {}
        threading.Thread(target=self._run, name="poeproto loop watch", daemon=True).start()

    def stop(self) -> None:
        """End the thread soon."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(_SAMPLE_SECONDS):
            before = self._blocking()
            if before is None:
                continue
            called_back = threading.Event()
            try:
                self._call_soon(called_back.set)
            except RuntimeError:
                return  # the loop has ended
            started = time.monotonic()
            if called_back.wait(_STEP_SECONDS) or time.monotonic() - started > _LATE_SECONDS:
                continue
            blocking = self._blocking()
            if blocking is not None and blocking.frame is before.frame and not called_back.is_set():
                self._log(blocking)

    def _blocking(self) -> Blocking | None:
        frame = sys._current_frames().get(self._loop_thread)  # pyright: ignore[reportPrivateUsage] - it is documented
        return None if frame is None else blocking_code(frame)

    def _log(self, blocking: Blocking) -> None:
        now = time.monotonic()
        if now < self._next_log.get(blocking.bot, now):
            return
        self._next_log[blocking.bot] = now + _LOG_SECONDS
        logger.warning(
            "%s blocks the event loop for more than %g ms, at %s: all other replies wait meanwhile; await an"
            " asynchronous function instead, or run this one with anyio.to_thread.run_sync",
            blocking.bot,
            _STEP_SECONDS * 1000,
            blocking.where,
        )
