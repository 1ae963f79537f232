"""A measurement, and its form in JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import attrs

from poeproto_load import Histogram, LoadResult, ReplyOutcome, ReplySample, percentiles

# Above this share of its own limit, the load generator may be the bottleneck.
_NEAR_LIMIT = 0.7
_BUSY = 0.85
# A 99th percentile of delays from which on the generator is said to be late.
_LATE_SECONDS = 0.02


@attrs.frozen
class Ceiling:
    """The highest rate at which the load generator itself can receive: measured against a server of ready bytes.

    Attributes:
        replies_per_second: complete replies, each as long as the bot's.
        events_per_second: their events.
    """

    replies_per_second: float
    events_per_second: float


@attrs.define
class Measurement:
    """One measurement.

    Attributes:
        connections: how many were open at once; in an open model, at most.
        result: the counts and times of the replies.
        rate: planned starts a second; None in a closed model.
        arrivals: how they were spread; None in a closed model.
        busy: the share of the time that the load generator was running rather than waiting.
        delays: times from a planned start until the query was sent, in an open model.
        waited: how many planned starts found all connections in use.
        ceiling: the limit of the load generator; None if it was not measured.
        problems: the first error message of each outcome.
        samples: each reply, if they were kept.
        stopped: why a sweep ended with this measurement; None if it did not.
        is_interrupted: whether SIGINT ended it.
        processes: how many load generators measured this.
    """

    connections: int
    result: LoadResult
    rate: float | None = None
    arrivals: str | None = None
    busy: float = 0.0
    delays: Histogram = attrs.field(factory=Histogram)
    waited: int = 0
    ceiling: Ceiling | None = None
    problems: dict[ReplyOutcome, str] = attrs.field(factory=dict[ReplyOutcome, str])
    samples: list[ReplySample] = attrs.field(factory=list[ReplySample], repr=False)
    stopped: str | None = None
    is_interrupted: bool = False
    processes: int = 1

    @property
    def warnings(self) -> list[str]:
        """Why the figures may be those of the load generator rather than those of the bot."""
        found: list[str] = []
        result = self.result
        if self.ceiling is not None and result.replies_per_second > _NEAR_LIMIT * self.ceiling.replies_per_second:
            share = result.replies_per_second / self.ceiling.replies_per_second
            found.append(f"the load generator is at {share:.0%} of its own limit: use several processes")
        elif self.busy > _BUSY:
            found.append(f"the load generator was busy {self.busy:.0%} of the time: use several processes")
        delay = self.delays.quantile(0.99)
        if delay > _LATE_SECONDS:
            late = f"1 % of the queries were sent {delay * 1e3:,.0f} ms or more after their planned start"
            why = f", {self.waited:,} since all {self.connections:,} connections were in use" if self.waited else ""
            found.append(f"{late}{why}; their times include that")
        return found

    def merge(self, other: Measurement) -> None:
        """Add the measurement of another process at the same time.

        Raises:
            ValueError: when the two have different SLOs.
        """
        self.result.merge(other.result)
        self.connections += other.connections
        self.rate = None if self.rate is None else self.rate + (other.rate or 0.0)
        self.busy = max(self.busy, other.busy)
        self.delays.merge(other.delays)
        self.waited += other.waited
        if self.ceiling is not None and other.ceiling is not None:
            self.ceiling = Ceiling(
                self.ceiling.replies_per_second + other.ceiling.replies_per_second,
                self.ceiling.events_per_second + other.ceiling.events_per_second,
            )
        else:
            self.ceiling = None
        self.problems = {**other.problems, **self.problems}
        self.stopped = self.stopped or other.stopped
        self.is_interrupted |= other.is_interrupted
        self.processes += other.processes

    def as_json(self) -> dict[str, Any]:
        """The measurement as a JSON object, which `from_json` reads. It has no samples: they are exported."""
        result = self.result.as_json()
        histograms = result.pop("histograms")
        return {
            "connections": self.connections,
            "rate": self.rate,
            "arrivals": self.arrivals,
            "processes": self.processes,
            **result,
            "generator": {
                "busy": self.busy,
                "waited": self.waited,
                "delays": percentiles(self.delays),
                "ceiling": None if self.ceiling is None else attrs.asdict(self.ceiling),
            },
            "problems": {outcome.value: message for outcome, message in self.problems.items()},
            "warnings": self.warnings,
            "stopped": self.stopped,
            "interrupted": self.is_interrupted,
            "histograms": {**histograms, "delays": self.delays.as_json()},
        }

    @classmethod
    def from_json(cls, value: object) -> Measurement:
        """The measurement of a JSON object that `as_json` made.

        Raises:
            ValueError: when it is another object.
        """
        try:
            result = LoadResult.from_json(value)
            fields = cast("Mapping[str, Any]", value)
            generator, rate = fields["generator"], fields["rate"]
            ceiling = generator["ceiling"]
            return cls(
                connections=int(fields["connections"]),
                result=result,
                rate=None if rate is None else float(rate),
                arrivals=None if fields["arrivals"] is None else str(fields["arrivals"]),
                busy=float(generator["busy"]),
                delays=Histogram.from_json(fields["histograms"]["delays"]),
                waited=int(generator["waited"]),
                ceiling=None if ceiling is None else Ceiling(**{name: float(ceiling[name]) for name in ceiling}),
                problems={ReplyOutcome(name): str(message) for name, message in fields["problems"].items()},
                stopped=None if fields["stopped"] is None else str(fields["stopped"]),
                is_interrupted=bool(fields["interrupted"]),
                processes=int(fields["processes"]),
            )
        except KeyError as exc:
            raise ValueError(f"the field {exc} is missing") from None
        except (TypeError, AttributeError) as exc:
            raise ValueError(f"a field has another type: {exc}") from None
