"""When the reads of a recorded response are due in a replay."""

from __future__ import annotations

import math

from poeproto_record.exchanges import RecordedExchange


def check_speed(speed: float) -> None:
    """Raises ValueError for an invalid speed."""
    if not (speed >= 0 and math.isfinite(speed)):
        raise ValueError(f"the speed of a replay is 0 (no waiting), 1 (as recorded) or a factor, got {speed}")


class Schedule:
    """The times of a replay: the gaps are as recorded, divided by the speed. No delay adds up.

    Args:
        exchange: the exchange.
        speed: how many times as fast as recorded; 0 for at once.
        began: when the request was received in this replay.
    """

    def __init__(self, exchange: RecordedExchange, speed: float, began: float) -> None:
        self._began = began
        self._speed = speed
        first = exchange.head or exchange.end
        asked = [exchange.request.at, *(each.at for each in exchange.request_data)]
        # A response may begin before the request has ended.
        self._recorded = max([at for at in asked if first is None or at <= first.at], default=exchange.request.at)

    def time_of(self, at: float) -> float:
        """When something is due that was recorded at that time, by the clock of `began`."""
        if not self._speed:
            return self._began
        return self._began + max(at - self._recorded, 0.0) / self._speed
