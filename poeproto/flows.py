"""Calls of several steps, written once for every way to do I/O: retries, tool rounds, an upload before its event.

A flow is a generator. It yields what it wants done, an `Effect`, and is sent the outcome; a failure of the transport
is thrown into it. It has no clock and no socket, so that an asynchronous client, a blocking one and a list of canned
answers drive it alike:

    SendRequest(request)  send it           -> the ResponseHead, or throws a TransportError
    ReceiveData()         read what comes   -> bytes, or None at the end; or throws a TransportError
    CloseResponse()       leave the rest    -> None
    Wait(seconds)         sleep             -> None
    Deliver(event)        hand it on        -> None
    RunTools(calls)       run them at once  -> a ToolResult for each, in their order

When a flow returns or raises, whatever is left of a response is the driver's to close or to drain.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from typing import Any, TypeVar

import attrs

from poeproto.errors import (
    BotError,
    CallBudgetSpent,
    ConnectFailed,
    IncompleteReply,
    LimitExceeded,
    PoeprotoError,
    RequestRefused,
    TransportError,
    UndeclaredDependency,
)
from poeproto.events import Data, Done, Error, Event, File, Json, Meta, ReplaceResponse, SuggestedReply, Text
from poeproto.http import HttpRequest, HttpResponse, ResponseHead
from poeproto.limits import Limits
from poeproto.poe_exchange import PoeExchange
from poeproto.rate_limits import retry_after_seconds
from poeproto.reply import ReplyFold
from poeproto.requests import QueryRequest
from poeproto.tool_calls import ToolCallAggregator, delta_text
from poeproto.tools import ToolCall, ToolDefinition, ToolResult

R = TypeVar("R")

# Nothing can have been done, so that a second try cannot cost twice (RFC 9110, 15.5.21 and 15.6.4; RFC 6585, 4).
_NOTHING_WAS_DONE = frozenset({429, 503})
# What cannot be taken back once a caller has it.
_FINAL = (File, Data, Json, SuggestedReply)
_TEXTS = (Text, ReplaceResponse)


@attrs.frozen
class SendRequest:
    """Send this request. The outcome is the `ResponseHead`."""

    request: HttpRequest


@attrs.frozen
class ReceiveData:
    """Read the next part of the response's body. The outcome is bytes, or None at its end."""


@attrs.frozen
class CloseResponse:
    """Give up the response under way; its connection cannot be used again."""


@attrs.frozen
class Wait:
    """Wait so many seconds."""

    seconds: float


@attrs.frozen
class Deliver:
    """Hand this event to the caller."""

    event: Event


@attrs.frozen
class RunTools:
    """Run these tools, all at once if possible. The outcome is a `ToolResult` for each, in their order."""

    calls: list[ToolCall]


Effect = SendRequest | ReceiveData | CloseResponse | Wait | Deliver | RunTools
Flow = Generator[Effect, Any, R]


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """When a call is made again. A call costs money, so by default only where nothing can have been done.

    That is: no connection came about, or the status was 429 or 503.

    Attributes:
        attempts: how often the call is made at most, the first time included.
        delay: seconds between two attempts, where the peer asks for no other time.
        longest_wait: seconds; where ``Retry-After`` asks for more, the refusal is raised instead.
        failures: try again after lost connections, deadlines, cut replies and other statuses of 500 and above, too.
        error_events: try again after an `error` event with `allow_retry`, too.
        restart: try again even after output was delivered. A `ReplaceResponse` then clears it first; after a `File`,
            `Data`, `Json` or `SuggestedReply`, which cannot be taken back, there is no other try all the same.
    """

    attempts: int = 2
    delay: float = 0.5
    longest_wait: float = 60.0
    failures: bool = False
    error_events: bool = False
    restart: bool = False

    def wait_before_retry(self, error: PoeprotoError, head: ResponseHead | None, attempt: int) -> float | None:
        """Seconds to wait after that failure of the attempt of that number, counted from 1; None to give up."""
        if attempt >= self.attempts or not self._covers(error):
            return None
        asked = None if head is None else retry_after_seconds(head)
        wait = self.delay if asked is None else asked
        return wait if wait <= self.longest_wait else None

    def _covers(self, error: PoeprotoError) -> bool:
        match error:
            case ConnectFailed():
                return True
            case RequestRefused():
                return error.status in _NOTHING_WAS_DONE or (self.failures and error.status >= 500)
            case TransportError() | IncompleteReply():
                return self.failures
            case BotError():
                return self.error_events and error.event.allow_retry
            case _:
                return False


