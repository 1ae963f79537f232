"""Hooks: functions that are called when a request starts, when its first event was sent, and when it has ended.

Those of calls, `poeproto_runtime.client.call_hooks`, have the same names and follow the same rules.
"""

from __future__ import annotations

import inspect
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from types import TracebackType
from typing import Any, Self

import attrs

from poeproto import (
    Error,
    QueryRequest,
    ReportErrorRequest,
    ReportFeedbackRequest,
    ReportReactionRequest,
    Request,
    RequestHead,
    SettingsRequest,
)
from poeproto_runtime.bot_mistakes import name_of, place_of
from poeproto_runtime.channel import ClientDisconnected

__all__ = ["Hook", "Hooks", "Observation", "Outcome"]

logger = logging.getLogger("poeproto")

# The types of requests, in the wire's words.
REQUEST_TYPES: dict[type[Request], str] = {
    QueryRequest: "query",
    SettingsRequest: "settings",
    ReportFeedbackRequest: "report_feedback",
    ReportReactionRequest: "report_reaction",
    ReportErrorRequest: "report_error",
}


class Outcome(StrEnum):
    """How a request that was served has ended, or a call that was made. The values suit as labels of metrics.

    Attributes:
        COMPLETE: the reply through `done`, or the whole answer, with status 200.
        ERROR_EVENT: the bot ended the reply with an `error` event.
        REFUSED: the answer has another status than 200 or another form than the call promises; or Poe granted no cost.
        INCOMPLETE: of a call: the body of the reply has ended without `done` or `error`.
        DISCONNECTED: the connection broke before the end: the client's, if a request was served; any, of a call.
        CANCELLED: this side ended it: a cancellation; of a call, also a reply that was closed or dropped early.
        CONNECT_FAILED: of a call: no connection could be made, so the peer has seen nothing of it.
        TIMEOUT: of a call: one of its timeouts has passed.
        INVALID: of a call: the peer broke the protocol, or exceeded a limit.
        FAILED: this side failed: an argument or a file of a call cannot be sent, a tool or the server has raised.
    """

    COMPLETE = "complete"
    ERROR_EVENT = "error_event"
    REFUSED = "refused"
    INCOMPLETE = "incomplete"
    DISCONNECTED = "disconnected"
    CANCELLED = "cancelled"
    CONNECT_FAILED = "connect_failed"
    TIMEOUT = "timeout"
    INVALID = "invalid"
    FAILED = "failed"


@attrs.frozen(kw_only=True)
class Observation:
    """One request, and its progress at the time of the call.

    Attributes:
        id: unique to this request, 16 hexadecimal digits; also the id of an error in the log.
        http_request: the head of the request.
        bot: the class of the bot that answers; None if there is no bot at the path.
        bot_name: that bot's name on Poe, if the route has it.
        type: of the request, as in "query" or "settings"; None before it has been received.
        status: of the response; None before its head has been sent.
        events: how many were sent, without `error` and `done`.
        bytes: of the response's body, as far as it was sent.
        seconds: since the head of the request was received.
        first_event_seconds: the same for the first event of a reply; None if none was sent.
        error_id: the id under which the log has the details of a failure; None without a failure.
        complete: whether the response has been sent to its end. If not, the client disconnected, or the server stopped.
        outcome: how the request has ended; None before its end.
        error_type: the type of the `error` event that ended the reply, if that has one.
    """

    id: str
    http_request: RequestHead
    bot: str | None
    bot_name: str | None
    type: str | None
    status: int | None
    events: int
    bytes: int
    seconds: float
    first_event_seconds: float | None
    error_id: str | None
    complete: bool
    outcome: Outcome | None
    error_type: str | None


Hook = Callable[[Observation], object]
"""A function that is called with the observation of a request."""


@attrs.frozen(kw_only=True)
class Hooks:
    """The functions to call. They run in the task of the request, so they must not block.

    Attributes:
        on_start: called when the head of a request has been received.
        on_first_event: called when the first event of a reply has been given to the channel. Not called for a reply
            that consists of an `error`.
        on_end: called when the request has ended, however it ended.
    """

    on_start: Hook | None = None
    on_first_event: Hook | None = None
    on_end: Hook | None = None


