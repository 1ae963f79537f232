"""Service level objectives for replies, and goodput: the share of the replies that meet them."""

from __future__ import annotations

import math

import attrs

from poeproto_load.durations import format_duration, parse_duration

__all__ = ["SLO", "parse_slo"]

_TIMES = ("first_event", "gap", "total")
_DEFAULT_GOODPUT = 0.99


@attrs.frozen
class SLO:
    """Objectives for each reply, and the share of replies that has to meet them all. `parse_slo` reads one.

    Each reply is judged by itself: a reply is good if it is complete and none of its times exceeds its objective.

    Attributes:
        first_event: seconds from the request to the first event; None for no objective.
        gap: seconds between an event and the next one: the longest gap of the reply counts.
        total: seconds from the request to the end of the reply.
        goodput: the share of the replies that has to be good, from 0 to 1.
    """

    first_event: float | None = None
    gap: float | None = None
    total: float | None = None
    goodput: float = _DEFAULT_GOODPUT

    def is_met(self, first_event: float | None, gap: float | None, total: float) -> bool:
        """Whether a complete reply with these times is good.

        Args:
            first_event: seconds to its first event; None if it has no event.
            gap: seconds of its longest gap; None if it has fewer than two events.
            total: seconds to its end.
        """
        if self.first_event is not None and (first_event is None or first_event > self.first_event):
            return False
        if self.gap is not None and gap is not None and gap > self.gap:
            return False
        return self.total is None or total <= self.total

    def is_reached(self, good: int, replies: int) -> bool:
        """Whether the share of good replies reaches the objective. No replies at all are not."""
        # Rounded, since 0.07 * 100 is more than 7 in floating point.
        return replies > 0 and good >= math.ceil(round(self.goodput * replies, 6))

    def __str__(self) -> str:
        times = [(name, getattr(self, name)) for name in _TIMES]
        entries = [f"{name}:{format_duration(seconds)}" for name, seconds in times if seconds is not None]
        return ",".join([*entries, f"goodput:{self.goodput * 100:.10g}%"])


def parse_slo(text: str) -> SLO:
    """Read an SLO as it is written on a command line: ``first_event:200ms,gap:50ms,total:5s,goodput:99%``.

    Each entry may be left out, but not all of the times. Without `goodput`, 99 % of the replies have to be good.

    Raises:
        ValueError: for an invalid entry; the message says which, and what was expected.
    """
    values: dict[str, float] = {}
    for entry in text.split(","):
        name, colon, value = (part.strip() for part in entry.partition(":"))
        if not colon or name not in (*_TIMES, "goodput"):
            raise ValueError(
                f"{entry.strip()!r} is not an objective; expected first_event:TIME, gap:TIME, total:TIME or"
                " goodput:SHARE, as first_event:200ms"
            )
        if name in values:
            raise ValueError(f"{name} is given twice")
        values[name] = _parse_share(value) if name == "goodput" else _parse_time(name, value)
    if values.keys() == {"goodput"}:
        raise ValueError("goodput is the share of good replies; say what is good, as first_event:200ms")
    return SLO(**values)


def _parse_time(name: str, text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError as exc:
        raise ValueError(f"{name}: {exc}") from None
    if not seconds:
        raise ValueError(f"{name}: {text} cannot be met; expected a time above 0")
    return seconds


def _parse_share(text: str) -> float:
    try:
        percent = float(text.removesuffix("%")) if text.endswith("%") else math.nan
    except ValueError:
        percent = math.nan
    if not 0 < percent <= 100:
        raise ValueError(f"goodput: {text!r} is not a share; expected per cent above 0 and up to 100, as 99%")
    return percent / 100
