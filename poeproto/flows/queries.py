"""Calling a bot, as flows: with another try where one is due, and with as many rounds of tools as are declared.

https://creator.poe.com/docs/server-bots/server-bots-functional-guides
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress

import attrs

from poeproto.errors import (
    BotError,
    CallBudgetSpent,
    IncompleteReply,
    LimitExceeded,
    PoeprotoError,
    RequestRefused,
    TransportError,
    UndeclaredDependency,
)
from poeproto.exchange.poe_exchange import PoeExchange, UnfoldedPoeExchange
from poeproto.exchange.refusals import refusal_body_size
from poeproto.exchange.reply import ReplyFold
from poeproto.exchange.states import State
from poeproto.flows.calls import Attempts, Deliver, Flow, ReplyStarted, RetryPolicy, RunTools, call_flow
from poeproto.flows.tools import ToolCallAggregator, delta_text, says_nothing
from poeproto.limits import Limits
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

# What cannot be taken back once a caller has it.
_FINAL = frozenset({File, Data, Json, SuggestedReply})


class CallBudget:
    """How often a bot may still call others for one message, as its settings declare it.

    A call counts once, however often it is tried again. One budget belongs to one request.

    Args:
        dependencies: `SettingsResponse.server_bot_dependencies`.
    """

    def __init__(self, dependencies: Mapping[str, int]) -> None:
        self._declared = dict(dependencies)
        self._made: dict[str, int] = {}

    def declare(self, dependencies: Mapping[str, int]) -> None:
        """Go by these settings from now on; calls that were made stay counted."""
        self._declared = dict(dependencies)

    def left(self, bot_name: str) -> int:
        """How many calls to that bot are left; 0 for one that was not declared."""
        return max(0, self._declared.get(bot_name, 0) - self._made.get(bot_name, 0))

    @property
    def remaining(self) -> dict[str, int]:
        """How many calls to each declared bot are left."""
        return {bot_name: self.left(bot_name) for bot_name in self._declared}

    def spend(self, bot_name: str) -> None:
        """Take one call to that bot.

        Raises:
            UndeclaredDependency: when the settings do not name the bot.
            CallBudgetSpent: when no call is left.
        """
        if bot_name not in self._declared:
            raise UndeclaredDependency(f"server_bot_dependencies of the settings does not name {bot_name!r}")
        if not self.left(bot_name):
            raise CallBudgetSpent(f"all calls to {bot_name!r} that server_bot_dependencies declares were made")
        self._made[bot_name] = self._made.get(bot_name, 0) + 1

    def __repr__(self) -> str:
        return f"CallBudget({self.remaining!r})"


class _Output:
    """What a caller was given so far, over all rounds, and what of it by the attempts at the call under way."""

    def __init__(self, fold: ReplyFold | None) -> None:
        self.fold = ReplyFold() if fold is None else fold
        self._started = False
        self.held: list[Event] = []  # what a reply that broke off leaves; another try does without
        self.begin_call()

    def begin_call(self) -> None:
        """What was given up to here stays, whatever becomes of the call that begins."""
        self._before = self.fold.texts
        self._final = False

    def deliver(self, events: list[Event]) -> Flow[None]:
        kinds = set(map(type, events))
        if Meta in kinds and self._started:  # to the caller it is one reply, and that has begun
            events = [event for event in events if not isinstance(event, Meta)]
        if not events:
            return
        self._started = self._started or kinds != {UnknownEvent}  # which readers pass over
        self._final = self._final or not _FINAL.isdisjoint(kinds)
        effect = Deliver(events)
        self.fold.add_as_taken(events, iter(effect))
        yield effect
        self.fold.add_rest()

    def give_up(self, exc: PoeprotoError) -> Flow[None]:
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
    """What of a model's reply its caller sees: the text in chunks as `Text`, what else they say as it came."""

    def __init__(self, limits: Limits) -> None:
        self.aggregator = ToolCallAggregator(limits)
        self._halves = SurrogateJoiner()
        self._empty: Json | None = None
        self._answered = False

    def take(self, events: list[Event]) -> tuple[list[Event], PoeprotoError | None]:
        """The events to deliver for these, and what is wrong with the one after them, if any is."""
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
        """The events to deliver before that end; None for a reply that breaks off."""
        shown: list[Event] = [*self._halves.flush()]
        if isinstance(ending, Done) and self._empty is not None and not (self._answered or self.aggregator.calls):
            shown.append(self._empty)  # a model that has nothing to say has said so, which is an answer too
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
    """Ask a bot, deliver its events through `Done` or `Error`, and return the reply as it was delivered.

    Args:
        request: the query.
        url: the bot's address.
        access_key: the key for that address; None for none.
        limits: the bounds of each exchange.
        retry: when the call is made again.
        fold: where the reply is gathered, for those who look at it while it comes.

    Raises:
        RequestRefused, TransportError, RemoteProtocolError: when the last attempt failed; `partial` is what was
            delivered.
        LocalProtocolError: when the request cannot be written.
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
    """Ask a model that may call tools: run what it calls, give it the results, until it has no more calls.

    The text in chunks is delivered as `Text`, so that the caller sees one reply. Chunks with tool calls are not
    delivered, nor are those around them that say nothing else; what says something is, as it came.

    Args:
        request: the query; earlier `tool_calls` and `tool_results` in it are kept, and added to.
        url: the model's address.
        tools: what it may call.
        access_key: as in `query_flow`.
        limits: `Limits.tool_rounds` bounds how often tools are run.
        retry: for each of the calls.
        bot_name: what the budget knows the model as.
        budget: what is taken from for each round; None for no such bound.
        fold: as in `query_flow`.

    Raises:
        ValueError: for a budget without the model's name, or a name without a budget.
        UndeclaredDependency, CallBudgetSpent: before a call that the budget does not cover.
        LimitExceeded: when the model calls for tools in more rounds than `Limits.tool_rounds`.
        RequestRefused, TransportError, RemoteProtocolError: as in `query_flow`.
    """
    if (bot_name is None) is not (budget is None):
        raise ValueError("bot_name and budget are given together: each round takes from the budget under that name")
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
    """One call with its retries. The tool calls in the reply, where `rounds_left` says that tools are in play."""
    attempts = Attempts(retry)
    output.begin_call()
    while True:
        exchange = UnfoldedPoeExchange(access_key, limits)  # what is folded is what was delivered, over all attempts
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
                    f"the model called for tools in more than {limits.tool_rounds} rounds", limit="tool_rounds"
                )
        except (RequestRefused, TransportError, IncompleteReply, BotError) as exc:
            if not (output.can_restart(retry) and (yield from attempts.prepare_next(exc))):
                if isinstance(exc, BotError):  # an event like others; raising is for those who ask for text
                    yield from output.deliver([exc.event])
                    return []
                yield from output.give_up(exc)
                raise
            yield from output.restart()
        except PoeprotoError as exc:
            yield from output.give_up(exc)
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
            data = yield from attempts.receive_data()
        except PoeprotoError as exc:
            failure = exc
        if data is not None:
            events = exchange.receive_data(data)
        else:
            with suppress(IncompleteReply):  # which is the exchange's error, too, and raised once all is delivered
                events = exchange.receive_eof()
        # Nothing follows the end, so that it can only be the last of them.
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
            output.held = events  # halves of characters, whose rest cannot come any more
            raise failure
        yield from output.deliver(events)
        if failure is not None:
            raise failure
        if ending is not None:
            return ending if isinstance(ending, Error) else None


def settings_flow(
    url: str, *, access_key: str | None = None, limits: Limits | None = None, retry: RetryPolicy | None = None
) -> Flow[SettingsResponse]:
    """Ask a bot for its settings, and return them. Arguments as in `query_flow`.

    Raises:
        RequestRefused, TransportError, RemoteProtocolError: when the last attempt failed.
    """
    settings = yield from _call(SettingsRequest(), url, access_key, limits, retry)
    assert settings is not None, "they are what the exchange waits for"
    return settings


def report_flow(
    request: ReportFeedbackRequest | ReportReactionRequest | ReportErrorRequest,
    url: str,
    *,
    access_key: str | None = None,
    limits: Limits | None = None,
    retry: RetryPolicy | None = None,
) -> Flow[None]:
    """Report something to a bot. Arguments as in `query_flow`.

    Raises:
        RequestRefused, TransportError: when the last attempt failed.
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
