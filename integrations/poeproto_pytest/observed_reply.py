"""A reply as a test judges it: its timed events, folded, with its findings, charges and calls."""

from __future__ import annotations

import attrs

from poeproto import (
    Error,
    Event,
    File,
    IncompleteReply,
    Limits,
    Message,
    PoeExchange,
    PoeprotoError,
    QueryRequest,
    ReplyFold,
    ResponseHead,
    Text,
    decode_request,
)
from poeproto.lint import Finding, ReplyLint
from poeproto_record import End, RecordedExchange
from poeproto_simulator import Charge, Conversation, ReceivedReply

__all__ = ["BotCall", "ObservedReply", "TimedEvent"]


@attrs.frozen
class TimedEvent:
    """An event of a reply, and when it was received.

    Attributes:
        at: seconds since the query was sent, by a monotonic clock.
        event: the event.
    """

    at: float
    event: Event


@attrs.frozen
class BotCall:
    """A call of another bot while a reply was made.

    Attributes:
        bot: the name of the bot that was called.
        request: the query, or None if it was a request of another type.
        reply: the bot's reply.
    """

    bot: str
    request: QueryRequest | None
    reply: ObservedReply


@attrs.frozen(eq=False, repr=False)
class ObservedReply:
    """The reply to a query, observed in a test or read from a recording.

    A reply that fails is one too: `failure` says why, and `text` is the part that was received.

    Attributes:
        exchange: the request and the response, read by read, as in a recording.
        timed_events: the events, through `Done` or `Error`, each with its time.
        fold: the reply folded from them.
        failure: why the reply failed: a `BotError` for an `error` event, or the error of the call; None for a reply
            that succeeded.
        findings: what the lint found in the response.
        charges: the costs that the bot captured; none in a recording.
        calls: the calls of other bots that the bot made through Poe; none in a recording.
        received: the reply as the simulated user has it, with conversation and files; None if no user has asked.
    """

    exchange: RecordedExchange
    timed_events: tuple[TimedEvent, ...]
    fold: ReplyFold
    failure: PoeprotoError | None
    findings: tuple[Finding, ...]
    charges: tuple[Charge, ...] = ()
    calls: tuple[BotCall, ...] = ()
    received: ReceivedReply | None = None

    @classmethod
    def of(cls, exchange: RecordedExchange, limits: Limits | None = None) -> ObservedReply:
        """The reply in an exchange of a recording.

        Args:
            exchange: a query and its response.
            limits: the limits that the lint judges by.
        """
        start = exchange.sent_at
        reader = PoeExchange(None, limits)
        reader.send(query_in(exchange) or QueryRequest([Message("user", "")]), "http://bot.invalid/")
        lint, findings = ReplyLint(limits), list[Finding]()
        events: list[TimedEvent] = []
        failure: PoeprotoError | None = None
        if exchange.head is None:
            failure = IncompleteReply(f"the exchange ended before its response{_detail(exchange)}")
        else:
            head = ResponseHead(exchange.head.status, exchange.head.headers)
            findings += lint.receive_head(head)
            try:
                reader.receive_head(head)
                for read in exchange.data:
                    at = max(read.at - start, 0.0)
                    if head.status == 200:
                        findings += lint.receive_data(read.data, at)
                    events += [TimedEvent(at, event) for event in reader.receive_data(read.data)]
                if exchange.end is not None and exchange.end.outcome is End.EOF:
                    at = max(exchange.end.at - start, 0.0)
                    if head.status == 200:
                        findings += lint.receive_eof(at)
                    events += [TimedEvent(at, event) for event in reader.receive_eof()]
                failure = reader.error or _failure_of(reader.fold)
            except PoeprotoError as exc:
                failure = exc
        return cls(exchange, tuple(events), reader.fold, failure, tuple(findings))

    @property
    def events(self) -> list[Event]:
        """The events without their times. As `Text` events are joined by nobody, there is one for each on the wire."""
        return [each.event for each in self.timed_events]

    @property
    def text(self) -> str:
        """The text of the reply; after a failure, the part that was received."""
        return self.fold.text

    @property
    def texts(self) -> list[str]:
        """The texts of the `Text` events, one by one."""
        return [each.event.text for each in self.timed_events if isinstance(each.event, Text)]

    @property
    def suggested_replies(self) -> list[str]:
        """The texts of the suggested replies."""
        return self.fold.suggested_replies

    @property
    def files(self) -> list[File]:
        """The `File` events."""
        return self.fold.files

    @property
    def error(self) -> Error | None:
        """The bot's `error` event, if there is one."""
        return self.fold.error

    @property
    def first_event_seconds(self) -> float | None:
        """When the first event was received, in seconds since the query was sent; None if there was none."""
        return self.timed_events[0].at if self.timed_events else None

    @property
    def seconds(self) -> float:
        """How long the reply took, from the query to the end of the response."""
        return self.exchange.last_at - self.exchange.sent_at

    @property
    def spent(self) -> int:
        """The sum of the charges, in thousandths of a US cent."""
        return sum(charge.amount for charge in self.charges)

    @property
    def conversation(self) -> Conversation | None:
        """The conversation that the reply belongs to; None if no simulated user has asked."""
        return None if self.received is None else self.received.conversation

    def final_text(self) -> str:
        """The text of a reply that succeeded.

        Raises:
            PoeprotoError: `failure`, for a reply that failed.
        """
        if self.failure is not None:
            raise self.failure
        return self.fold.final_text()

    def __repr__(self) -> str:
        result = f", failed: {self.failure}" if self.failure is not None else ""
        return f"<ObservedReply {self.text!r}{result}, {len(self.timed_events)} events in {self.seconds:.3f} s>"


def _failure_of(fold: ReplyFold) -> PoeprotoError | None:
    try:
        fold.final_text()
    except PoeprotoError as exc:
        return exc
    return None


def _detail(exchange: RecordedExchange) -> str:
    if exchange.end is None:
        return ""
    return f" ({exchange.end.outcome.value}{': ' if exchange.end.detail else ''}{exchange.end.detail})"


def query_in(exchange: RecordedExchange) -> QueryRequest | None:
    """The query of an exchange; None if its request is another one, or none of Poe's."""
    try:
        request = decode_request(exchange.request_body)
    except PoeprotoError:
        return None
    return request if isinstance(request, QueryRequest) else None
