"""Timing several ways to do the same work so that they can be compared: in turn, many times, medians.

Absolute figures belong to one machine at one moment; what travels is the ratio to the first case.
"""

from __future__ import annotations

import statistics
import timeit
from collections.abc import Callable

import attrs


@attrs.frozen
class Figure:
    """What one case took.

    Attributes:
        name: the case.
        seconds: for one piece of work, the median of all rounds.
        spread: the distance between the first and the third quartile, as a part of the median.
    """

    name: str
    seconds: float
    spread: float


def in_turn(cases: dict[str, Callable[[], float]], rounds: int) -> list[Figure]:
    """Run the cases A B C A B C …; each returns the seconds that one piece of its work took."""
    samples: dict[str, list[float]] = {name: [] for name in cases}
    for case in cases.values():
        case()  # a warm-up that does not count
    for _ in range(rounds):
        for name, case in cases.items():
            samples[name].append(case())
    return [_figure(name, taken) for name, taken in samples.items()]


def repeated(work: Callable[[], object], times: int) -> Callable[[], float]:
    """A case for `in_turn` that does something small so many times."""
    timer = timeit.Timer(work)
    return lambda: timer.timeit(times) / times


def report(title: str, figures: list[Figure], unit: str, scale: float) -> None:
    """Print the figures, and each one's ratio to the first."""
    print(f"\n{title}")
    width = max(len(figure.name) for figure in figures)
    for figure in figures:
        ratio = figure.seconds / figures[0].seconds
        print(
            f"  {figure.name:{width}}  {figure.seconds * scale:10.3f} {unit}  "
            f"±{figure.spread / 2:4.0%}   {ratio:6.2f} x the first"
        )


def _figure(name: str, samples: list[float]) -> Figure:
    median = statistics.median(samples)
    first, _, third = statistics.quantiles(samples, n=4)
    return Figure(name, median, (third - first) / median)
