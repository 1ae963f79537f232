"""A sweep: measurements with more and more connections, until the bot is saturated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from poeproto_cli.bench.measurement import Measurement
from poeproto_cli.bench.text import counted, goodput

# Saturated: throughput grows by less than this share of the growth of connections.
_WORTHWHILE = 0.1
# Failed replies from this share on end a sweep.
_FAILED = 0.1


def sweep(levels: Sequence[int], measure: Callable[[int], Measurement]) -> Iterator[Measurement]:
    """Measure with each number of connections, in turn. The last measurement says why the sweep ended.

    Args:
        levels: the numbers, in increasing order.
        measure: measures with a given number of connections.
    """
    before: Measurement | None = None
    for level in levels:
        measurement = measure(level)
        measurement.stopped = _reason(before, measurement)
        if measurement.stopped is None and level == levels[-1]:
            measurement.stopped = "this was the last number of connections, and the bot is not saturated"
        yield measurement
        if measurement.stopped is not None or measurement.is_interrupted:
            return
        before = measurement


def _reason(before: Measurement | None, measurement: Measurement) -> str | None:
    """Why the sweep ends with this measurement; None if it does not."""
    result = measurement.result
    if measurement.is_interrupted:
        return None
    # An SLO says how many may fail.
    if result.slo is None and result.failed > _FAILED * result.judged:
        return f"{result.failed:,} of {counted(result.judged, 'reply', 'replies')} failed"
    if not result.is_reached:
        return f"the SLO is missed: {goodput(result)}"
    if not result.complete:
        return "no reply was complete, so that throughput cannot be compared"
    if before is not None:
        gain = result.replies_per_second / before.result.replies_per_second - 1
        if gain < _WORTHWHILE * (measurement.connections / before.connections - 1):
            change = f"{gain:.0%} more" if gain >= 0.005 else "not more" if gain > -0.005 else f"{-gain:.0%} fewer"
            more = f"{measurement.connections:,} connections gave {change} replies a second than {before.connections:,}"
            return f"saturated: {more}"
    if measurement.warnings:
        return measurement.warnings[0]
    return None


__all__ = ["sweep"]
