"""Flows that call a bot: queries with retries, rounds of tool calls, settings and reports.

https://creator.poe.com/docs/server-bots/server-bots-functional-guides
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress

import attrs

from poeproto.exchange.poe_exchange import PoeExchange, UnfoldedPoeExchange
from poeproto.exchange.refusals import refusal_body_size
from poeproto.exchange.reply import ReplyFold
from poeproto.exchange.states import State
from poeproto.flows.calls import RECEIVE_DATA, Attempts, Deliver, Flow, ReplyStarted, RunTools, call_flow
from poeproto.flows.retry import RetryPolicy
from poeproto.flows.tools import ToolCallAggregator, delta_text, says_nothing
from poeproto.limits import Limits
from poeproto.vocabulary.errors import (
    BotError,
    CallBudgetSpent,
    IncompleteReply,
    LimitExceeded,
    PoeprotoError,
    RequestRefused,
    TransportError,
    UndeclaredDependency,
)
from poeproto.vocabulary.events import (
    Data,
    Done,
    Error,
    Event,
    File,
    Json,
    Meta,
    ReplaceResponse,
    SuggestedReply,
    Text,
    UnknownEvent,
)
from poeproto.vocabulary.http import ResponseHead
from poeproto.vocabulary.requests import (
    QueryRequest,
    ReportErrorRequest,
    ReportFeedbackRequest,
    ReportReactionRequest,
    Request,
    SettingsRequest,
)
from poeproto.vocabulary.settings import SettingsResponse
from poeproto.vocabulary.tools import ToolCall, ToolDefinition, ToolResult
from poeproto.wire.surrogates import SurrogateJoiner

__all__ = ["CallBudget", "query_flow", "report_flow", "settings_flow", "tool_rounds_flow"]

# Events that cannot be undone once they were delivered.
_FINAL = frozenset({File, Data, Json, SuggestedReply})


class CallBudget:
    """How many calls to other bots are left for one message, as the bot's settings declare them.

    A call counts once, however often it is retried. One budget belongs to one request.

    Args:
        dependencies: `SettingsResponse.server_bot_dependencies`.
    """

    def __init__(self, dependencies: Mapping[str, int]) -> None:
        self._declared = dict(dependencies)
        self._made: dict[str, int] = {}

    def declare(self, dependencies: Mapping[str, int]) -> None:
        """Replace the declared numbers; calls that were made still count."""
        self._declared = dict(dependencies)

    def left(self, bot_name: str) -> int:
        """How many calls to a bot are left; 0 for a bot that was not declared."""
        return max(0, self._declared.get(bot_name, 0) - self._made.get(bot_name, 0))

    @property
    def remaining(self) -> dict[str, int]:
        """How many calls to each declared bot are left."""
        return {bot_name: self.left(bot_name) for bot_name in self._declared}

    def spend(self, bot_name: str) -> None:
        """Count one call to a bot.

        Raises:
            UndeclaredDependency: if the settings do not name the bot.
            CallBudgetSpent: if no call is left.
        """
        if bot_name not in self._declared:
            raise UndeclaredDependency(
                f"{bot_name!r} is not in server_bot_dependencies; declare it in SettingsResponse"
            )
        if not self.left(bot_name):
            raise CallBudgetSpent(
                f"no call to {bot_name!r} is left: server_bot_dependencies declares {self._declared[bot_name]}"
            )
        self._made[bot_name] = self._made.get(bot_name, 0) + 1

    def __repr__(self) -> str:
        return f"CallBudget({self.remaining!r})"


class _Output:
    """The events delivered to the caller so far: in all rounds, and in the attempts at the current call."""

    def __init__(self, fold: ReplyFold | None) -> None:
        self.fold = ReplyFold() if fold is None else fold
        self._started = False
        self.held: list[Event] = []  # halves of characters from an incomplete reply; a retry drops them
        self.begin_call()

    def begin_call(self) -> None:
        """Begin a call: events delivered before are kept, even if this call is retried."""
        self._before = self.fold.texts
        self._final = False

    def deliver(self, events: list[Event]) -> Flow[None]:
        events = self._checked(events)
        if events:
            yield self._delivery(events)
            self.fold.add_rest()

    def deliver_lone_text(self, events: list[Event]) -> Deliver:
        """The effect that delivers one text: it needs no check, and no generator, which each lone event would pay for.

        Call `fold.add_rest` when it has been delivered.
        """
        self._started = True
        return self._delivery(events)

    def _delivery(self, events: list[Event]) -> Deliver:
        effect = Deliver(events)
        self.fold.add_as_taken(events, iter(effect))
        return effect

    def _checked(self, events: list[Event]) -> list[Event]:
        kinds = set(map(type, events))
        if Meta in kinds and self._started:  # the caller sees one reply, which has already begun
            events = [event for event in events if not isinstance(event, Meta)]
        if events:
            self._started = self._started or kinds != {UnknownEvent}  # readers ignore unknown events
            self._final = self._final or not _FINAL.isdisjoint(kinds)
        return events

    def deliver_held(self, exc: PoeprotoError) -> Flow[None]:
        yield from self.deliver(self.held)
        exc.partial = self.fold

    def can_restart(self, policy: RetryPolicy) -> bool:
        return not self._final and (policy.restart or self.fold.texts == self._before)

    def restart(self) -> Flow[None]:
        self.held = []
        yield from self.deliver(
            [
                ReplaceResponse(before, index)
                for index, text in self.fold.texts.items()
                if text != (before := self._before.get(index, ""))
            ]
        )


class _Chunks:
    """Translates a model's reply for the caller: the text in chunks becomes `Text`, other content stays as received."""

    def __init__(self, limits: Limits) -> None:
        self.aggregator = ToolCallAggregator(limits)
        self._halves = SurrogateJoiner()
        self._empty: Json | None = None
        self._answered = False

    def take(self, events: list[Event]) -> tuple[list[Event], PoeprotoError | None]:
        """The events to deliver for these, up to an invalid one, and the error in that one."""
        shown: list[Event] = []
        try:
            for event in events:
                self._take_one(event, shown)
        except PoeprotoError as exc:
            return shown, exc
        return shown, None

    def _take_one(self, event: Event, shown: list[Event]) -> None:
        if isinstance(event, Json) and "choices" in event.data:
            called, text = self.aggregator.add(event), delta_text(event)
            if text:
                event = Text(text, event.index)
            elif called:
                return
            elif says_nothing(event):
                self._empty = event
                return
        self._answered = self._answered or isinstance(event, Text | ReplaceResponse | File | Json)
        joined = self._halves.join(event) if isinstance(event, Text | ReplaceResponse) else event
        if joined is not None:
            shown.append(joined)

    def take_end(self, ending: Done | Error | None) -> list[Event]:
        """The events to deliver before the end; None is the end of an incomplete reply."""
        shown: list[Event] = [*self._halves.flush()]
        if isinstance(ending, Done) and self._empty is not None and not (self._answered or self.aggregator.calls):
            shown.append(self._empty)  # an empty chunk is an answer, too, if there is no other
        return shown


