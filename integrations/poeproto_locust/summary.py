"""The summary of a run as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from poeproto_load import Histogram, ReplyOutcome
from poeproto_locust.tally import LoadTally
from poeproto_locust.worker_load import WorkerLoad, merged_delay

_QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
# A process that uses more of a core, or whose timers are later than this many seconds, distorts its own measurements.
_BUSY = 0.8
_LATE = 0.02


def summary_lines(tally: LoadTally, workers: Sequence[WorkerLoad]) -> Iterator[str]:
    """The lines that are printed at the end of a run."""
    result = tally.result
    yield f"POE: {result.replies:,} queries, {result.complete:,} complete, {result.failed:,} failed"
    for kind, count in sorted(tally.failures.items()):
        yield f"  {kind}: {count:,} ({count / result.judged:.2%})"
    if cancelled := result.outcomes[ReplyOutcome.DISCONNECTED] - tally.cut:
        yield f"  cancelled on purpose: {cancelled:,}"
    if tally.cut:
        yield f"  cut when Locust stopped their users: {tally.cut:,}; a longer --stop-timeout lets them finish"
    if result.seconds:
        yield (
            f"  {result.replies_per_second:,.1f} complete replies, {result.events_per_second:,.0f} events and"
            f" {result.bytes / result.seconds / 1e3:,.1f} kB a second"
        )
    yield "  milliseconds".ljust(18) + "".join(name.rjust(11) for name in _QUANTILES)
    for name, histogram in (("first event", result.first_event), ("gap", result.gap), ("total", result.total)):
        yield f"  {name}".ljust(18) + _times(histogram)
    if result.slo is not None:
        verdict = "reached" if result.is_reached else "NOT reached"
        goodput = f"goodput {result.good / result.seconds:,.1f} replies a second" if result.seconds else "no goodput"
        share = 0.0 if result.goodput is None else result.goodput
        yield f"  SLO {result.slo}: {verdict}; {result.good:,} of {result.judged:,} are good ({share:.2%}), {goodput}"
    if workers:
        busiest = max(worker.cpu_share for worker in workers)
        delay = merged_delay(workers)
        late = ", ".join(f"{name} {delay.quantile(_QUANTILES[name]) * 1e3:,.2f} ms" for name in ("p50", "p99"))
        yield f"  {_processes(len(workers))}; the busiest used {busiest:.0%} of a core; timers were late by {late}"
        if busiest > _BUSY or delay.quantile(0.99) > _LATE:
            yield "  WARNING: what is measured here may be the load generator and not the bot: give it more CPU time"


def _processes(number: int) -> str:
    return "1 process with users" if number == 1 else f"{number} processes with users"


def _times(histogram: Histogram) -> str:
    if not histogram.count:
        return " none"
    return "".join(f"{histogram.quantile(share) * 1e3:11,.2f}" for share in _QUANTILES.values())
