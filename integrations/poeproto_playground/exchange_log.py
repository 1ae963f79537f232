"""The exchanges that the playground has seen, read by read, within a bound of memory."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Literal, cast

import attrs

from poeproto import ResponseHead
from poeproto.http import HeaderPairs, normalise_headers
from poeproto.lint import Finding, Level, ReplyLint, lint_request, lint_settings
from poeproto_playground.event_splitter import EventSplitter
from poeproto_record import (
    End,
    RecordedData,
    RecordedEnd,
    RecordedExchange,
    RecordedHead,
    RecordedRequest,
    RecordingHeader,
)

LIVE = "live"

# The memory that all exchanges may take, that one of them may take, and the overhead of a read besides its bytes.
_MEMORY = 64 * 1024 * 1024
_EXCHANGE_MEMORY = 16 * 1024 * 1024
_READ_SIZE = 250
_EXCHANGES = 1000
# More findings of one exchange are counted, and not kept: each event may break the same rule.
_FINDINGS = 500

Direction = Literal["to-bot", "from-bot"]
Side = Literal["request", "response"]


@attrs.define(eq=False, kw_only=True)
class Exchange:
    """One request and the response to it, as far as it was received.

    Attributes:
        id: its identifier in the playground.
        source: `LIVE`, or the identifier of the recording that it is from.
        direction: whether Poe calls the bot, or the bot calls Poe.
        kind: the type of the request, or the name of the call.
        started: seconds since the epoch.
        request: the request; its `at` is the beginning of the exchange, on the clock of its source.
        head: the head of the response; None before it was received.
        reads: the reads of the body of the response.
        end: how it ended; None before.
        bot: the name of the bot that is called, or that calls.
        conversation: the conversation it belongs to.
        message: the bot's message that it produces, or belongs to.
        parent: the query during which a bot made this call; of a query that Poe makes for such a call, the call.
        resent_from: the exchange whose request this one repeats.
        size: of the body of the response, with what was not kept.
        omitted: how many bytes were not kept.
        events: how many events have been received.
        findings: what breaks a rule, with the side that it is on.
        counts: how many findings there are, by level.
        logs: how many lines the bot logged during it.
    """

    id: str
    source: str
    direction: Direction
    kind: str
    started: float
    request: RecordedRequest
    head: RecordedHead | None = None
    reads: list[RecordedData] = attrs.field(factory=list[RecordedData])
    end: RecordedEnd | None = None
    bot: str | None = None
    conversation: str | None = None
    message: str | None = None
    parent: str | None = None
    resent_from: str | None = None
    size: int = 0
    omitted: int = 0
    events: int = 0
    findings: list[tuple[Side, Finding]] = attrs.field(factory=list[tuple[Side, Finding]])
    counts: dict[str, int] = attrs.field(factory=lambda: {level.value: 0 for level in Level})
    logs: int = 0
    memory: int = 0
    _lint: ReplyLint | None = None
    _splitter: EventSplitter = attrs.field(factory=EventSplitter)

    def recorded(self) -> RecordedExchange:
        """The exchange as a recording has it."""
        return RecordedExchange(self.request, (), self.head, tuple(self.reads), self.end)

    def body(self) -> bytes:
        """The body of the response, as far as it was kept."""
        return b"".join([read.data for read in self.reads])

    def check_request(self) -> None:
        """Apply the rules to the request."""
        types = [value for name, value in self.request.headers if name == b"content-type"]
        is_json = all(b"json" in value.lower() for value in types)
        if self.request.method == "POST" and is_json and (self.direction == "to-bot" or self.kind == "call"):
            self._find("request", lint_request(self.request.body))

    def receive_head(self, head: RecordedHead) -> None:
        """The head of the response was received."""
        self.head = head
        if self.kind == "query":
            self._lint = ReplyLint()
            self._find("response", self._lint.receive_head(ResponseHead(head.status, head.headers)))
            if head.status != 200:
                self._lint = None

    def receive_data(self, at: float, data: bytes) -> None:
        """A part of the body was received."""
        self.size += len(data)
        self.events += len(self._splitter.receive_data(data))
        if self._lint is not None:
            self._find("response", self._lint.receive_data(data, max(at - self.request.at, 0)))
        if self.memory + len(data) + _READ_SIZE > _EXCHANGE_MEMORY:
            self.omitted += len(data)
            return
        self.memory += len(data) + _READ_SIZE
        self.reads.append(RecordedData(self.request.exchange, at, data))

    def receive_end(self, end: RecordedEnd) -> None:
        """The exchange ended."""
        self.end = end
        if end.outcome is not End.EOF:
            return
        if self._lint is not None:
            self._find("response", self._lint.receive_eof(max(end.at - self.request.at, 0)))
        elif self.kind == "settings" and self.head is not None and self.head.status == 200:
            self._find("response", lint_settings(self.body()))

    def _find(self, side: Side, findings: Iterable[Finding]) -> None:
        for finding in findings:
            self.counts[finding.level.value] += 1
            if len(self.findings) < _FINDINGS:
                self.findings.append((side, finding))


class ExchangeLog:
    """Keeps exchanges, the newest within a bound of memory and number. The oldest are dropped, and counted.

    Args:
        on_change: called with an exchange after each change.
        on_drop: called after exchanges were dropped or removed.
        clock: a monotonic clock, in seconds.
        now: the time of day, in seconds since the epoch.
        memory: what all exchanges may take, in bytes.
    """

    def __init__(
        self,
        on_change: Callable[[Exchange], object],
        on_drop: Callable[[], object],
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        memory: int = _MEMORY,
    ) -> None:
        self._on_change = on_change
        self._on_drop = on_drop
        self._clock = clock
        self._now = now
        self._largest_memory = memory
        self._began = clock()
        self.created = now()
        self.dropped = 0
        self._exchanges: dict[str, Exchange] = {}
        self._memory = 0
        self._last = 0

    def __iter__(self) -> Iterator[Exchange]:
        return iter(self._exchanges.values())

    def find(self, exchange_id: str) -> Exchange | None:
        """The exchange with that identifier."""
        return self._exchanges.get(exchange_id)

    def query_of(self, message_id: str | None, bot: str | None = None) -> Exchange | None:
        """The newest query that belongs to this message; to this bot, if one is named.

        A bot that calls another one repeats the `message_id`, so several bots may be asked for one message.
        """
        if not message_id:
            return None
        newest = reversed(self._exchanges.values())
        queries = (each for each in newest if each.message == message_id and each.kind == "query")
        return next((each for each in queries if bot in (None, each.bot)), None)

    def first_query_of(self, message_id: str) -> Exchange | None:
        """The query to the bot that the user has asked for this message: not that of a bot, nor one sent again."""
        found = (each for each in self._exchanges.values() if each.message == message_id and each.kind == "query")
        return next((each for each in found if each.parent is None and each.resent_from is None), None)

    def begin(
        self, direction: Direction, kind: str, method: str, url: str, headers: HeaderPairs, body: bytes, **more: Any
    ) -> Exchange:
        """A request was sent to a bot, or received from one."""
        self._last += 1
        request = RecordedRequest(self._last, self.elapsed(), method, url, normalise_headers(headers), body)
        omitted = 0
        if len(body) > _EXCHANGE_MEMORY:
            omitted, request = len(body), attrs.evolve(request, body=b"", omitted=len(body))
        exchange = Exchange(
            id=str(self._last),
            source=LIVE,
            direction=direction,
            kind=kind,
            started=self._now(),
            request=request,
            omitted=omitted,
            memory=len(request.body) + _READ_SIZE * (1 + len(request.headers)),
            **more,
        )
        exchange.check_request()
        self._add(exchange)
        return exchange

    def head(self, exchange: Exchange, status: int, headers: HeaderPairs) -> None:
        """The head of the response."""
        exchange.receive_head(
            RecordedHead(exchange.request.exchange, self.elapsed(), status, normalise_headers(headers))
        )
        self._on_change(exchange)

    def data(self, exchange: Exchange, data: bytes) -> None:
        """One read of the body of the response."""
        before = exchange.memory
        exchange.receive_data(self.elapsed(), data)
        if exchange.id in self._exchanges:
            self._memory += exchange.memory - before
            self._drop_oldest()
        self._on_change(exchange)

    def end(self, exchange: Exchange, outcome: End, detail: str = "") -> None:
        """The exchange ended. A second call has no effect."""
        if exchange.end is None:
            exchange.receive_end(RecordedEnd(exchange.request.exchange, self.elapsed(), outcome, detail))
            self._on_change(exchange)

    def count_log(self, exchange_id: str | None) -> None:
        """The bot has logged a line during that exchange."""
        if (exchange := self.find(exchange_id or "")) is not None:
            exchange.logs += 1
            self._on_change(exchange)

    def open_recording(self, source: str, header: RecordingHeader, exchanges: Iterable[RecordedExchange]) -> int:
        """Add the exchanges of a recording; returns how many."""
        count = 0
        for recorded in exchanges:
            self._add(_from_recording(source, header, recorded), notify=False)
            count += 1
        self._on_drop()
        return count

    def remove(self, source: str) -> None:
        """Remove the exchanges of a recording."""
        for exchange in [each for each in self._exchanges.values() if each.source == source]:
            self._forget(exchange)
        self._on_drop()

    def elapsed(self) -> float:
        """Seconds since the log began."""
        return round(self._clock() - self._began, 6)

    def _add(self, exchange: Exchange, *, notify: bool = True) -> None:
        self._exchanges[exchange.id] = exchange
        self._memory += exchange.memory
        self._drop_oldest()
        if notify:
            self._on_change(exchange)

    def _drop_oldest(self) -> None:
        dropped = 0
        while len(self._exchanges) > 1 and (self._memory > self._largest_memory or len(self._exchanges) > _EXCHANGES):
            self._forget(next(iter(self._exchanges.values())))
            dropped += 1
        if dropped:
            self.dropped += dropped
            self._on_drop()

    def _forget(self, exchange: Exchange) -> None:
        del self._exchanges[exchange.id]
        self._memory -= exchange.memory


def _from_recording(source: str, header: RecordingHeader, recorded: RecordedExchange) -> Exchange:
    request = attrs.evolve(recorded.request, body=recorded.request_body)
    exchange = Exchange(
        id=f"{source}-{recorded.number}",
        source=source,
        direction="to-bot",
        kind=kind_of(object_in(request.body)),
        started=_seconds_of(header.created) + request.at,
        request=request,
        omitted=recorded.omitted,
        memory=len(request.body) + _READ_SIZE,
    )
    exchange.check_request()
    if recorded.head is not None:
        exchange.receive_head(recorded.head)
    for read in recorded.data:
        exchange.receive_data(read.at, read.data)
    if recorded.end is not None:
        exchange.receive_end(recorded.end)
    return exchange


def _seconds_of(created: str) -> float:
    """A date of RFC 3339 in seconds since the epoch; 0 if the text is not a date."""
    try:
        date = datetime.fromisoformat(created)
        return date.replace(tzinfo=date.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def kind_of(fields: dict[str, Any]) -> str:
    """The type of a request to a bot, by the fields of its body; "other" if they have none."""
    kind = fields.get("type")
    known = ("query", "settings", "report_feedback", "report_reaction", "report_error")
    return kind if kind in known else "other"


def object_in(body: bytes) -> dict[str, Any]:
    """The JSON object in a body; empty if it is anything else."""
    try:
        value: Any = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def text_in(fields: dict[str, Any], name: str) -> str | None:
    """A field that is a string; None if it is empty or anything else."""
    value = fields.get(name)
    return value if isinstance(value, str) and value else None
