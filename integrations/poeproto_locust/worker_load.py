"""How busy a process was that runs users: it is the limit of a load test before it is the bot's.

A process that is short of CPU time reads events late, and measures its own delay too. A timer shows how much.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

import attrs
import gevent

from poeproto_load import Histogram

_INTERVAL = 0.05


@attrs.define
class WorkerLoad:
    """The load of one process.

    Attributes:
        cpu_seconds: the CPU time of the process, since the test began.
        seconds: since the test began.
        delay: how late a timer ended, in samples every 50 ms: as late as an event may have been noticed.
    """

    cpu_seconds: float = 0.0
    seconds: float = 0.0
    delay: Histogram = attrs.field(factory=Histogram)

    @property
    def cpu_share(self) -> float:
        """The share of one core that it used."""
        return self.cpu_seconds / self.seconds if self.seconds else 0.0

    def as_json(self) -> dict[str, Any]:
        return {"cpu_seconds": self.cpu_seconds, "seconds": self.seconds, "delay": self.delay.as_json()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> WorkerLoad:
        """The load of a JSON object that `as_json` made."""
        return cls(value["cpu_seconds"], value["seconds"], Histogram.from_json(value["delay"]))


class LoadMeter:
    """Measures the load of this process, from `start` to `stop`."""

    def __init__(self) -> None:
        self._delay = Histogram()
        self._cpu_start = time.process_time()
        self._start = time.monotonic()
        self._timer: Any = None

    def start(self) -> None:
        """Reset the measurement."""
        self.stop()
        self.reset()
        self._timer = gevent.spawn(self._sample)

    def reset(self) -> None:
        """Discard the measurements."""
        self._delay = Histogram()
        self._cpu_start, self._start = time.process_time(), time.monotonic()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.kill()
            self._timer = None

    def read(self) -> WorkerLoad:
        """The load since the start."""
        return WorkerLoad(time.process_time() - self._cpu_start, time.monotonic() - self._start, self._delay)

    def _sample(self) -> None:
        while True:
            due = time.perf_counter() + _INTERVAL
            gevent.sleep(_INTERVAL)
            self._delay.record(max(0.0, time.perf_counter() - due))


def merged_delay(loads: Iterable[WorkerLoad]) -> Histogram:
    """The delays of several processes."""
    merged = Histogram()
    for load in loads:
        merged.merge(load.delay)
    return merged
