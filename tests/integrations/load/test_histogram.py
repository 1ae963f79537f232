"""Histograms: exact counts, bounded errors, and merging without a loss."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from poeproto_load import Histogram

# A busy machine is slow, and no reason to fail.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
TIMES = st.lists(st.floats(min_value=0, max_value=1e5), min_size=1, max_size=50)


def histogram(*times: float) -> Histogram:
    made = Histogram()
    for each in times:
        made.record(each)
    return made


def test_exact_values() -> None:
    made = histogram(0.001, 0.25, 3.5)
    made.record(0.001, count=2)
    assert (made.count, made.min, made.max) == (5, 0.001, 3.5)
    assert made.sum == pytest.approx(3.753)
    assert made.mean == pytest.approx(3.753 / 5)


def test_an_empty_histogram() -> None:
    empty = Histogram()
    assert (empty.count, empty.min, empty.max, empty.sum, empty.mean, empty.quantile(0.99)) == (0, 0, 0, 0, 0, 0)
    assert empty.buckets() == []
    assert repr(empty) == "Histogram(count=0)"
    merged = histogram(1, 2)
    merged.merge(empty)
    assert merged == histogram(1, 2)
    empty.merge(merged)
    assert empty == merged


@UNHURRIED
@given(TIMES, st.floats(min_value=0, max_value=1))
def test_quantiles_are_those_of_the_nearest_rank(times: list[float], share: float) -> None:
    nearest = sorted(times)[max(0, math.ceil(round(share * len(times), 6)) - 1)]
    assert histogram(*times).quantile(share) == pytest.approx(nearest, rel=Histogram.RELATIVE_ERROR, abs=1.1e-9)


@pytest.mark.parametrize("count", [1, 10, 100, 1000])
@pytest.mark.parametrize("share", [0.07, 0.5, 0.9, 0.95, 0.99, 0.999])
def test_percentiles_of_known_times(count: int, share: float) -> None:
    made = histogram(*(number / 1000 for number in range(1, count + 1)))
    assert made.quantile(share) == pytest.approx(math.ceil(round(share * count, 6)) / 1000, rel=1 / 256)


def test_the_extremes_are_exact() -> None:
    made = histogram(0.123456789, 0.5, 0.987654321)
    assert (made.quantile(0), made.quantile(1)) == (0.123456789, 0.987654321)


@UNHURRIED
@given(TIMES, TIMES)
def test_merging_counts_all_times(left: list[float], right: list[float]) -> None:
    merged = histogram(*left)
    merged.merge(histogram(*right))
    assert merged == histogram(*left, *right)


@UNHURRIED
@given(TIMES)
def test_json(times: list[float]) -> None:
    made = histogram(*times)
    assert Histogram.from_json(json.loads(json.dumps(made.as_json()))) == made


@UNHURRIED
@given(TIMES)
def test_each_time_is_within_its_bucket(times: list[float]) -> None:
    buckets = histogram(*times).buckets()
    assert sum(count for *_, count in buckets) == len(times)
    for each in times:  # within a nanosecond, to which a time is rounded
        assert any(lower - 1e-9 <= each <= upper + 1e-9 for lower, upper, _ in buckets)
    for (_, upper, _), (lower, _, _) in pairwise(buckets):
        assert upper <= lower


@pytest.mark.parametrize("seconds", [-1e-9, -1.0, math.inf, math.nan])
def test_an_invalid_time(seconds: float) -> None:
    with pytest.raises(ValueError, match="expected a finite time"):
        Histogram().record(seconds)


def test_a_count_below_one() -> None:
    with pytest.raises(ValueError, match="at least once"):
        Histogram().record(1, count=0)


@pytest.mark.parametrize("share", [-0.01, 1.01, 99, math.nan])
def test_an_invalid_share(share: float) -> None:
    with pytest.raises(ValueError, match=r"the 99th percentile is quantile\(0.99\)"):
        histogram(1).quantile(share)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"unit": "us"}, "the unit 'us'; only those of 7 bits and the unit 'ns' can be merged"),
        ({"bits": 8}, "a histogram of 8 bits"),
        ({"count": 3}, "a histogram of 3 times has 2 in its buckets"),
        ({"count": -1}, "the field count of a histogram is -1"),
        ({"sum": 1.5}, "the field sum of a histogram is 1.5"),
        ({"min": True}, "the field min of a histogram is True"),
        ({"min": 0}, "minimum or maximum"),
        ({"buckets": None}, "a bucket of a histogram is None"),
        ({"buckets": [[1]]}, r"a bucket of a histogram is \[1\]"),
        ({"buckets": [[1, 1], [1, 1]]}, "each once"),
        ({"buckets": [[1, 0]]}, "its number and its count"),
    ],
)
def test_json_that_is_not_a_histogram(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Histogram.from_json({**histogram(0.1, 0.2).as_json(), **change})


def test_json_of_something_else() -> None:
    with pytest.raises(ValueError, match="a histogram is a JSON object, not list"):
        Histogram.from_json([])
    with pytest.raises(ValueError, match="has the field unit, which this one lacks"):
        Histogram.from_json({})


def test_repr() -> None:
    assert repr(histogram(1.0, 2.0, 4.0)) == "Histogram(count=3, min=1 s, median=2.00068 s, max=4 s)"
