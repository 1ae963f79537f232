"""Measurements as one page of HTML that needs nothing else: no script, no style sheet, no image of another server."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

from poeproto_cli.bench.measurement import Measurement
from poeproto_cli.bench.plots import Axis, Series, plot
from poeproto_cli.bench.text import goodput, outcomes, title
from poeproto_load import PERCENTILES, Histogram, ReplyOutcome

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #666;
  --s1: #1565c0; --s2: #b26a00; --s3: #2e7d32; --bad: #c62828; }
@media (prefers-color-scheme: dark) {
  :root { --soft: #aaa; --s1: #64b5f6; --s2: #ffb74d; --s3: #81c784; --bad: #ff8a80; }
}
body { font: 15px/1.5 system-ui, sans-serif; max-width: 84rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2rem 0 .3rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .15rem .7rem; border-bottom: 1px solid var(--line); font-weight: normal; }
th:first-child { text-align: left; }
thead th { color: var(--soft); }
.scroll { overflow-x: auto; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1rem; }
figure { margin: .8rem 0; }
figcaption { font-weight: 600; }
svg { width: 100%; height: auto; }
svg text { font-size: 12px; fill: var(--soft); }
text.x { text-anchor: middle; } text.y { text-anchor: end; }
.grid { stroke: var(--line); fill: none; }
.line { fill: none; stroke-width: 2; }
.dots { fill: none; stroke-width: 4; stroke-linecap: round; stroke-opacity: .6; }
.s1 { stroke: var(--s1); } .s2 { stroke: var(--s2); } .s3 { stroke: var(--s3); } .sfailed { stroke: var(--bad); }
.key { font-weight: normal; margin-left: .8rem; }
.key::before { content: "\\25cf "; }
.key.s1::before { color: var(--s1); } .key.s2::before { color: var(--s2); }
.key.s3::before { color: var(--s3); } .key.sfailed::before { color: var(--bad); }
.bad { color: var(--bad); }
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_NAMES = (("first_event", "first event", "1"), ("gap", "gap", "2"), ("total", "total", "3"))
_PERCENTILE_TICKS = (0, 0.5, 0.9, 0.99, 0.999)
# The most replies that a plot shows: more of them are one blot.
_SHOWN_SAMPLES = 3000
# How many points a plot over time has at most, and how many replies one of them stands for at least.
_TIME_BINS = 60
_REPLIES_OF_BIN = 5


def as_page(measurements: Sequence[Measurement], what: str) -> str:
    """The page. Text from the bot is escaped, and the page allows nothing to be loaded or run.

    Args:
        measurements: with their samples.
        what: the name of the measured bot.
    """
    return "\n".join(_page(measurements, what)).encode("ascii", "xmlcharrefreplace").decode()


def _page(measurements: Sequence[Measurement], what: str) -> Iterator[str]:
    yield '<!DOCTYPE html>\n<html lang="en">\n<meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    yield '<meta name="viewport" content="width=device-width">'
    yield f"<title>poeproto bench: {escape(what)}</title>\n<style>{_STYLE}</style>"
    yield f"<h1>Load on {escape(what)}</h1>"
    if len(measurements) > 1 and all(each.rate is None for each in measurements):
        yield from _by_connections(measurements)
    for measurement in measurements:
        yield from _section(measurement)
    yield "</html>"


def _by_connections(measurements: Sequence[Measurement]) -> Iterator[str]:
    x = Axis("connections", _levels(measurements), lambda value: math.log2(1 + value))
    rates = [(each.connections, each.result.replies_per_second) for each in measurements]
    timed = [each for each in measurements if each.result.total.count]
    p50 = [(each.connections, each.result.total.quantile(0.5) * 1e3) for each in timed]
    p99 = [(each.connections, each.result.total.quantile(0.99) * 1e3) for each in timed]
    yield '<div class="plots">'
    yield plot("Throughput", x, Axis("replies a second"), [Series("complete replies", rates, "1")])
    yield plot("Total time", x, Axis("milliseconds"), [Series("p50", p50, "1"), Series("p99", p99, "2")])
    yield "</div>"


def _levels(measurements: Sequence[Measurement]) -> list[float]:
    levels = sorted({each.connections for each in measurements})
    return [0.0, *map(float, levels)] if len(levels) == 1 else list(map(float, levels))


def _section(measurement: Measurement) -> Iterator[str]:
    result = measurement.result
    yield f"<h2>{escape(title(measurement))}</h2>"
    rates = f"{result.events_per_second:,.0f} events and {result.replies_per_second:,.1f} replies a second"
    yield f"<p>{rates}, for {result.seconds:,.1f} seconds. {escape(outcomes(result).capitalize())}."
    if (ceiling := measurement.ceiling) is not None:
        limit = f"{ceiling.events_per_second:,.0f} events and {ceiling.replies_per_second:,.0f} replies a second"
        yield f"<br>The load generator can receive up to {limit}; it was busy {measurement.busy:.0%} of the time."
    if result.slo is not None:
        verdict = "reached" if result.is_reached else "missed"
        style = "" if result.is_reached else " class=bad"
        yield f"<br><span{style}>Goodput: {escape(goodput(result))}: {verdict}.</span>"
    for outcome, problem in measurement.problems.items():
        yield f'<br><span class="bad">First {outcome.value.replace("_", " ")}: {escape(problem)}</span>'
    for warning in measurement.warnings:
        yield f'<br><span class="bad">Warning: {escape(warning)}</span>'
    if measurement.is_interrupted:
        yield "<br>The measurement was interrupted."
    if measurement.stopped is not None:
        yield f"<br>The sweep ended here: {escape(measurement.stopped)}."
    yield "</p>"
    yield from _table(measurement)
    yield '<div class="plots">'
    yield from _plots(measurement)
    yield "</div>"


def _table(measurement: Measurement) -> Iterator[str]:
    heads = "".join(f"<th>{head}</th>" for head in ("milliseconds", "min", "p50", "p90", "p95", "p99", "p99.9", "max"))
    yield f'<div class="scroll"><table><thead><tr>{heads}</tr></thead>'
    for name, shown, _ in _NAMES:
        times: Histogram = getattr(measurement.result, name)
        if times.count:
            figures = [times.min, *(times.quantile(share) for share in PERCENTILES.values()), times.max]
            cells = "".join(f"<td>{seconds * 1e3:,.2f}</td>" for seconds in figures)
            yield f"<tr><th>{shown}</th>{cells}</tr>"
    yield "</table></div>"


def _plots(measurement: Measurement) -> Iterator[str]:
    yield plot(
        "Times by percentile",
        Axis(
            "percentile",
            _PERCENTILE_TICKS,
            lambda share: -math.log10(1.0005 - share),
            lambda share: f"p{100 * share:.5g}",
        ),
        Axis("milliseconds"),
        [Series(shown, _by_percentile(getattr(measurement.result, name)), style) for name, shown, style in _NAMES],
    )
    samples = measurement.samples
    if not samples:
        return
    shown = samples[:: math.ceil(len(samples) / _SHOWN_SAMPLES)]
    complete = [each for each in shown if each.outcome is ReplyOutcome.COMPLETE]
    others = [each for each in samples if each.outcome is not ReplyOutcome.COMPLETE][:_SHOWN_SAMPLES]
    first = [(each.planned, each.first_event * 1e3) for each in complete if each.first_event is not None]
    yield plot(
        "Each reply, by its start",
        Axis("seconds"),
        Axis("milliseconds"),
        [
            Series("total", [(each.planned, each.total * 1e3) for each in complete], "3", is_line=False),
            Series("first event", first, "1", is_line=False),
            Series("not complete", [(each.planned, each.total * 1e3) for each in others], "failed", is_line=False),
        ],
    )
    yield plot(
        "Replies over time",
        Axis("seconds"),
        Axis("a second"),
        [
            Series("started", _rate([each.started for each in samples], measurement), "2"),
            Series("ended", _rate([each.planned + each.total for each in samples], measurement), "1"),
        ],
    )


def _by_percentile(times: Histogram) -> list[tuple[float, float]]:
    if not times.count:
        return []
    # As many nines as the number of times can distinguish.
    nines = min(3.0, math.log10(max(2, times.count)))
    shares = [1 - 10 ** (-nines * step / 60) for step in range(61)]
    return [(share, times.quantile(share) * 1e3) for share in shares]


def _rate(times: Sequence[float], measurement: Measurement) -> list[tuple[float, float]]:
    """How many there are a second, over time."""
    bins = min(_TIME_BINS, max(2, len(times) // _REPLIES_OF_BIN))
    width = max(measurement.result.seconds, 1e-9) / bins
    counts = [0] * bins
    for time in times:
        counts[min(max(0, int(time / width)), bins - 1)] += 1
    return [((number + 0.5) * width, count / width) for number, count in enumerate(counts)]


__all__ = ["as_page"]
