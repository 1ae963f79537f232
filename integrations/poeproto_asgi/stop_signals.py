"""Signals that stop a server: the first requests a graceful shutdown, the second ends the process."""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any

import anyio
from anyio.lowlevel import current_token


class StopSignals:
    """Receives SIGTERM, SIGINT and SIGHUP while the block is open.

    The handlers are Python's own, not the event loop's: they run even while a bot blocks the event loop. After the
    first signal, a second one has the system's effect: it ends the process at once.

    Args:
        on_first: called at the first signal, in the signal handler.
        is_worker: whether the process that started this one decides: it handles SIGINT and SIGHUP, which a terminal
            sends to every process, and ends this one with SIGTERM, which may come more than once.
    """

    def __init__(self, on_first: Callable[[], None], *, is_worker: bool = False) -> None:
        self._on_first = on_first
        self._is_worker = is_worker
        self._previous: dict[int, Any] = {}
        self._received = False
        self._notify: Callable[[], object] | None = None

    def __enter__(self) -> StopSignals:
        for number in (signal.SIGTERM,) if self._is_worker else stop_signals():
            self._previous[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    async def wait(self) -> None:
        """Wait for the first signal; returns at once if it has been received."""
        received = anyio.Event()
        token: Any = current_token().native_token
        # trio's and asyncio's function, both of which may be called in a signal handler.
        call_soon = token.run_sync_soon if hasattr(token, "run_sync_soon") else token.call_soon_threadsafe
        self._notify = partial(call_soon, received.set)
        if self._received:
            return
        try:
            await received.wait()
        finally:
            self._notify = None

    def _receive(self, number: int, frame: object) -> None:
        if self._received:
            return
        self._received = True
        if not self._is_worker:
            for handled in self._previous:
                signal.signal(handled, signal.SIG_DFL)
        self._on_first()
        if self._notify is not None:
            self._notify()


def stop_signals() -> tuple[signal.Signals, ...]:
    """The signals that stop a server: SIGHUP too, unless it is ignored, as under `nohup`. Windows has no SIGHUP."""
    hangup = getattr(signal, "SIGHUP", None)
    if hangup is None or signal.getsignal(hangup) is signal.SIG_IGN:
        return (signal.SIGINT, signal.SIGTERM)
    return (signal.SIGINT, signal.SIGTERM, hangup)


def ignore_terminal_signals() -> None:
    """Ignore the signals of a terminal to every process of its group: the process that started this one acts on it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