class CallBudget:
    """How often a bot may still call others for one message, as its settings declare it.

    A call counts once, however often it is tried again. One budget belongs to one request.

    Args:
        dependencies: `SettingsResponse.server_bot_dependencies`.
    """

    def __init__(self, dependencies: Mapping[str, int]) -> None:
        self._left = dict(dependencies)

    def left(self, bot_name: str) -> int:
        """How many calls to that bot are left; 0 for one that was not declared."""
        return self._left.get(bot_name, 0)

    def spend(self, bot_name: str) -> None:
        """Take one call to that bot.

        Raises:
            UndeclaredDependency: when the settings do not name the bot.
            CallBudgetSpent: when no call is left.
        """
        if bot_name not in self._left:
            raise UndeclaredDependency(f"server_bot_dependencies of the settings does not name {bot_name!r}")
        if not self._left[bot_name]:
            raise CallBudgetSpent(f"all calls to {bot_name!r} that server_bot_dependencies declares were made")
        self._left[bot_name] -= 1

    def __repr__(self) -> str:
        return f"CallBudget({self._left!r})"


class _Output:
    """What a caller was given so far, over all attempts and rounds."""

    def __init__(self) -> None:
        self.fold = ReplyFold()
        self._started = False
        self._final = False

    def deliver(self, event: Event) -> Flow[None]:
        if isinstance(event, Meta) and self._started:
            return  # to the caller it is one reply, and that has begun
        self._started = True
        self._final = self._final or isinstance(event, _FINAL)
        self.fold.add(event)
        yield Deliver(event)

    def can_restart(self, policy: RetryPolicy) -> bool:
        return not self._final and (policy.restart or not self.fold.texts)

    def restart(self) -> Flow[None]:
        for index, text in self.fold.texts.items():
            if text:
                yield from self.deliver(ReplaceResponse("", index))


def query_flow(
    request: QueryRequest,
    url: str,
    *,
    access_key: str | None = None,
    limits: Limits | None = None,
    retry: RetryPolicy | None = None,
) -> Flow[ReplyFold]:
    """Ask a bot, deliver its events through `Done` or `Error`, and return the reply as it was delivered.

    Raises:
        RequestRefused, TransportError, RemoteProtocolError: when the last attempt failed; `partial` is what was
            delivered.
        LocalProtocolError: when the request cannot be written.
    """
    output = _Output()
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
    bot_name: str = "",
    budget: CallBudget | None = None,
) -> Flow[ReplyFold]:
    """Ask a model that may call tools: run what it calls, give it the results, until it has no more calls.

    Chunks with tool calls are not delivered; the text in chunks is, as `Text`, so that the caller sees one reply.

    Args:
        request: the query; earlier `tool_calls` and `tool_results` in it are kept, and added to.
        url: the model's address.
        tools: what it may call.
        access_key: as in `query_flow`.
        limits: `Limits.tool_rounds` bounds how often tools are run.
        retry: for each of the calls.
        bot_name: what the budget knows the model as.
        budget: what is taken from for each round; None for no such bound.

    Raises:
        UndeclaredDependency, CallBudgetSpent: before a call that the budget does not cover.
        LimitExceeded: when the model calls for tools in more rounds than `Limits.tool_rounds`.
        RequestRefused, TransportError, RemoteProtocolError: as in `query_flow`.
    """
    limits = limits or Limits()
    offered = list(tools)
    calls, results = list(request.tool_calls or ()), list(request.tool_results or ())
    output = _Output()
    rounds_left = limits.tool_rounds
    while True:
        if budget is not None:
            try:
                budget.spend(bot_name)
            except (UndeclaredDependency, CallBudgetSpent) as exc:
                exc.partial = output.fold
                raise
        asked = attrs.evolve(request, tools=offered, tool_calls=calls or None, tool_results=results or None)
        new = yield from _query(asked, url, output, access_key, limits, retry or RetryPolicy(), rounds_left)
        if not new:
            return output.fold
        results += yield from _run(new)
        calls += new
        rounds_left -= 1


