"""A histogram of times, whose quantiles are right within a fraction of a per cent, and which merges without a loss.

Quantiles cannot be merged: the p99 of two processes is not the mean of their p99s. Histograms with the same buckets
can.

The buckets are log-linear, as those of HdrHistogram: each power of two of nanoseconds has 128 buckets of equal width. A
bucket of large times is wider, so that the relative error has a bound, and no range has to be chosen beforehand.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

__all__ = ["Histogram"]

_NANOSECONDS = 1_000_000_000
# Each power of two has 2**7 buckets. The middle of a bucket differs from a time in it by at most 1/256 of that time.
_BITS = 7
_BUCKETS = 1 << _BITS
_FIELDS = ("unit", "bits", "count", "sum", "min", "max", "buckets")


class Histogram:
    """Counts of times in buckets of nanoseconds.

    The count, the sum, the minimum and the maximum are exact, to the nanosecond. A quantile is right within 0.4 %.
    """

    __slots__ = ("_buckets", "_count", "_max", "_min", "_sum")

    #: The bound of the relative error of a quantile.
    RELATIVE_ERROR = 1 / (2 * _BUCKETS)

    def __init__(self) -> None:
        self._buckets: dict[int, int] = {}
        self._count = 0
        self._sum = 0
        self._min = 0
        self._max = 0

    def record(self, seconds: float, count: int = 1) -> None:
        """Count a time.

        Args:
            seconds: the time; at least 0.
            count: how often it was seen.

        Raises:
            ValueError: for a negative time, infinity or NaN, and for a count below 1.
        """
        if not 0 <= seconds < math.inf or count < 1:
            raise ValueError(
                f"{seconds} s counted {count} times: expected a finite time of at least 0, counted at least once"
            )
        time = round(seconds * _NANOSECONDS)
        shift = max(0, time.bit_length() - _BITS - 1)
        bucket = (shift << _BITS) + (time >> shift)
        self._buckets[bucket] = self._buckets.get(bucket, 0) + count
        if not self._count or time < self._min:
            self._min = time
        if time > self._max:
            self._max = time
        self._count += count
        self._sum += time * count

    def merge(self, other: Histogram) -> None:
        """Add the times of another histogram. The result is that of one histogram that counted them all."""
        if not other._count:
            return
        self._min = min(self._min, other._min) if self._count else other._min
        self._max = max(self._max, other._max)
        self._count += other._count
        self._sum += other._sum
        for bucket, count in other._buckets.items():
            self._buckets[bucket] = self._buckets.get(bucket, 0) + count

    @property
    def count(self) -> int:
        """How many times were counted."""
        return self._count

    @property
    def sum(self) -> float:
        """The sum of all times, in seconds."""
        return self._sum / _NANOSECONDS

    @property
    def min(self) -> float:
        """The shortest time, in seconds; 0 if there is none."""
        return self._min / _NANOSECONDS

    @property
    def max(self) -> float:
        """The longest time, in seconds; 0 if there is none."""
        return self._max / _NANOSECONDS

    @property
    def mean(self) -> float:
        """The mean of all times, in seconds; 0 if there is none."""
        return self._sum / self._count / _NANOSECONDS if self._count else 0.0

    def quantile(self, share: float) -> float:
        """The shortest time, in seconds, that this share of all times do not exceed; 0 if there is none.

        It is a time that was counted (nearest rank, not interpolated), within `RELATIVE_ERROR`. Those of 0 and 1 are
        exact.

        Args:
            share: from 0 to 1: 0.5 for the median, 0.99 for the 99th percentile.

        Raises:
            ValueError: for another share.
        """
        if not 0 <= share <= 1:
            raise ValueError(f"{share} is not a share from 0 to 1; the 99th percentile is quantile(0.99)")
        # Rounded, since 0.07 * 100 is more than 7 in floating point.
        rank = max(1, math.ceil(round(share * self._count, 6)))
        if rank >= self._count or not share:
            return self.max if share else self.min
        seen = 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= rank:
                return min(max(_middle(bucket), self._min), self._max) / _NANOSECONDS
        raise AssertionError("the buckets have fewer times than were counted")

    def buckets(self) -> list[tuple[float, float, int]]:
        """The buckets with times, in order: the lower and the upper bound in seconds, and how many times are in it."""
        bounds = ((*_bounds(bucket), self._buckets[bucket]) for bucket in sorted(self._buckets))
        return [(lower / _NANOSECONDS, upper / _NANOSECONDS, count) for lower, upper, count in bounds]

    def as_json(self) -> dict[str, Any]:
        """The histogram as a JSON object, which `from_json` reads. All of its numbers are integers."""
        return {
            "unit": "ns",
            "bits": _BITS,
            "count": self._count,
            "sum": self._sum,
            "min": self._min,
            "max": self._max,
            "buckets": [[bucket, self._buckets[bucket]] for bucket in sorted(self._buckets)],
        }

    @classmethod
    def from_json(cls, value: object) -> Histogram:
        """The histogram of a JSON object that `as_json` made.

        Raises:
            ValueError: when it is another object, or its counts contradict each other.
        """
        if not isinstance(value, Mapping):
            raise ValueError(f"a histogram is a JSON object, not {type(value).__name__}")
        fields = cast("Mapping[str, Any]", value)
        if missing := [name for name in _FIELDS if name not in fields]:
            raise ValueError(f"a histogram has the field {missing[0]}, which this one lacks")
        if (fields["unit"], fields["bits"]) != ("ns", _BITS):
            raise ValueError(
                f"a histogram of {fields['bits']!r} bits and the unit {fields['unit']!r};"
                f" only those of {_BITS} bits and the unit 'ns' can be merged"
            )
        self = cls()
        self._count, self._sum, self._min, self._max = (
            _natural(fields, name) for name in ("count", "sum", "min", "max")
        )
        self._buckets = _read_buckets(fields["buckets"])
        if sum(self._buckets.values()) != self._count:
            raise ValueError(f"a histogram of {self._count} times has {sum(self._buckets.values())} in its buckets")
        if self._buckets and (_bucket_of(self._min), _bucket_of(self._max)) != (min(self._buckets), max(self._buckets)):
            raise ValueError("the minimum or maximum of a histogram is not in its first or last bucket")
        return self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Histogram) and self.as_json() == other.as_json()

    __hash__ = None  # pyright: ignore[reportAssignmentType] - it is mutable

    def __repr__(self) -> str:
        times = f"min={self.min:g} s, median={self.quantile(0.5):g} s, max={self.max:g} s" if self._count else ""
        return f"Histogram(count={self._count}{', ' if times else ''}{times})"


def _bucket_of(time: int) -> int:
    shift = max(0, time.bit_length() - _BITS - 1)
    return (shift << _BITS) + (time >> shift)


def _bounds(bucket: int) -> tuple[int, int]:
    """The first nanosecond of a bucket, and the first one after it."""
    if bucket < 2 * _BUCKETS:
        return bucket, bucket + 1
    shift = (bucket >> _BITS) - 1
    first = (bucket - (shift << _BITS)) << shift
    return first, first + (1 << shift)


def _middle(bucket: int) -> int:
    first, after = _bounds(bucket)
    return (first + after - 1) // 2


def _natural(fields: Mapping[str, Any], name: str) -> int:
    value: object = fields[name]
    if type(value) is not int or value < 0:
        raise ValueError(f"the field {name} of a histogram is {value!r}; expected an integer of at least 0")
    return value


def _read_buckets(value: object) -> dict[int, int]:
    buckets: dict[int, int] = {}
    for pair in cast("list[object]", value) if isinstance(value, list) else [value]:
        match pair:
            case [int() as bucket, int() as count] if bucket >= 0 and count > 0 and bucket not in buckets:
                buckets[bucket] = count
            case _:
                raise ValueError(f"a bucket of a histogram is {pair!r}; expected its number and its count, each once")
    return buckets