def query_flow(
    request: QueryRequest,
    url: str,
    *,
    access_key: str | None = None,
    limits: Limits | None = None,
    retry: RetryPolicy | None = None,
    fold: ReplyFold | None = None,
) -> Flow[ReplyFold]:
    """Query a bot, deliver its events including `Done` or `Error`, and return the fold of the delivered events.

    Args:
        request: the query.
        url: the bot's URL.
        access_key: the key for that URL, if it needs one.
        limits: the limits of each attempt.
        retry: when to retry.
        fold: the fold to add the events to, for callers that read it meanwhile.

    Raises:
        RequestRefused, TransportError, RemoteProtocolError: if the last attempt failed; `partial` has the delivered
            events.
        LocalProtocolError: for a request that cannot be written.
    """
    output = _Output(fold)
    yield from _query(request, url, output, access_key, limits or Limits(), retry or RetryPolicy(), None)
    return output.fold


def tool_rounds_flow(
    request: QueryRequest,
    url: str,
    tools: Iterable[ToolDefinition],
    *,
    access_key: str | None = None,
    limits: Limits | None = None,
    retry: RetryPolicy | None = None,
    bot_name: str | None = None,
    budget: CallBudget | None = None,
    fold: ReplyFold | None = None,
) -> Flow[ReplyFold]:
    """Query a model that may call tools; run the calls and query it again with their results, until it makes no calls.

    The caller sees one reply: the text in chunks is delivered as `Text`. Chunks with tool calls, and chunks around them
    without content, are not delivered. Other chunks are delivered as received.

    Args:
        request: the query; its `tool_calls` and `tool_results` are kept, and new ones appended.
        url: the model's URL.
        tools: the tools that it may call.
        access_key: as in `query_flow`.
        limits: `Limits.tool_rounds` limits the number of rounds.
        retry: when to retry each query.
        bot_name: the model's name in the budget.
        budget: each round counts as a call; None for no such limit.
        fold: as in `query_flow`.

    Raises:
        ValueError: for a budget without the model's name, or a name without a budget.
        UndeclaredDependency, CallBudgetSpent: before a call that the budget does not cover.
        LimitExceeded: if the model calls tools in more rounds than `Limits.tool_rounds`.
        RequestRefused, TransportError, RemoteProtocolError: as in `query_flow`.
    """
    if (bot_name is None) is not (budget is None):
        raise ValueError("pass both bot_name and budget, or neither: each round counts as a call to that bot")
    limits = limits or Limits()
    offered = list(tools)
    calls, results = list(request.tool_calls or ()), list(request.tool_results or ())
    output = _Output(fold)
    rounds_left = limits.tool_rounds
    while True:
        if budget is not None and bot_name is not None:
            try:
                budget.spend(bot_name)
            except (UndeclaredDependency, CallBudgetSpent) as exc:
                exc.partial = output.fold
                raise
        asked = attrs.evolve(request, tools=offered, tool_calls=calls or None, tool_results=results or None)
        new = yield from _query(asked, url, output, access_key, limits, retry or RetryPolicy(), rounds_left)
        if not new:
            return output.fold
        answers: list[ToolResult] = yield RunTools(new)
        results += answers
        calls += new
        rounds_left -= 1