def _send(request: HttpRequest) -> Flow[ResponseHead]:
    head: ResponseHead = yield SendRequest(request)
    return head


def _run(calls: list[ToolCall]) -> Flow[list[ToolResult]]:
    results: list[ToolResult] = yield RunTools(calls)
    return results


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
    attempt = 1
    while True:
        head: ResponseHead | None = None
        exchange = PoeExchange(access_key, limits)
        aggregator = None if rounds_left is None else ToolCallAggregator(limits)
        http_request = exchange.send(request, url)
        try:
            head = yield from _send(http_request)
            exchange.receive_head(head)
            ending = yield from _receive(exchange, output, aggregator)
            if isinstance(ending, Error):
                raise BotError(ending)
            calls = [] if aggregator is None else aggregator.calls
            if calls and not rounds_left:
                raise LimitExceeded(
                    f"the model called for tools in more than {limits.tool_rounds} rounds", limit="tool_rounds"
                )
        except (RequestRefused, TransportError, IncompleteReply, BotError) as exc:
            wait = retry.wait_before_retry(exc, head, attempt) if output.can_restart(retry) else None
            if wait is None:
                if isinstance(exc, BotError):  # an event like others; raising is for those who ask for text
                    yield from output.deliver(exc.event)
                    return []
                exc.partial = output.fold
                raise
            if head is not None:
                yield CloseResponse()
            yield Wait(wait)
            yield from output.restart()
            attempt += 1
        except PoeprotoError as exc:
            exc.partial = output.fold
            raise
        else:
            if not calls:
                yield from output.deliver(ending)
            return calls


def _receive(exchange: PoeExchange, output: _Output, aggregator: ToolCallAggregator | None) -> Flow[Done | Error]:
    """Deliver the events of a reply up to its end, and return that."""
    while True:
        data: bytes | None = yield ReceiveData()
        for event in exchange.receive_eof() if data is None else exchange.receive_data(data):
            if isinstance(event, Done | Error):
                return event
            if aggregator is not None and isinstance(event, Json) and "choices" in event.data:
                aggregator.add(event)
                text = delta_text(event)
                if text:
                    yield from output.deliver(Text(text, event.index))
            else:
                yield from output.deliver(event)
        if exchange.error is not None:
            raise exchange.error


def call_flow(
    request: HttpRequest, *, limits: Limits | None = None, retry: RetryPolicy | None = None
) -> Flow[HttpResponse]:
    """Make a call whose answer is read whole, and return that answer, a refusal included.

    Raises:
        TransportError: when the last attempt failed.
        LimitExceeded: when the answer is larger than `Limits.answer_size`.
    """
    limits, retry = limits or Limits(), retry or RetryPolicy()
    attempt = 1
    while True:
        head: ResponseHead | None = None
        try:
            head = yield from _send(request)
            response = yield from _receive_whole(head, limits)
            refused = RequestRefused(f"status {response.status}", status=response.status)
            wait = retry.wait_before_retry(refused, head, attempt) if response.status != 200 else None
            if wait is None:
                return response
        except TransportError as exc:
            wait = retry.wait_before_retry(exc, head, attempt)
            if wait is None:
                raise
        yield Wait(wait)
        attempt += 1


def _receive_whole(head: ResponseHead, limits: Limits) -> Flow[HttpResponse]:
    body = bytearray()
    while True:
        data: bytes | None = yield ReceiveData()
        if data is None:
            return HttpResponse(head.status, head.headers, bytes(body))
        body += data
        if len(body) > limits.answer_size:
            raise LimitExceeded(f"the answer is larger than {limits.answer_size} bytes", limit="answer_size")
