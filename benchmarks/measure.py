"""Timing several ways to do the same work so that they can be compared: in turn, many times, medians.

Absolute figures belong to one machine at one moment; what travels is the ratio between two of them. Whatever is
reported or set as a goal here also goes into `RECORD`, which becomes the summary and the JSON at the end of a run.
"""

from __future__ import annotations

import statistics
import timeit
from collections.abc import Callable, Generator
from contextlib import contextmanager

import attrs

from benchmarks.record import Case, Cost, Goal, Note, Record, Table

RECORD = Record()
# How often cases are run, and work within them repeated, whatever they ask for; None leaves it to them.
_at_most: int | None = None


@attrs.frozen
class Figure:
    """What one case took.

    Attributes:
        name: the case.
        seconds: for one piece of work, the median of all rounds; bytes where memory is what is measured.
        spread: the distance between the first and the third quartile, as a part of the median.
    """

    name: str
    seconds: float
    spread: float


def in_turn(cases: dict[str, Callable[[], float]], rounds: int, *, warm_up: bool = True) -> list[Figure]:
    """Run the cases A B C A B C …; each returns the seconds that one piece of its work took.

    A first round does not count, except without `warm_up`: for cases that take long and make their own beginning.
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
    """A case for `in_turn` that does something small so many times."""
    timer = timeit.Timer(work)
    times = _no_more_than(times)
    return lambda: timer.timeit(times) / times


@contextmanager
def once() -> Generator[None]:
    """Run each case once, and work within it once: to see that it runs, not to learn a figure."""
    global _at_most
    _at_most = 1
    try:
        yield
    finally:
        _at_most = None


def report(title: str, figures: list[Figure], unit: str, scale: float, *, rate: str | None = None) -> None:
    """Print the figures, and each one's ratio to the first.

    Args:
        title: what the cases have in common.
        figures: of the cases; the first is what the others are compared to.
        unit: of a figure times the scale.
        scale: from seconds to the unit.
        rate: what there are so many of in a second, where one of them is the piece of work; shown beside the time.
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
            f"±{figure.spread / 2:4.0%}   {ratio:6.2f} x the first{many}"
        )


def report_servers(title: str, figures: list[Figure], what: str, generator: str) -> None:
    """Report servers by how many of something they answer a second, and how many the load generator could ask for.

    Args:
        title: what the cases have in common.
        figures: of the servers, and of the generator against what has its bytes ready.
        what: that something, in the plural.
        generator: the name of the latter case.
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
    """Record what a case should reach beside another; the summary at the end says whether it did.

    Args:
        work: what is done.
        ours: the case in question.
        reference: what it is held against.
        at_least: how many times as fast as the reference it should be; or
        at_most: which multiple of what the reference takes it may take.
    """
    if (at_least is None) == (at_most is None):
        raise ValueError("a goal is either at_least or at_most")
    sense, ratio = "at most", ours.seconds / reference.seconds
    wanted = at_most
    if at_least is not None:
        sense, ratio, wanted = "at least", reference.seconds / ours.seconds, at_least
    assert wanted is not None
    RECORD.goals.append(Goal(work, ours.name, reference.name, ratio, sense, wanted))


def cost(what: str, figure: Figure, unit: str, scale: float) -> None:
    """Record a line of the cost model in docs/performance.md: what one piece of work costs, on this machine."""
    RECORD.costs.append(Cost(what, figure.seconds * scale, unit))


def note(text: str) -> None:
    """Print and keep a sentence about the table before it."""
    RECORD.notes.append(Note(text))
    print(f"  {text}")


def _no_more_than(count: int) -> int:
    return count if _at_most is None else min(count, _at_most)


def _figure(name: str, samples: list[float]) -> Figure:
    median = statistics.median(samples)
    if len(samples) == 1:
        return Figure(name, median, 0.0)
    first, _, third = statistics.quantiles(samples, n=4)
    return Figure(name, median, (third - first) / median)
