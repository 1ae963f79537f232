"""The plan of one measurement: its load and its duration."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import attrs

from poeproto_cli.load_query import Query
from poeproto_load import SLO, Arrivals, planned_starts


@attrs.frozen
class Plan:
    """The plan of one measurement. It ends after a number of replies, or after a duration.

    A closed model has a number of users, each of whom sends the next query when the reply is complete: a slow bot is
    asked less often. An open model has planned starts, which do not wait for replies.

    Attributes:
        queries: the queries to send, one after another, again and again. All go to the same server.
        connections: how many connections are open at once; in an open model, at most.
        timeout: seconds that the server may take to accept a connection, and may send nothing.
        replies: how many replies to measure; None to measure for `duration`.
        duration: for how many seconds replies are begun; those under way at its end are still received.
        warm_up: for how many seconds the load runs before the measurement; its replies do not count.
        ramp: over how many seconds before the warm-up the connections of a closed model start, one after another. The
            replies of that time do not count either.
        rate: planned starts a second, in an open model; None for a closed one.
        arrivals: how the planned starts are spread.
        seed: of everything that is random.
        cancel: the share of replies to disconnect from after the first event.
        slo: what makes a reply a good one.
        access_key: the key of the queries, which is removed from error messages.
    """

    queries: Sequence[Query]
    connections: int
    timeout: float = 60.0
    replies: int | None = None
    duration: float | None = None
    warm_up: float = 0.0
    ramp: float = 0.0
    rate: float | None = None
    arrivals: Arrivals = Arrivals.CONSTANT
    seed: int = 0
    cancel: float = 0.0
    slo: SLO | None = None
    access_key: str | None = attrs.field(default=None, repr=False)

    @property
    def lead(self) -> float:
        """For how many seconds there is load before the measurement."""
        return self.ramp + self.warm_up

    def starts(self) -> Iterator[float]:
        """When replies start, in seconds from the start of the measurement: negative before it.

        In an open model these are all planned starts; in a closed one, the start of each connection.
        """
        return self._starts_of_connections() if self.rate is None else self._planned_starts(self.rate)

    def _starts_of_connections(self) -> Iterator[float]:
        return (number * self.ramp / self.connections - self.lead for number in range(self.connections))

    def _planned_starts(self, rate: float) -> Iterator[float]:
        left = math.inf if self.replies is None else self.replies
        for start in planned_starts(rate, self.arrivals, self.seed):
            planned = round(start - self.lead, 9)  # a start at the end of the warm-up is at 0, not just before it
            if planned >= 0:
                if left < 1 or (self.duration is not None and planned >= self.duration):
                    return
                left -= 1
            yield planned
