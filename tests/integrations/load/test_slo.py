"""Service level objectives: how they are written, and which replies meet them."""

from __future__ import annotations

import pytest

from poeproto_load import SLO, format_duration, parse_duration, parse_slo


@pytest.mark.parametrize(
    ("text", "slo"),
    [
        ("first_event:200ms,gap:50ms,total:5s", SLO(0.2, 0.05, 5.0)),
        ("first_event:200ms", SLO(first_event=0.2)),
        (" gap : 50 ms , goodput : 95% ", SLO(gap=0.05, goodput=0.95)),
        ("total:1.5m,goodput:99.9%", SLO(total=90, goodput=0.999)),
        ("gap:.5s", SLO(gap=0.5)),
    ],
)
def test_an_slo(text: str, slo: SLO) -> None:
    parsed = parse_slo(text)
    assert (parsed.first_event, parsed.gap, parsed.total) == pytest.approx((slo.first_event, slo.gap, slo.total))
    assert parsed.goodput == pytest.approx(slo.goodput)
    assert parse_slo(str(parsed)) == parsed


def test_as_it_is_written() -> None:
    assert str(parse_slo("first_event:200ms,total:5s")) == "first_event:200ms,total:5s,goodput:99%"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is not an objective; expected first_event:TIME, gap:TIME"),
        ("first:200ms", "'first:200ms' is not an objective"),
        ("gap:50ms,", "'' is not an objective"),
        ("gap", "'gap' is not an objective"),
        ("gap:50", "gap: '50' is not a duration; expected a number with a unit, as 200ms or 5s; did you mean 50s"),
        ("gap:fast", "gap: 'fast' is not a duration"),
        ("gap:-5ms", "gap: '-5ms' is not a duration"),
        ("gap:0ms", "gap: 0ms cannot be met"),
        ("gap:5ms,gap:6ms", "gap is given twice"),
        ("gap:5ms,goodput:0.99", "goodput: '0.99' is not a share; expected per cent above 0 and up to 100, as 99%"),
        ("gap:5ms,goodput:101%", "'101%' is not a share"),
        ("gap:5ms,goodput:0%", "'0%' is not a share"),
        ("gap:5ms,goodput:all%", "'all%' is not a share"),
        ("goodput:99%", "say what is good"),
    ],
)
def test_texts_that_are_not_an_slo(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_slo(text)


@pytest.mark.parametrize(
    ("first_event", "gap", "total", "good"),
    [
        (0.2, 0.05, 5.0, True),
        (0.2, None, 5.0, True),
        (0.201, 0.05, 5.0, False),
        (0.2, 0.051, 5.0, False),
        (0.2, 0.05, 5.01, False),
        (None, None, 1.0, False),
    ],
)
def test_a_reply(first_event: float | None, gap: float | None, total: float, good: bool) -> None:
    assert SLO(first_event=0.2, gap=0.05, total=5.0).is_met(first_event, gap, total) is good


def test_times_without_an_objective() -> None:
    assert SLO(gap=0.05).is_met(None, None, 1e9)
    assert SLO(total=1).is_met(99, 99, 1)


@pytest.mark.parametrize(
    ("goodput", "good", "replies", "reached"),
    [(0.99, 99, 100, True), (0.99, 98, 100, False), (0.07, 7, 100, True), (1.0, 3, 3, True), (0.5, 0, 0, False)],
)
def test_goodput(goodput: float, good: int, replies: int, reached: bool) -> None:
    assert SLO(gap=1, goodput=goodput).is_reached(good, replies) is reached


@pytest.mark.parametrize(
    ("text", "seconds"), [("5s", 5), ("200ms", 0.2), ("250us", 0.00025), ("250µs", 0.00025), ("2m", 120), ("1h", 3600)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)
    assert parse_duration(format_duration(parse_duration(text))) == pytest.approx(seconds)


@pytest.mark.parametrize(("seconds", "text"), [(0, "0s"), (90, "90s"), (0.2, "200ms"), (0.00025, "250us")])
def test_a_duration_as_text(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
