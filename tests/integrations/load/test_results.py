"""Results: what is counted, goodput, and merging those of several processes."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest

from poeproto_load import SLO, Arrivals, LoadResult, ReplyOutcome, ReplySample, planned_starts


def sample(
    outcome: ReplyOutcome = ReplyOutcome.COMPLETE,
    first_event: float | None = 0.1,
    gap: float | None = 0.02,
    total: float = 1.0,
) -> ReplySample:
    return ReplySample(0.0, 0.0, outcome, first_event, gap, total, 10, 1000)


def result(*samples: ReplySample, slo: SLO | None = None, started_at: float = 100.0) -> LoadResult:
    made = LoadResult(slo, started_at, 2.0)
    for each in samples:
        made.add(each, [] if each.gap is None else [each.gap, 0.01])
    return made


def test_outcomes_are_counted_apart_and_times_are_those_of_complete_replies() -> None:
    made = result(*(sample(outcome, first_event=9.0, total=9.0) for outcome in ReplyOutcome), sample(), sample())
    assert made.outcomes == {outcome: 3 if outcome is ReplyOutcome.COMPLETE else 1 for outcome in ReplyOutcome}
    assert (made.replies, made.complete, made.judged, made.failed) == (10, 3, 9, 6)
    assert (made.events, made.bytes) == (100, 10_000)
    assert (made.first_event.count, made.gap.count, made.total.count) == (3, 6, 3)
    assert (made.events_per_second, made.replies_per_second) == (50, 1.5)
    assert made.goodput is None
    assert made.is_reached


def test_goodput_counts_failures_but_not_disconnects() -> None:
    slo = SLO(first_event=0.2, goodput=0.5)
    good, late = sample(), sample(first_event=0.3)
    made = result(good, good, late, sample(ReplyOutcome.REFUSED), sample(ReplyOutcome.DISCONNECTED), slo=slo)
    assert (made.good, made.judged, made.goodput, made.is_reached) == (2, 4, 0.5, True)
    made.add(late)
    assert (made.goodput, made.is_reached) == (0.4, False)


def test_no_replies() -> None:
    empty = LoadResult(SLO(gap=1))
    assert (empty.goodput, empty.is_reached, empty.events_per_second, empty.replies_per_second) == (None, False, 0, 0)
    assert empty.as_json()["total"] is None


@pytest.mark.parametrize("slo", [None, SLO(first_event=0.2)])
def test_json(slo: SLO | None) -> None:
    made = result(sample(), sample(first_event=None, gap=None), sample(ReplyOutcome.INVALID), slo=slo)
    value = json.loads(json.dumps(made.as_json()))
    assert LoadResult.from_json(value) == made
    assert value["total"] == {
        "min": 1,
        "mean": 1,
        **dict.fromkeys(("p50", "p90", "p95", "p99", "p99_9"), 1),
        "max": 1,
    }


def test_merged_results_equal_those_of_one_process() -> None:
    slo = SLO(first_event=0.2)
    left, right = [sample(), sample(first_event=0.5)], [sample(ReplyOutcome.INCOMPLETE), sample(total=3.0)]
    merged = result(*left, slo=slo)
    merged.merge(result(*right, slo=slo, started_at=101.0))
    whole = result(*left, *right, slo=slo)
    whole.seconds = 3.0
    assert merged == whole
    earlier = result(*right, slo=slo, started_at=90.0)
    earlier.merge(result(*left, slo=slo))
    assert (earlier.started_at, earlier.seconds) == (90, 12)


def test_merging_with_another_slo() -> None:
    with pytest.raises(ValueError, match="different SLOs cannot be merged"):
        result().merge(result(slo=SLO(gap=1)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"outcomes": None}, "outcomes: expected a JSON object, not NoneType"),
        ({"outcomes": {"lost": 1}}, "'lost' is not an outcome; expected complete, "),
        ({"outcomes": {"complete": -1}}, "complete is -1; expected an integer of at least 0"),
        ({"histograms": {}}, "a histogram is a JSON object, not NoneType"),
        ({"slo": 5}, "slo: expected a string, not int"),
        ({"seconds": "long"}, "seconds is 'long'; expected a number of at least 0"),
        ({"started_at": True}, "started_at is True"),
        ({"events": 1.5}, "events is 1.5; expected an integer"),
    ],
)
def test_json_of_something_else(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LoadResult.from_json({**result(sample()).as_json(), **change})
    with pytest.raises(ValueError, match="a result: expected a JSON object, not list"):
        LoadResult.from_json([])


def first(count: int, rate: float, arrivals: Arrivals, seed: int = 0) -> list[float]:
    starts = planned_starts(rate, arrivals, seed)
    return [next(starts) for _ in range(count)]


def test_constant_arrivals() -> None:
    assert first(4, 4.0, Arrivals.CONSTANT) == [0, 0.25, 0.5, 0.75]


def test_poisson_arrivals() -> None:
    starts = first(10_001, 50.0, Arrivals.POISSON, seed=7)
    assert starts[0] == 0
    assert starts == sorted(starts)
    assert starts[-1] == pytest.approx(200, rel=0.05), "50 a second, on average"
    gaps = sorted(after - before for before, after in pairwise(starts))
    assert gaps[5000] == pytest.approx(0.6931 / 50, rel=0.1), "the median of an exponential distribution"
    assert starts == first(10_001, 50.0, Arrivals.POISSON, seed=7)
    assert starts != first(10_001, 50.0, Arrivals.POISSON, seed=8)


@pytest.mark.parametrize("rate", [0, -1])
def test_an_invalid_rate(rate: float) -> None:
    with pytest.raises(ValueError, match="expected a rate above 0"):
        planned_starts(rate, Arrivals.CONSTANT)