def _query(
    request: QueryRequest,
    url: str,
    output: _Output,
    access_key: str | None,
    limits: Limits,
    retry: RetryPolicy,
    rounds_left: int | None,
) -> Flow[list[ToolCall]]:
    """One query with its retries; returns the tool calls in the reply. `rounds_left` is None for one without tools."""
    attempts = Attempts(retry)
    output.begin_call()
    while True:
        exchange = UnfoldedPoeExchange(access_key, limits)  # the fold has the delivered events of all attempts
        chunks = None if rounds_left is None else _Chunks(limits)
        http_request = exchange.send(request, url)
        try:
            exchange.receive_head((yield from attempts.send(http_request)))
            if exchange.their_state is not State.OPENED:
                size = refusal_body_size(limits, (access_key or "").encode())
                exchange.receive_data((yield from attempts.receive_start(size)))
                exchange.receive_eof()  # raises the refusal
            yield ReplyStarted()
            error = yield from _receive(attempts, exchange, output, chunks)
            if error is not None:
                raise BotError(error)
            calls = [] if chunks is None else chunks.aggregator.calls
            if calls and not rounds_left:
                raise LimitExceeded(
                    f"the model called tools in more than {limits.tool_rounds} rounds", limit="tool_rounds"
                )
        except (RequestRefused, TransportError, IncompleteReply, BotError) as exc:
            if not (output.can_restart(retry) and (yield from attempts.prepare_next(exc))):
                if isinstance(exc, BotError):  # delivered as an event; only `final_text` raises it
                    yield from output.deliver([exc.event])
                    return []
                yield from output.deliver_held(exc)
                raise
            yield from output.restart()
        except PoeprotoError as exc:
            yield from output.deliver_held(exc)
            raise
        else:
            return calls


def _receive(
    attempts: Attempts, exchange: UnfoldedPoeExchange, output: _Output, chunks: _Chunks | None
) -> Flow[Error | None]:
    """Deliver the events of a reply, through a `Done` unless it calls tools; return an `Error` that ended it."""
    while True:
        data: bytes | None = None
        events: list[Event] = []
        failure: PoeprotoError | None = None
        try:
            data = yield RECEIVE_DATA  # as in `attempts.receive_data`, whose generator each lone event would pay for
        except PoeprotoError as exc:
            failure = exc
        if data is not None:
            events = exchange.receive_data(data)
            if len(events) == 1 and type(events[0]) is Text and chunks is None and exchange.error is None:
                yield output.deliver_lone_text(events)
                output.fold.add_rest()
                continue
        else:
            if failure is None:
                attempts.response_ended()
            with suppress(IncompleteReply):  # it is `exchange.error`, too, and raised once all events are delivered
                events = exchange.receive_eof()
        # Nothing follows the end of a reply, so only the last event can be that.
        ending = events[-1] if events else None
        if isinstance(ending, Done | Error):
            events.pop()
        else:
            ending = None
        failure = failure or exchange.error
        if chunks is not None:
            events, fault = chunks.take(events)
            failure = fault or failure
            if ending is not None or failure is not None:
                events += chunks.take_end(ending if failure is None else None)
        if isinstance(ending, Done) and failure is None and not (chunks is not None and chunks.aggregator.calls):
            events.append(ending)
        if failure is not None and data is None:
            output.held = events  # halves of characters, whose other half will not arrive
            raise failure
        yield from output.deliver(events)
        if failure is not None:
            raise failure
        if ending is not None:
            return ending if isinstance(ending, Error) else None


def settings_flow(
    url: str, *, access_key: str | None = None, limits: Limits | None = None, retry: RetryPolicy | None = None
) -> Flow[SettingsResponse]:
    """Request a bot's settings, and return them. Arguments as in `query_flow`.

    Raises:
        RequestRefused, TransportError, RemoteProtocolError: if the last attempt failed.
    """
    settings = yield from _call(SettingsRequest(), url, access_key, limits, retry)
    assert settings is not None, "the exchange raises if there are none"
    return settings


def report_flow(
    request: ReportFeedbackRequest | ReportReactionRequest | ReportErrorRequest,
    url: str,
    *,
    access_key: str | None = None,
    limits: Limits | None = None,
    retry: RetryPolicy | None = None,
) -> Flow[None]:
    """Report feedback, a reaction or an error to a bot. Arguments as in `query_flow`.

    Raises:
        RequestRefused, TransportError: if the last attempt failed.
    """
    yield from _call(request, url, access_key, limits, retry)


def _call(
    request: Request, url: str, access_key: str | None, limits: Limits | None, retry: RetryPolicy | None
) -> Flow[SettingsResponse | None]:
    exchange = PoeExchange(access_key, limits)
    response = yield from call_flow(exchange.send(request, url), limits=limits, retry=retry)
    exchange.receive_head(ResponseHead(response.status, response.headers))
    exchange.receive_data(response.body)
    exchange.receive_eof()
    return exchange.settings
