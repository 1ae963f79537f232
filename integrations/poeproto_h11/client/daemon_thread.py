"""Functions in threads of their own, for where there is no event loop and a wait must have an end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def in_daemon_thread(name: str, function: Callable[[], T]) -> Future[T]:
    """What the function comes to, in a thread of that name.

    A thread cannot be stopped: where nobody waits for it any more it runs on, but not beyond the program's end.
    """
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(function())
        except BaseException as exc:  # noqa: BLE001 - raised by the thread that waits
            outcome.set_exception(exc)

    threading.Thread(target=run, name=name, daemon=True).start()
    return outcome
