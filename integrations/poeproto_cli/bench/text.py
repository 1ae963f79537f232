"""A measurement as text."""

from __future__ import annotations

from collections.abc import Iterator

from poeproto_cli.bench.measurement import Measurement
from poeproto_load import PERCENTILES, Histogram, LoadResult, ReplyOutcome

_NAMES = {"first_event": "first event", "gap": "gap", "total": "total"}
_WIDTH = 11


def as_text(measurement: Measurement) -> str:
    """The measurement, in several lines."""
    return "\n".join(_lines(measurement))


def title(measurement: Measurement) -> str:
    """The title of a measurement, in one line: the load, and the number of replies."""
    result = measurement.result
    if measurement.rate is None:
        load = counted(measurement.connections, "connection")
    else:
        most = f"at most {counted(measurement.connections, 'connection')}"
        load = f"{measurement.rate:,.10g} planned starts a second ({measurement.arrivals}), {most}"
    by = f" of {measurement.processes} processes" if measurement.processes > 1 else ""
    return f"{load}{by}, {counted(result.replies, 'reply', 'replies')}"


def counted(number: int, singular: str, plural: str | None = None) -> str:
    """A number with its noun."""
    return f"{number:,} {singular if number == 1 else plural or f'{singular}s'}"


def outcomes(result: LoadResult) -> str:
    """How many replies ended how: `complete`, and the outcomes that there were."""
    shown = [each for each in ReplyOutcome if result.outcomes[each] or each is ReplyOutcome.COMPLETE]
    return ", ".join(f"{result.outcomes[each]:,} {each.value.replace('_', ' ')}" for each in shown)


def goodput(result: LoadResult) -> str:
    """How many replies meet the SLO."""
    assert result.slo is not None
    share = f" ({result.goodput:.2%})" if result.goodput is not None else ""
    return f"{result.good:,} of {counted(result.judged, 'reply', 'replies')}{share} meet {result.slo}"


def _lines(measurement: Measurement) -> Iterator[str]:
    result = measurement.result
    events, size = (number / max(1, result.replies) for number in (result.events, result.bytes))
    yield f"{title(measurement)}: {events:,.0f} events and {size / 1e3:,.1f} kB a reply"
    rates = f"{result.events_per_second:,.0f} events and {result.replies_per_second:,.1f} replies a second"
    yield f"  {rates} ({_generator(measurement)})"
    yield f"  {outcomes(result)}"
    if result.slo is not None:
        yield f"  goodput: {goodput(result)}: {'reached' if result.is_reached else 'missed'}"
    if result.complete:
        heads = ["p50", "p90", "p95", "p99", "p99.9", "max"]
        yield f"  {'milliseconds':<{_WIDTH + 3}}" + "".join(f"{head:>{_WIDTH}}" for head in heads)
        for name, shown in _NAMES.items():
            times: Histogram = getattr(result, name)
            if times.count:
                figures = [*(times.quantile(share) for share in PERCENTILES.values()), times.max]
                yield f"  {shown:<{_WIDTH + 3}}" + "".join(f"{seconds * 1e3:>{_WIDTH},.2f}" for seconds in figures)
    for outcome, problem in measurement.problems.items():
        yield f"  first {outcome.value.replace('_', ' ')}: {' '.join(problem.split())}"
    for warning in measurement.warnings:
        yield f"  warning: {warning}"
    if measurement.is_interrupted:
        yield "  interrupted: these replies had ended by then"
    if measurement.stopped is not None:
        yield f"  the sweep ends here: {measurement.stopped}"


def _generator(measurement: Measurement) -> str:
    ceiling, busy = measurement.ceiling, f"{measurement.busy:.0%} busy"
    if ceiling is None:
        return f"load generator: {busy}"
    return f"load generator: up to {ceiling.events_per_second:,.0f} and {ceiling.replies_per_second:,.0f}, {busy}"


__all__ = ["as_text", "counted", "goodput", "outcomes", "title"]
