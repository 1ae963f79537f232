from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poeproto import HttpResponse, ResponseHead
from poeproto.http import RateLimit, rate_limit, retry_after_seconds

NOW = "Sun, 06 Nov 1994 08:49:00 GMT"


def head(**headers: str) -> ResponseHead:
    return ResponseHead(429, [(name.replace("_", "-"), value) for name, value in headers.items()])


@pytest.mark.parametrize(
    ("value", "seconds"), [("0", 0.0), ("7", 7.0), (" 120 ", 120.0), ("1.5", 1.5), ("9" * 15, 999_999_999_999_999.0)]
)
def test_a_number_is_in_seconds(value: str, seconds: float) -> None:
    assert retry_after_seconds(head(retry_after=value)) == seconds
    assert retry_after_seconds(HttpResponse(503, [("Retry-After", value)])) == seconds


@pytest.mark.parametrize(
    "value", ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
)
def test_a_date_in_any_of_its_three_forms_is_measured_against_the_responses_own(value: str) -> None:
    assert retry_after_seconds(head(retry_after=value, date=NOW)) == 37.0
    assert retry_after_seconds(head(retry_after=NOW, date=value)) == 0.0
    assert retry_after_seconds(head(retry_after=value)) is None


@pytest.mark.parametrize("value", ["", "-1", "soon", "1e3", "٣", "9" * 400, "Sun, 06 Foo 1994 08:49:37 GMT", "1 2"])
def test_an_unusable_retry_after_is_ignored(value: str) -> None:
    response = ResponseHead(429, [("retry-after", value.encode()), ("date", NOW)])
    assert retry_after_seconds(response) is None
    assert retry_after_seconds(ResponseHead(429)) is None


def test_a_year_of_two_digits_is_of_this_century_or_the_last() -> None:
    old, new = "Thursday, 01-Jan-70 00:00:00 GMT", "Tuesday, 01-Jan-69 00:00:00 GMT"
    span = datetime.datetime(2069, 1, 1) - datetime.datetime(1970, 1, 1)
    assert retry_after_seconds(head(retry_after=new, date=old)) == span.total_seconds()


@given(st.datetimes(datetime.datetime(1583, 1, 1)), st.datetimes(datetime.datetime(1583, 1, 1)))
def test_dates_match_the_calendar(one: datetime.datetime, other: datetime.datetime) -> None:
    one, other = one.replace(microsecond=0), other.replace(microsecond=0)
    written = [f"{when:%a, %d %b} {when.year:04} {when:%H:%M:%S} GMT" for when in (one, other)]
    difference = (other - one).total_seconds()
    assert retry_after_seconds(head(date=written[0], retry_after=written[1])) == max(difference, 0)


@pytest.mark.parametrize("suffix", ["", "-requests"])
def test_a_rate_limit_is_read(suffix: str) -> None:
    pairs = [("limit", "500"), ("remaining", "3"), ("reset", "6m0.5s")]
    response = ResponseHead(200, [(f"X-RateLimit-{name}{suffix}", value) for name, value in pairs])
    assert rate_limit(response) == RateLimit(limit=500, remaining=3, reset_seconds=360.5)


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [
        ("12", 12.0),
        ("0.5", 0.5),
        ("1s", 1.0),
        ("250ms", 0.25),
        ("1h2m3s", 3723.0),
        ("2M", 120.0),
        ("x", None),
        ("s", None),
    ],
)
def test_a_reset_is_a_number_or_a_span(reset: str, seconds: float | None) -> None:
    assert rate_limit(head(x_ratelimit_reset=reset)) == RateLimit(reset_seconds=seconds)


@pytest.mark.parametrize("value", ["", "many", "-1", "1.5", "1" * 10])
def test_a_malformed_count_is_left_out(value: str) -> None:
    assert rate_limit(head(x_ratelimit_limit=value)) == RateLimit()


def test_no_header_no_rate_limit() -> None:
    assert rate_limit(head(retry_after="3")) is None
