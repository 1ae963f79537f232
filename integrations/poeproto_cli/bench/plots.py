"""Plots as SVG, for a page that has nothing else: lines and points over two axes, in colours of the page's style."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from html import escape

import attrs

_WIDTH, _HEIGHT = 640, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 24, 12, 40


@attrs.frozen
class Series:
    """Data of a plot.

    Attributes:
        name: for the legend.
        points: pairs of numbers.
        style: the number of its colour, from 1 on, or ``failed``.
        is_line: whether the points are joined by a line.
    """

    name: str
    points: Sequence[tuple[float, float]]
    style: str
    is_line: bool = True


@attrs.frozen
class Axis:
    """An axis.

    Attributes:
        label: the quantity that it shows, with its unit.
        ticks: values that are labelled; empty to choose them. The first and the last are the ends of the axis.
        position: where a value is, on a linear axis of its own; by default the value itself.
        text: a value as text.
    """

    label: str
    ticks: Sequence[float] = ()
    position: Callable[[float], float] = lambda value: value
    text: Callable[[float], str] = "{:,.10g}".format


def plot(title: str, x: Axis, y: Axis, series: Sequence[Series]) -> str:
    """A plot as an SVG element, with a title for those who do not see it."""
    return "\n".join(_plot(title, x, y, [each for each in series if each.points]))


def round_ticks(most: float, count: int = 5) -> list[float]:
    """About `count` round numbers from 0 on; the last is not below `most`."""
    if most <= 0:
        return [0.0, 1.0]
    exact = most / count
    magnitude = 10 ** math.floor(math.log10(exact))
    step = next(each * magnitude for each in (1, 2, 2.5, 5, 10) if each * magnitude >= exact)
    return [number * step for number in range(math.ceil(round(most / step, 9)) + 1)]


def _plot(title: str, x: Axis, y: Axis, series: Sequence[Series]) -> Iterator[str]:
    points = [point for each in series for point in each.points]
    x_ticks = x.ticks or round_ticks(max((point[0] for point in points), default=0))
    y_ticks = y.ticks or round_ticks(max((point[1] for point in points), default=0))
    across = _scale(x, x_ticks, _LEFT, _WIDTH - _RIGHT)
    up = _scale(y, y_ticks, _HEIGHT - _BOTTOM, _TOP)
    yield f"<figure><figcaption>{escape(title)}{_legend(series)}</figcaption>"
    yield f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">'
    for tick in y_ticks:
        yield f'<path class="grid" d="M{_LEFT} {up(tick):.1f}H{_WIDTH - _RIGHT}"/>'
        yield f'<text class="y" x="{_LEFT - 6}" y="{up(tick) + 4:.1f}">{escape(y.text(tick))}</text>'
    for tick in x_ticks:
        yield f'<path class="grid" d="M{across(tick):.1f} {_TOP}V{_HEIGHT - _BOTTOM}"/>'
        yield f'<text class="x" x="{across(tick):.1f}" y="{_HEIGHT - _BOTTOM + 16}">{escape(x.text(tick))}</text>'
    yield f'<text class="x" x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 6}">{escape(x.label)}</text>'
    middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    yield f'<text class="x" transform="translate(12 {middle}) rotate(-90)">{escape(y.label)}</text>'
    for each in series:
        places = [(across(point[0]), up(point[1])) for point in each.points]
        if each.is_line and len(places) > 1:
            path = "L".join(f"{left:.1f} {top:.1f}" for left, top in places)
            yield f'<path class="line s{each.style}" d="M{path}"/>'
        else:
            # A line of no length with round ends is a dot: one element for all.
            dots = "".join(f"M{left:.1f} {top:.1f}h0" for left, top in places)
            yield f'<path class="dots s{each.style}" d="{dots}"/>'
    yield "</svg></figure>"


def _legend(series: Sequence[Series]) -> str:
    return "".join(f' <span class="key s{each.style}">{escape(each.name)}</span>' for each in series)


def _scale(axis: Axis, ticks: Sequence[float], start: float, end: float) -> Callable[[float], float]:
    first, last = axis.position(ticks[0]), axis.position(ticks[-1])

    def place(value: float) -> float:
        return start + (axis.position(value) - first) / (last - first) * (end - start)

    return place


__all__ = ["Axis", "Series", "plot", "round_ticks"]
