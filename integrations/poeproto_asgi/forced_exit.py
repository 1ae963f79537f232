"""Forced exit: ends the process even if a bot swallows its cancellation or a thread blocks."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType

from poeproto_runtime.bot_location import Blocking, blocking_code

logger = logging.getLogger("poeproto")

# How much longer than the grace and the cleanup: Hypercorn's own timeout is as long as these, and ends most servers.
_MARGIN = 1.0
_POLL_SECONDS = 0.2
# How long the log may take. It may never end: the thread that is stuck may hold a lock of the log.
_LOG_SECONDS = 1.0
_STATUS = 1
# How often, and how many times, the event loop is found to run a bot until it counts as blocked.
_SAMPLES = 50
_SAMPLE_SECONDS = 0.005


class ForcedExit:
    """Ends this process some time after a stop was requested, unless it has ended by itself.

    It ends the process if connections are still under way then; or if the interpreter, about to exit, waits for
    threads. It does not interrupt the lifespan shutdown of an application, which runs after its last connection, or
    code of the program after `run`.

    A thread of its own keeps the time, started in advance: the event loop may be blocked, and a signal handler must not
    start a thread.

    Args:
        seconds: the time of a graceful shutdown, from the request to the end of the last connection.
        locations: the bots that are under way, and where.
    """

    def __init__(self, seconds: float, locations: Callable[[], list[str]]) -> None:
        self._seconds = seconds + _MARGIN
        self._locations = locations
        self._requested = threading.Event()
        self._connections_ended = threading.Event()
        self._loop_thread = threading.get_ident()
        threading.Thread(target=self._run, name="forced exit", daemon=True).start()

    def start(self) -> None:
        """Start the time. May be called in a signal handler, once."""
        self._requested.set()

    def connections_ended(self) -> None:
        """No connection is left: from now on, only threads are waited for."""
        self._connections_ended.set()

    def _run(self) -> None:
        self._requested.wait()
        latest = time.monotonic() + self._seconds
        if not self._connections_ended.wait(self._seconds):
            self._exit("connections are still under way", self._stuck_bots())
        while not _waits_for_threads():
            time.sleep(_POLL_SECONDS)
        time.sleep(max(0.0, latest - time.monotonic()))
        names = [thread.name for thread in threading.enumerate() if not thread.daemon and thread.is_alive()]
        self._exit("threads are still running", names)

    def _stuck_bots(self) -> list[str]:
        """The bots under way, and where; if the event loop is blocked, where as well."""
        locations: list[str] = []
        blocking: Blocking | None = None
        # A bot that swallows its cancellation in a loop is suspended at most times, and runs at others.
        for _ in range(_SAMPLES):
            frame = sys._current_frames().get(self._loop_thread)  # pyright: ignore[reportPrivateUsage] - it is documented
            blocking = None if frame is None else blocking_code(frame)
            locations = self._locations()
            if blocking is None:
                return locations
            time.sleep(_SAMPLE_SECONDS)
        assert blocking is not None, "the last sample did not return"
        return [*locations, f"the event loop is blocked at {blocking.where}"]

    def _exit(self, why: str, what: list[str]) -> None:
        message = "the process ends by force, %g s after it was asked to stop: %s (%s)"
        arguments = (message, self._seconds, why, "; ".join(what) or "unknown")
        writing = threading.Thread(target=logger.error, args=arguments, daemon=True)
        writing.start()
        writing.join(_LOG_SECONDS)
        os._exit(_STATUS)


def _waits_for_threads() -> bool:
    """Whether the main thread is in the interpreter's exit, where it waits for non-daemon threads.

    `threading._shutdown` does that, in all versions of CPython. Without this, a bot's blocking thread would keep the
    process: `test_forced_exit.py` notices.
    """
    main = threading.main_thread()
    frame: FrameType | None = sys._current_frames().get(main.ident or 0)  # pyright: ignore[reportPrivateUsage]
    exit_code = threading._shutdown.__code__  # type: ignore[attr-defined]
    while frame is not None:
        if frame.f_code is exit_code:
            return True
        frame = frame.f_back
    return False
