"""How long a thread has run, and has waited for a processor: Linux's counts.

This relies on ``/proc/self/task/ID/schedstat`` and ``stat``. Without them a bot on a busy machine is logged as one that
blocks the event loop, though its thread did not run. `tests/integrations/runtime/test_loop_watch.py` notices.
"""

from __future__ import annotations

from pathlib import Path

import attrs

_RUNNABLE = "R"


@attrs.frozen
class ThreadTimes:
    """The counts of a thread, in seconds.

    Attributes:
        running: on a processor.
        waiting: for a processor. A wait that has not ended is not in it.
        is_runnable: whether it runs or waits for a processor now, and does not sleep.
    """

    running: float
    waiting: float
    is_runnable: bool

    @classmethod
    def of(cls, native_id: int) -> ThreadTimes | None:
        """The counts of the thread with this number (`threading.get_native_id`); None if the system has none."""
        folder = Path(f"/proc/self/task/{native_id}")
        try:
            running, waiting, _ = (folder / "schedstat").read_text(encoding="ascii").split()
            # The name of the thread, in parentheses, may have spaces.
            state = (folder / "stat").read_bytes().rpartition(b") ")[2][:1].decode("ascii")
        except (OSError, ValueError):
            return None
        return cls(int(running) / 1e9, int(waiting) / 1e9, state == _RUNNABLE)

    def waited_since(self, before: ThreadTimes, seconds: float) -> float:
        """How long the thread has waited for a processor, at most, of the seconds since `before`."""
        if self.is_runnable:
            return seconds - (self.running - before.running)
        return self.waiting - before.waiting
