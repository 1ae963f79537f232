"""Comparative timing: runs cases in turn, several rounds, and takes medians.

Figures belong to one machine at one time; the ratio of two figures applies to other machines too. Tables and goals that
are reported here also go into `RECORD`, from which the summary and the JSON are written at the end of a run.
"""

from __future__ import annotations

import statistics
import timeit
from collections.abc import Callable, Generator
from contextlib import contextmanager

import attrs

from benchmarks.record import Case, Cost, Goal, Note, Record, Table, half_spread

RECORD = Record()
# The upper bound of rounds and of repetitions within a case; None for no bound.
_at_most: int | None = None


@attrs.frozen
class Figure:
    """The result of one case.

    Attributes:
        name: the case.
        seconds: the median of all rounds, for one operation; bytes if the case measures memory.
        spread: the interquartile range, divided by the median; None after a single round.
    """

    name: str
    seconds: float
    spread: float | None


def in_turn(cases: dict[str, Callable[[], float]], rounds: int, *, warm_up: bool = True) -> list[Figure]:
    """Run the cases in turn, A B C A B C …; each returns the seconds of one operation.

    Args:
        cases: the cases by name.
        rounds: how often each case runs.
        warm_up: whether a first round runs that does not count. Set it to false for cases that take long and warm up
            themselves.
    """
    samples: dict[str, list[float]] = {name: [] for name in cases}
    if warm_up and _at_most is None:
        for case in cases.values():
            case()
    for _ in range(_no_more_than(rounds)):
        for name, case in cases.items():
            samples[name].append(case())
    return [_figure(name, taken) for name, taken in samples.items()]


def repeated(work: Callable[[], object], times: int) -> Callable[[], float]:
    """A case for `in_turn` that repeats a short operation; returns the seconds of one."""
    timer = timeit.Timer(work)
    times = _no_more_than(times)
    return lambda: timer.timeit(times) / times


@contextmanager
def once() -> Generator[None]:
    """Run each case once, and each operation in it once. For tests; the figures mean nothing."""
    global _at_most
    _at_most = 1
    try:
        yield
    finally:
        _at_most = None


def report(title: str, figures: list[Figure], unit: str, scale: float, *, rate: str | None = None) -> None:
    """Print the figures, and each one's ratio to the first.

    Args:
        title: the title of the table.
        figures: the figures of the cases; the others are compared to the first.
        unit: the unit of a figure multiplied by the scale.
        scale: the number of units in a second.
        rate: the unit of the rate to show beside the time, for example "events a second"; None for no rate.
    """
    RECORD.tables.append(
        Table(title, unit, scale, rate, [Case(figure.name, figure.seconds, figure.spread) for figure in figures])
    )
    print(f"\n{title}")
    width = max(len(figure.name) for figure in figures)
    for figure in figures:
        ratio = figure.seconds / figures[0].seconds
        many = f"   {1 / figure.seconds:12,.0f} {rate}, {1 / ratio:.1f} x" if rate else ""
        print(
            f"  {figure.name:{width}}  {figure.seconds * scale:10.3f} {unit}  "
            f"{half_spread(figure.spread):>5}   {ratio:6.2f} x the first{many}"
        )


def report_servers(title: str, figures: list[Figure], what: str, generator: str) -> None:
    """Report the rate of servers, and the highest rate that the load generator can receive.

    Args:
        title: the title of the table.
        figures: the figures of the servers, and of the server of precomputed bytes.
        what: the things that are counted, in the plural, for example "events".
        generator: the name of the case with precomputed bytes.
    """
    servers = [figure for figure in figures if figure.name != generator]
    report(title, servers, "µs", 1e6, rate=f"{what} a second")
    fastest, limit = min(servers, key=lambda figure: figure.seconds), named(figures, generator)
    note(
        f"{title}: the load generator can receive {1 / limit.seconds:,.0f} {what} a second, "
        f"{fastest.seconds / limit.seconds:.1f} x those of the fastest server ({fastest.name})."
    )


def named(figures: list[Figure], name: str) -> Figure:
    """The figure of a case."""
    return next(figure for figure in figures if figure.name == name)


def goal(
    work: str, ours: Figure, reference: Figure, *, at_least: float | None = None, at_most: float | None = None
) -> None:
    """Record a goal: how a case should compare to another. The summary at the end of a run says whether it does.

    Args:
        work: the operation.
        ours: the figure of our case.
        reference: the figure that it is compared to.
        at_least: how many times as fast as the reference it should be; or
        at_most: how many times as long as the reference it may take.

    Raises:
        ValueError: unless exactly one of `at_least` and `at_most` is given.
    """
    if (at_least is None) == (at_most is None):
        raise ValueError("a goal is either at_least or at_most")
    sense, ratio = "at most", ours.seconds / reference.seconds
    wanted = at_most
    if at_least is not None:
        sense, ratio, wanted = "at least", reference.seconds / ours.seconds, at_least
    assert wanted is not None
    RECORD.goals.append(Goal(work, ours.name, reference.name, ratio, sense, wanted))


def goal_of_layer(work: str, layer: Figure, ours: Figure) -> None:
    """Record the goal of poeproto_compat: it keeps at least half of our lead over fastapi_poe.

    The lead is their time divided by ours, so half of it is twice our time, however fast fastapi_poe is.
    """
    goal(work, layer, ours, at_most=2)


def cost(what: str, figure: Figure, unit: str, scale: float) -> None:
    """Record a line of the cost model in docs/performance.md: the cost of one operation on this machine."""
    RECORD.costs.append(Cost(what, figure.seconds * scale, unit))


def note(text: str) -> None:
    """Print and record a sentence about the last table."""
    RECORD.notes.append(Note(text))
    print(f"  {text}")


def _no_more_than(count: int) -> int:
    return count if _at_most is None else min(count, _at_most)


def _figure(name: str, samples: list[float]) -> Figure:
    median = statistics.median(samples)
    if len(samples) == 1:
        return Figure(name, median, None)
    first, _, third = statistics.quantiles(samples, n=4)
    return Figure(name, median, (third - first) / median)
