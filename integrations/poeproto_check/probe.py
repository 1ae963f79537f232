"""A probe: sends requests, and judges rules by the responses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import Enum

import anyio
import attrs

from poeproto import Limits
from poeproto_check.exchange import Exchange
from poeproto_check.judge import Judge
from poeproto_check.probe_request import ProbeRequest, json_body
from poeproto_check.raw_connection import RawConnection, ServerAddress

__all__ = ["WATCH_HEADER", "BotEnding", "CheckTimes", "Probe", "ProbeContext"]

WATCH_HEADER = "X-Poeproto-Check"
"""A header of the query whose bot is watched, so that its server recognises it."""


@attrs.frozen(kw_only=True)
class CheckTimes:
    """The timeouts of the check, in seconds. The defaults suffice for a server under load.

    Attributes:
        silence: how long the server may send nothing in a reply.
        call: how long an answer other than a reply may take.
        settings: within which settings are due.
        close: within which the body of a reply must end after `done`.
        buffered: how long a reply must take to show whether its events are collected.
        piece: the pause between two pieces of a slow request.
    """

    silence: float = 60.0
    call: float = 20.0
    settings: float = 5.0
    close: float = 5.0
    buffered: float = 1.0
    piece: float = 0.1


class BotEnding(Enum):
    """How the bot ended that was watched after its client had disconnected.

    Attributes:
        COMPLETE: its reply came to its end.
        DISCONNECTED: it was cancelled.
        STILL_RUNS: it had not ended when the check stopped waiting.
    """

    COMPLETE = "complete"
    DISCONNECTED = "disconnected"
    STILL_RUNS = "still runs"


WatchEnd = Callable[[], Awaitable[BotEnding]]


@attrs.define(kw_only=True, eq=False)
class ProbeContext:
    """The server under test, and the judge.

    Attributes:
        address: the server.
        access_key: the bot's key; None for a bot that answers without one.
        judge: takes the judgements.
        limits: those of the edition that is checked.
        times: how long to wait for what.
        watch_end: waits for the bot that got the query with `WATCH_HEADER` to end, for 5 seconds at most; None for a
            server that was not started by the check.
        worked: names of probes whose answer others can build on.
        unusable: for a probe whose answer is of no use to others, what it was.
    """

    address: ServerAddress
    access_key: str | None = attrs.field(default=None, repr=False)
    judge: Judge
    limits: Limits
    times: CheckTimes
    watch_end: WatchEnd | None = None
    worked: set[str] = attrs.field(factory=set[str])
    unusable: dict[str, tuple[str, Exchange]] = attrs.field(factory=dict[str, tuple[str, Exchange]])

    @property
    def bearer(self) -> str | None:
        """The right value of the Authorization header."""
        return None if self.access_key is None else f"Bearer {self.access_key}"

    def call(self, label: str, value: object, **options: object) -> ProbeRequest:
        """A request with a JSON body and the right key."""
        return self.request(label, json_body(value), **options)

    def request(self, label: str, body: bytes, **options: object) -> ProbeRequest:
        """A request with the right key."""
        return attrs.evolve(ProbeRequest(label, body, authorization=self.bearer), **options)

    def settings_request(self, label: str = "settings", **options: object) -> ProbeRequest:
        """A settings request: it costs nothing, so most probes send it."""
        return self.call(label, {"version": "1.2", "type": "settings"}, **options)

    def connection(self, *, is_query: bool = False) -> RawConnection:
        """A connection to the server; one for a query (`is_query`) stays as long as a reply may take."""
        if is_query:
            return RawConnection(self.address, self.times.silence, self.limits.answer_seconds + self.times.silence)
        return RawConnection(self.address, self.times.call / 2, self.times.call)

    async def send(self, request: ProbeRequest, *, address: ServerAddress | None = None) -> Exchange:
        """Send a request on a connection of its own, and read the response to its end.

        Args:
            request: the request; no query, which would take longer.
            address: where to send it instead.

        Raises:
            ConnectFailed: when there is no connection.
        """
        async with RawConnection(address or self.address, self.times.call / 2, self.times.call) as connection:
            exchange = connection.exchange(request)
            # At the same time: a server may answer early and close, and a reset destroys the unread data.
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(connection.receive, exchange)
                await connection.send_request(exchange)
            return exchange


@attrs.frozen
class Probe:
    """A probe: requests that are sent together, and the rules that they are about.

    Attributes:
        name: its name, for reports.
        rules: the ids of the rules that it judges.
        run: sends the requests, and judges.
        queries: how many queries it sends, which may cost money.
        after: names of probes without whose success this one cannot judge.
        needs_key: whether it is about access keys.
    """

    name: str
    rules: tuple[str, ...]
    run: Callable[[ProbeContext], Awaitable[None]]
    queries: int = 0
    after: tuple[str, ...] = ()
    needs_key: bool = False
