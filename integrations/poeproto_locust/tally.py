"""The tally of a run's queries: the result that `poeproto bench` has, and further counts of Locust's users."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, cast

import attrs

from poeproto_load import SLO, LoadResult, ReplySample

__all__ = ["LoadTally"]


@attrs.define
class LoadTally:
    """The result of many queries. Tallies of workers merge without a loss.

    Attributes:
        result: outcomes, times and goodput. The replies that Locust cut are among those that were disconnected.
        failures: failed queries by `ReplyFailed.kind`, as in "refused 503".
        cut: replies that Locust cut when it stopped their users.
    """

    result: LoadResult
    failures: Counter[str] = attrs.field(factory=Counter[str])
    cut: int = 0

    @classmethod
    def empty(cls, slo: SLO | None) -> LoadTally:
        """A tally without queries, which replies will be judged by this SLO for."""
        return cls(LoadResult(slo=slo))

    def add(self, sample: ReplySample, gaps: Iterable[float], started_at: float) -> None:
        """Count a reply that began at `started_at`, in seconds since 1970."""
        result = self.result
        if not result.replies:
            result.started_at = started_at
        result.add(sample, gaps)
        result.seconds = max(result.seconds, started_at + sample.total - result.started_at)

    def merge(self, other: LoadTally) -> None:
        """Add the queries of another tally, which has the same SLO."""
        if not self.result.replies:
            self.result.started_at = other.result.started_at
        if other.result.replies:
            self.result.merge(other.result)
        self.failures.update(other.failures)
        self.cut += other.cut

    def as_json(self) -> dict[str, Any]:
        """The tally as a JSON object, which `from_json` and `LoadResult.from_json` read."""
        return {**self.result.as_json(), "failures": dict(sorted(self.failures.items())), "cut": self.cut}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> LoadTally:
        """The tally of a JSON object that `as_json` made.

        Raises:
            KeyError, ValueError: when it is another object.
        """
        failures = Counter[str](cast("Mapping[str, int]", value["failures"]))
        return cls(LoadResult.from_json(value), failures, value["cut"])
