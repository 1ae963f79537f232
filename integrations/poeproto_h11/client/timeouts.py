"""The deadlines of a call: the timeouts that a client is configured with, and the clock of one call."""

from __future__ import annotations

import time

import attrs

from poeproto import DeadlineExceeded

__all__ = ["Timeouts"]


@attrs.frozen(kw_only=True)
class Timeouts:
    """The four timeouts of a call, in seconds.

    Attributes:
        connect: for name resolution, TCP and TLS together.
        header: from the last byte of the request to the end of the response's head.
        idle: for each read of the response's body, and for a write to make progress. Bots that send heartbeats do so
            about every 15 seconds.
        total: for the whole call, with its retries and rounds of tools. Poe itself allows an answer one hour. A retry
            whose delay would not end in time is not made; the previous failure is raised instead.

    Raises:
        ValueError: when one is zero or negative.
    """

    connect: float = 10.0
    header: float = 30.0
    idle: float = 60.0
    total: float = 3600.0

    def __attrs_post_init__(self) -> None:
        for name, value in attrs.asdict(self).items():
            if not value > 0:
                raise ValueError(f"Timeouts.{name} must be positive, got {value!r}")


class Clock:
    """The time that one call has left, counted from when the clock is made.

    Args:
        timeouts: the timeouts of the call.
    """

    def __init__(self, timeouts: Timeouts) -> None:
        self.timeouts = timeouts
        self._end = time.monotonic() + timeouts.total

    def at_most(self, seconds: float) -> Clock:
        """A clock that ends after the given seconds, if this one does not end before."""
        clock = Clock(self.timeouts)
        clock._end = min(self._end, time.monotonic() + seconds)
        return clock

    def left(self, seconds: float) -> float:
        """The given seconds, or the rest of the call's time if that is less; never negative."""
        left = self._end - time.monotonic()
        return seconds if seconds < left else max(0.0, left)

    def exceeded(self, name: str) -> DeadlineExceeded:
        """The error for the timeout of that name. If the total timeout has passed, too, the error names that."""
        if time.monotonic() >= self._end:
            name = "total"
        return DeadlineExceeded(f"the {name} timeout of {getattr(self.timeouts, name):g} s passed")
