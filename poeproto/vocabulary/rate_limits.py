"""When to retry, as a response says it: ``Retry-After`` and the ``x-ratelimit-*`` headers.

There is no clock here: a date is compared with the ``Date`` of the same response. Dates are parsed here, too, because
`email.utils` imports datetime, random and socket, which the core does without.

https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
"""

from __future__ import annotations

import re

import attrs

from poeproto.vocabulary.field_types import checked
from poeproto.vocabulary.http import HttpResponse, ResponseHead

__all__ = ["RateLimit", "rate_limit", "retry_after_seconds"]

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_CLOCK = r"(?P<h>\d\d):(?P<m>\d\d):(?P<s>\d\d)"
# RFC 9110, 5.6.7: the preferred format, and two obsolete ones that recipients must accept.
_DATES = (
    re.compile(rf"\w{{3}}, (?P<day>\d\d) (?P<month>\w{{3}}) (?P<year>\d{{4}}) {_CLOCK} GMT", re.ASCII),
    re.compile(rf"\w{{6,9}}, (?P<day>\d\d)-(?P<month>\w{{3}})-(?P<year>\d\d) {_CLOCK} GMT", re.ASCII),
    re.compile(rf"\w{{3}} (?P<month>\w{{3}}) (?P<day>[ \d]\d) {_CLOCK} (?P<year>\d{{4}})", re.ASCII),
)
# Fifteen digits are enough for any delay.
_SECONDS = re.compile(r"\d{1,15}(\.\d{1,9})?", re.ASCII)
_SPAN = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?", re.ASCII)


@checked
@attrs.frozen(kw_only=True)
class RateLimit:
    """The ``x-ratelimit-*`` headers of a response; None for those that are missing or cannot be read.

    Attributes:
        limit: how many requests are allowed in a window.
        remaining: how many of them are left.
        reset_seconds: seconds until the window ends.
    """

    limit: int | None = None
    remaining: int | None = None
    reset_seconds: float | None = None


def rate_limit(head: ResponseHead | HttpResponse) -> RateLimit | None:
    """The rate limit of a response, or None if it has no such header."""
    limit, remaining, reset = (_value(head, name) for name in ("limit", "remaining", "reset"))
    if limit is remaining is reset is None:
        return None
    return RateLimit(limit=_count(limit), remaining=_count(remaining), reset_seconds=_span(reset))


def _value(head: ResponseHead | HttpResponse, name: str) -> str | None:
    # The second name is OpenAI's.
    found = head.get(f"x-ratelimit-{name}")
    return head.get(f"x-ratelimit-{name}-requests") if found is None else found


def _count(text: str | None) -> int | None:
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _span(text: str | None) -> float | None:
    text = (text or "").strip().lower()
    if _SECONDS.fullmatch(text):
        return float(text)
    span = _SPAN.fullmatch(text)
    if not text or span is None or len(text) > 40:
        return None
    hours, minutes, seconds, milliseconds = (float(part or 0) for part in span.groups())
    return hours * 3600 + minutes * 60 + seconds + milliseconds / 1000


def retry_after_seconds(head: ResponseHead | HttpResponse) -> float | None:
    """Seconds to wait before the next attempt, from ``Retry-After`` (RFC 9110, 10.2.3); never negative.

    None if there is no such header, if it cannot be read, or if it is a date and the response has no ``Date``.
    """
    text = (head.get("retry-after") or "").strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    until, now = _timestamp(text), _timestamp((head.get("date") or "").strip())
    return None if until is None or now is None else float(max(until - now, 0))


def _timestamp(text: str) -> int | None:
    """Seconds since the epoch."""
    for form in _DATES:
        found = form.fullmatch(text)
        if found and found["month"].lower() in _MONTHS:
            year, month = int(found["year"]), _MONTHS.index(found["month"].lower()) + 1
            if year < 100:
                year += 1900 if year >= 70 else 2000
            seconds = int(found["h"]) * 3600 + int(found["m"]) * 60 + int(found["s"])
            return _days(year, month, int(found["day"])) * 86400 + seconds
    return None


def _days(year: int, month: int, day: int) -> int:
    """Days since the epoch in the Gregorian calendar. Years are counted from March, so that a leap day is the last."""
    year, month = (year, month - 3) if month > 2 else (year - 1, month + 9)
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * month + 2) // 5 + day - 1 - 719468