class Progress:
    """The progress of one request. `BotService` and `ReplyStream` keep the attributes up to date.

    It is a context manager: entered when the request starts, left when it has ended. A `ClientDisconnected` ends there.

    Args:
        hooks: whose functions are called, in this order.
        head: the request's head.
        bot: the class of the bot that answers.
        bot_name: its name on Poe.
    """

    __slots__ = (
        "_began",
        "_bot",
        "_bot_name",
        "_error",
        "_first_event_seconds",
        "_head",
        "_hooks",
        "_outcome",
        "bytes",
        "complete",
        "error_id",
        "events",
        "id",
        "status",
        "type",
    )

    def __init__(self, hooks: Sequence[Hooks], head: RequestHead, bot: str | None, bot_name: str | None) -> None:
        self.id = secrets.token_hex(8)
        self.type: str | None = None
        self.status: int | None = None
        self.events = 0
        self.bytes = 0
        self.error_id: str | None = None
        self.complete = False
        self._hooks = hooks
        self._head = head
        self._bot = bot
        self._bot_name = bot_name
        self._error: Error | None = None
        self._first_event_seconds: float | None = None
        self._outcome: Outcome | None = None
        self._began = time.monotonic()

    def failed(self) -> str:
        """Record a failure, and return its id, for the log and for the client."""
        self.error_id = self.id
        return self.id

    def start(self) -> None:
        """Call `on_start`."""
        if self._hooks:
            self._notify([each.on_start for each in self._hooks])

    def first_event(self) -> None:
        """Call `on_first_event`."""
        self._first_event_seconds = time.monotonic() - self._began
        if self._hooks:
            self._notify([each.on_first_event for each in self._hooks])

    def error_event(self, error: Error) -> None:
        """Record the `error` event that ends the reply."""
        self._error = error

    def end(self, failure: BaseException | None = None) -> None:
        """Call `on_end`.

        Args:
            failure: the exception raised to the server; None for a disconnect.
        """
        self._outcome = self._outcome_after(failure)
        if self._hooks:
            self._notify([each.on_end for each in self._hooks])

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if isinstance(failure, ClientDisconnected):
            logger.debug("the client disconnected before its response: %s", failure)
            self.end()
            return True
        self.end(failure)
        return False

    def _outcome_after(self, failure: BaseException | None) -> Outcome:
        if self.complete and self.status != 200:
            return Outcome.REFUSED
        if self.complete:
            return Outcome.COMPLETE if self._error is None else Outcome.ERROR_EVENT
        if failure is None:
            return Outcome.DISCONNECTED
        return Outcome.FAILED if isinstance(failure, Exception) else Outcome.CANCELLED

    def _notify(self, hooks: Sequence[Hook | None]) -> None:
        """Call the hooks that are given, all with the same observation."""
        observation: Observation | None = None
        for hook in hooks:
            if hook is not None:
                observation = observation or self._observation()
                call_hook(hook, "request", self.id, observation)

    def _observation(self) -> Observation:
        """The request as it is now."""
        return Observation(
            id=self.id,
            http_request=self._head,
            bot=self._bot,
            bot_name=self._bot_name,
            type=self.type,
            status=self.status,
            events=self.events,
            bytes=self.bytes,
            seconds=time.monotonic() - self._began,
            first_event_seconds=self._first_event_seconds,
            error_id=self.error_id,
            complete=self.complete,
            outcome=self._outcome,
            error_type=None if self._error is None else self._error.error_type,
        )


def call_hook(hook: Callable[..., object], what: str, id: str, *arguments: Any) -> None:
    """Call a hook. Its failure is logged, as is a coroutine function, which would have to be awaited.

    Args:
        hook: the function.
        what: what it observes, a "request" or a "call", for the log.
        id: the id of that.
        arguments: its arguments.
    """
    try:
        result = hook(*arguments)
    except Exception:
        logger.exception("a hook failed (%s %s)", what, id)
    else:
        if result is not None and inspect.iscoroutine(result):
            result.close()
            message = "%s: the hook %s is a coroutine function, and was not run; define it with `def`"
            logger.error(message, place_of(hook), name_of(hook))
