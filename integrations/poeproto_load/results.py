"""Results of a load generator: outcomes, times and goodput; results of several processes can be merged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, cast

import attrs

from poeproto_load.histogram import Histogram
from poeproto_load.slo import SLO, parse_slo

__all__ = ["PERCENTILES", "LoadResult", "ReplyOutcome", "ReplySample", "percentiles"]

#: The percentiles that are reported, and their names in JSON.
PERCENTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99_9": 0.999}
"""The percentiles that are reported, by their names in JSON, as shares of 1."""


class ReplyOutcome(StrEnum):
    """How a reply ended.

    Attributes:
        COMPLETE: with `done`.
        INCOMPLETE: without `done`, or the server disconnected.
        REFUSED: an HTTP error response.
        ERROR_EVENT: the bot reported an error.
        DISCONNECTED: the load generator disconnected on purpose, within the reply.
        TIMED_OUT: the server sent nothing for too long.
        NOT_CONNECTED: no connection could be made.
        INVALID: not HTTP, or not the protocol.
    """

    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    REFUSED = "refused"
    ERROR_EVENT = "error_event"
    DISCONNECTED = "disconnected"
    TIMED_OUT = "timed_out"
    NOT_CONNECTED = "not_connected"
    INVALID = "invalid"


@attrs.frozen
class ReplySample:
    """One reply of a measurement. All times are in seconds.

    Attributes:
        planned: when it was to start, from the start of the measurement; in a closed model, when it started.
        started: when the query was sent, from the start of the measurement.
        outcome: how it ended.
        first_event: from `planned` to the first event; None if there was none.
        gap: the longest time between two arrivals of events; None if there were fewer than two.
        total: from `planned` to the end.
        events: how many events it had, without `done`.
        bytes: the size of the response, with the framing of HTTP.
    """

    planned: float
    started: float
    outcome: ReplyOutcome
    first_event: float | None
    gap: float | None
    total: float
    events: int
    bytes: int


@attrs.define
class LoadResult:
    """The sums of a load test: replies, outcomes and times. The times are those of complete replies; all replies count
    in the other fields.

    Attributes:
        slo: the limits of a good reply; None if no SLO was given.
        started_at: the start of the measurement, in Unix time.
        seconds: from the start to the end of the last reply.
        outcomes: how many replies ended how.
        events: the events of all replies, without `done`.
        bytes: the size of all responses, with the framing of HTTP.
        good: how many replies are complete and meet the SLO.
        first_event: times to the first event.
        gap: times between two arrivals of events. Events of one read arrive together.
        total: times to the end of the reply.
    """

    slo: SLO | None = None
    started_at: float = 0.0
    seconds: float = 0.0
    outcomes: dict[ReplyOutcome, int] = attrs.field(factory=lambda: dict.fromkeys(ReplyOutcome, 0))
    events: int = 0
    bytes: int = 0
    good: int = 0
    first_event: Histogram = attrs.field(factory=Histogram)
    gap: Histogram = attrs.field(factory=Histogram)
    total: Histogram = attrs.field(factory=Histogram)

    def add(self, sample: ReplySample, gaps: Iterable[float] = ()) -> None:
        """Count a reply.

        Args:
            sample: the reply.
            gaps: all times between two arrivals of its events, in seconds.
        """
        self.outcomes[sample.outcome] += 1
        self.events += sample.events
        self.bytes += sample.bytes
        if sample.outcome is not ReplyOutcome.COMPLETE:
            return
        if sample.first_event is not None:
            self.first_event.record(sample.first_event)
        self.total.record(sample.total)
        for gap in gaps:
            self.gap.record(gap)
        if self.slo is not None and self.slo.is_met(sample.first_event, sample.gap, sample.total):
            self.good += 1

    @property
    def replies(self) -> int:
        """How many replies there were, however they ended."""
        return sum(self.outcomes.values())

    @property
    def complete(self) -> int:
        """How many replies were complete."""
        return self.outcomes[ReplyOutcome.COMPLETE]

    @property
    def judged(self) -> int:
        """How many replies count for goodput: all but those that the load generator disconnected from."""
        return self.replies - self.outcomes[ReplyOutcome.DISCONNECTED]

    @property
    def failed(self) -> int:
        """How many replies are neither complete nor disconnected from on purpose."""
        return self.judged - self.complete

    @property
    def goodput(self) -> float | None:
        """The share of the judged replies that is good; None without an SLO or replies."""
        return self.good / self.judged if self.slo is not None and self.judged else None

    @property
    def is_reached(self) -> bool:
        """Whether the SLO is reached, or there is none."""
        return self.slo is None or self.slo.is_reached(self.good, self.judged)

    @property
    def events_per_second(self) -> float:
        """The events of all replies, by the seconds of the measurement; 0 if it has taken no time."""
        return self.events / self.seconds if self.seconds else 0.0

    @property
    def replies_per_second(self) -> float:
        """Complete replies a second."""
        return self.complete / self.seconds if self.seconds else 0.0

    def merge(self, other: LoadResult) -> None:
        """Add the result of another process. The time is from the first start to the last end of both.

        Raises:
            ValueError: when the two have different SLOs.
        """
        if self.slo != other.slo:
            raise ValueError(f"results with different SLOs cannot be merged: {self.slo} and {other.slo}")
        end = max(self.started_at + self.seconds, other.started_at + other.seconds)
        self.started_at = min(self.started_at, other.started_at)
        self.seconds = end - self.started_at
        for outcome, count in other.outcomes.items():
            self.outcomes[outcome] += count
        self.events += other.events
        self.bytes += other.bytes
        self.good += other.good
        self.first_event.merge(other.first_event)
        self.gap.merge(other.gap)
        self.total.merge(other.total)

    def as_json(self) -> dict[str, Any]:
        """The result as a JSON object, which `from_json` reads: figures for people, and histograms to merge."""
        return {
            "started_at": self.started_at,
            "seconds": self.seconds,
            "replies": self.replies,
            "outcomes": {outcome.value: self.outcomes[outcome] for outcome in ReplyOutcome},
            "events": self.events,
            "bytes": self.bytes,
            "events_per_second": self.events_per_second,
            "replies_per_second": self.replies_per_second,
            "slo": None if self.slo is None else str(self.slo),
            "good": None if self.slo is None else self.good,
            "goodput": self.goodput,
            "first_event": percentiles(self.first_event),
            "gap": percentiles(self.gap),
            "total": percentiles(self.total),
            "histograms": {
                "first_event": self.first_event.as_json(),
                "gap": self.gap.as_json(),
                "total": self.total.as_json(),
            },
        }

    @classmethod
    def from_json(cls, value: object) -> LoadResult:
        """The result of a JSON object that `as_json` made. Other fields are ignored.

        Raises:
            ValueError: when it is another object.
        """
        fields = _object(value, "a result")
        slo, good = fields.get("slo"), fields.get("good")
        outcomes = _object(fields.get("outcomes"), "outcomes")
        histograms = _object(fields.get("histograms"), "histograms")
        read = {name: Histogram.from_json(histograms.get(name)) for name in ("first_event", "gap", "total")}
        if unknown := outcomes.keys() - set(ReplyOutcome):
            raise ValueError(f"{min(unknown)!r} is not an outcome; expected {', '.join(ReplyOutcome)}")
        return cls(
            slo=None if slo is None else parse_slo(_text(slo)),
            started_at=_number(fields, "started_at"),
            seconds=_number(fields, "seconds"),
            outcomes={each: _count(outcomes, each) if each in outcomes else 0 for each in ReplyOutcome},
            events=_count(fields, "events"),
            bytes=_count(fields, "bytes"),
            good=0 if good is None else _count(fields, "good"),
            **read,
        )


def percentiles(times: Histogram) -> dict[str, float] | None:
    """Minimum, mean, `PERCENTILES` and maximum of times, in seconds; None if there are none."""
    if not times.count:
        return None
    quantiles = {name: times.quantile(share) for name, share in PERCENTILES.items()}
    return {"min": times.min, "mean": times.mean, **quantiles, "max": times.max}


def _object(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{what}: expected a JSON object, not {type(value).__name__}")
    return cast("Mapping[str, Any]", value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"slo: expected a string, not {type(value).__name__}")
    return value


def _number(fields: Mapping[str, Any], name: str) -> float:
    value: object = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
        raise ValueError(f"{name} is {value!r}; expected a number of at least 0")
    return float(value)


def _count(fields: Mapping[str, Any], name: str) -> int:
    value: object = fields.get(name)
    if type(value) is not int or value < 0:
        raise ValueError(f"{name} is {value!r}; expected an integer of at least 0")
    return value
