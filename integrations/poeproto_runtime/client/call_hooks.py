"""Hooks of calls: functions that are called when a call starts, at its events, and when it has ended.

They observe calls as `poeproto_runtime.hooks` observes requests: with the same names and rules. A call here is one call
of a client's method, or of a method of a bot's context: with its retries, and with its rounds of tools.
"""

from __future__ import annotations

import secrets
import time
from array import array
from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self, TypedDict, TypeVar

import attrs

from poeproto import (
    BotError,
    ConnectFailed,
    DeadlineExceeded,
    Event,
    IncompleteReply,
    InsufficientFunds,
    LocalProtocolError,
    RemoteProtocolError,
    ReplyFold,
    RequestRefused,
    TransportError,
)
from poeproto.http import without_key
from poeproto_runtime.client.deferred_hooks import (
    CallSoon,
    call_deferred,
    defer,
    is_collecting,
    running_loop,
    watch_collections,
)
from poeproto_runtime.client.urls import split_url
from poeproto_runtime.hooks import Outcome, call_hook

__all__ = ["CallHook", "CallHooks", "CallObservation", "EventHook"]

T = TypeVar("T")

# The first class that fits decides. Any other exception is a failure of this side.
_OUTCOMES: Sequence[tuple[type[Exception], Outcome]] = (
    (IncompleteReply, Outcome.INCOMPLETE),
    (RequestRefused, Outcome.REFUSED),
    (InsufficientFunds, Outcome.REFUSED),
    (ConnectFailed, Outcome.CONNECT_FAILED),
    (DeadlineExceeded, Outcome.TIMEOUT),
    (TransportError, Outcome.DISCONNECTED),
    (RemoteProtocolError, Outcome.INVALID),
)


@attrs.frozen(kw_only=True)
class CallObservation:
    """One call, and its progress at the time of the hook.

    Attributes:
        id: unique to this call, 16 hexadecimal digits.
        operation: the method that makes the call, as in "query", "run_tools", "settings", "report_reaction",
            "sync_settings", "upload", "upload_by_url", "authorize_cost", "capture_cost" or "fetch_attachment".
        bot_name: the name on Poe of the bot that is called, or whose settings are synced; None for a bot that is
            called by its URL, and for a call that has no bot.
        url: what is called, without a query or a key. Of a file that is fetched, only the scheme and the host.
        attempts: how many requests were begun: the first, its retries, and those of later rounds of tools.
        status: of the last of their responses; None before its head has been received.
        events: how many of a reply were received, without `error` and `done`.
        bytes: how many of the responses' bodies were received.
        seconds: since the call started: since its reply was entered or first read, if it has one.
        first_event_seconds: the same for the first event of a reply; None if none was received.
        outcome: how the call has ended; None before its end.
        chunk_seconds: the time of each read that has delivered events of a reply, as `seconds`; empty unless one of the
            hooks has `time_chunks`. It grows with the reply, and is not to be changed.
        error_type: the type of the `error` event that ended the reply, if that has one.
        exception_type: the class of the exception that ended the call, as in "RequestRefused"; None if none did. A
            reply that ends with an `error` event raises nothing; only its text does.
    """

    id: str
    operation: str
    bot_name: str | None
    url: str
    attempts: int
    status: int | None
    events: int
    bytes: int
    seconds: float
    first_event_seconds: float | None
    chunk_seconds: Sequence[float]
    outcome: Outcome | None
    error_type: str | None
    exception_type: str | None


CallHook = Callable[[CallObservation], object]
"""A function that is called with the observation of an outbound call."""
EventHook = Callable[[CallObservation, Event], object]
"""A function that is called with the observation of an outbound call and an event of its reply."""


@attrs.frozen(kw_only=True)
class CallHooks:
    """The functions to call for each call. They run in the task or thread of the call, so they must not block.

    None runs during a garbage collection, which may end a call that was dropped, and may begin while its thread holds
    any lock. Hooks that are due are called soon by the event loop of the call. Without one it is called when the next
    call starts, a `BlockingClient` is closed or the program exits, perhaps in another thread.

    Attributes:
        on_start: called when a call starts, before anything is sent. A reply that is never entered or read does not
            start, and a call whose arguments are unusable raises before that.
        on_first_event: called when the first event of a reply has been received. Not called for a reply that consists
            of an `error`.
        on_event: called with each event of a reply as it is received, `error` and `done` included. The only hook that
            costs time for each event.
        on_end: called once when a call that has started has ended, however it ended: before its response is closed.
        time_chunks: whether to note when each read has delivered events, in `CallObservation.chunk_seconds`.
    """

    on_start: CallHook | None = None
    on_first_event: CallHook | None = None
    on_event: EventHook | None = None
    on_end: CallHook | None = None
    time_chunks: bool = False


class CallHookOptions(TypedDict, total=False):
    """`CallHooks` as keyword arguments of a call."""

    on_start: CallHook | None
    on_first_event: CallHook | None
    on_event: EventHook | None
    on_end: CallHook | None


def checked_hooks(hooks: CallHooks | None) -> tuple[CallHooks, ...]:
    """The hooks of all calls of a client or a server; none if no function is set.

    Raises:
        TypeError: for another class, such as the `Hooks` of requests.
    """
    if hooks is None or hooks == CallHooks():
        return ()
    if not isinstance(hooks, CallHooks):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"hooks of calls are given as CallHooks(on_end=...), not as {type(hooks).__name__}")
    return (hooks,)


def hooks_in(options: CallHookOptions) -> tuple[CallHooks, ...]:
    """The hooks among the keyword arguments of a call.

    Raises:
        TypeError: for another name.
    """
    known = CallHookOptions.__annotations__
    for name in options:
        if name not in known:
            raise TypeError(f"unexpected keyword argument {name!r}; the hooks of a call are {', '.join(known)}")
    return (CallHooks(**options),) if any(options.values()) else ()


class CallProgress:
    """The progress of one call. The flow runner keeps it up to date.

    It is a context manager for calls that are one coroutine: entered when the call starts, left when it has ended.

    Args:
        hooks: whose functions are called, in this order.
        operation: as of `CallObservation`, like the others.
        url: may contain secrets.
        bot_name: the name of the bot.

    Attributes:
        notifies_events: whether a hook is due for the next event: for the first one, and for each with `on_event`.
        chunks: when each read has delivered events, in seconds since the start; None where no hook asks for that.
    """

    __slots__ = (
        "_began",
        "_bot_name",
        "_call_soon",
        "_error_type",
        "_exception_type",
        "_first_event_seconds",
        "_hooks",
        "_id",
        "_operation",
        "_outcome",
        "_url",
        "attempts",
        "bytes",
        "chunks",
        "events",
        "notifies_events",
        "status",
    )

    def __init__(self, hooks: Sequence[CallHooks], operation: str, url: str, bot_name: str | None = None) -> None:
        self.attempts = 0
        self.status: int | None = None
        self.events = 0
        self.bytes = 0
        self.notifies_events = True
        self.chunks: array[float] | None = array("d") if any(each.time_chunks for each in hooks) else None
        self._id = secrets.token_hex(8)
        self._operation = operation
        # The URL of a file is a user's, and may hold a key anywhere.
        self._url = _without_secrets(url, origin_only=operation == "fetch_attachment")
        self._bot_name = bot_name
        self._hooks = hooks
        self._call_soon: CallSoon | None = None
        self._began: float | None = None
        self._first_event_seconds: float | None = None
        self._outcome: Outcome | None = None
        self._error_type: str | None = None
        self._exception_type: str | None = None

    def start(self) -> None:
        """Call `on_start`, unless the call has started before."""
        if self._began is None:
            if self._hooks:
                watch_collections()
                call_deferred()
                self._call_soon = running_loop()
            self._began = time.monotonic()
            self._notify([each.on_start for each in self._hooks])

    def start_with(self, function: Callable[[], T]) -> T:
        """Call `on_start`, and then the function, which is the call's first step."""
        self.start()
        return function()

    def begin_request(self) -> None:
        """Count a request."""
        self.attempts += 1
        self.status = None

    def counting(self, send: Callable[[Any], T]) -> Callable[[Any], T]:
        """A function that sends an outcome into the flow, and counts its bytes if it is data."""

        # A closure, because it is called for each read, and a method takes twice the time.
        def count_and_send(outcome: Any) -> T:
            if outcome.__class__ is bytes:
                self.bytes += len(outcome)
            return send(outcome)

        return count_and_send

    def note_chunk(self) -> None:
        """Note that a read has delivered events now."""
        assert self.chunks is not None, "a hook has asked for it"
        self.chunks.append(self._seconds())

    def notify_events(self, events: list[Event]) -> None:
        """Call the hooks for events that were received and counted. To be called while `notifies_events` is set."""
        if self._first_event_seconds is None and self.events:
            self._first_event_seconds = self._seconds()
            self.notifies_events = any(each.on_event is not None for each in self._hooks)
            self._notify([each.on_first_event for each in self._hooks])
        for event in events:
            self._notify([each.on_event for each in self._hooks], event)

    def end(self, failure: BaseException | None, result: object = None) -> None:
        """Call `on_end`, if the call has started and has not ended before.

        Args:
            failure: the exception that ended the call, if one did. A BaseException that is not an `Exception` is a
                cancellation.
            result: the result of the call otherwise.
        """
        if self._began is None or self._outcome is not None:
            return
        self._outcome = Outcome.COMPLETE
        if failure is not None:
            self._outcome = _outcome_of(failure)
            # The exception that closes or cancels a call has a different class on each event loop.
            self._exception_type = None if self._outcome is Outcome.CANCELLED else type(failure).__name__
            self._error_type = failure.event.error_type if isinstance(failure, BotError) else None
        elif isinstance(result, ReplyFold) and result.error is not None:
            self._outcome = Outcome.ERROR_EVENT
            self._error_type = result.error.error_type
        self._notify([each.on_end for each in self._hooks])

    def observation(self) -> CallObservation:
        """The call as it is now."""
        return CallObservation(
            id=self._id,
            operation=self._operation,
            bot_name=self._bot_name,
            url=self._url,
            attempts=self.attempts,
            status=self.status,
            events=self.events,
            bytes=self.bytes,
            seconds=self._seconds(),
            first_event_seconds=self._first_event_seconds,
            chunk_seconds=() if self.chunks is None else self.chunks,
            outcome=self._outcome,
            error_type=self._error_type,
            exception_type=self._exception_type,
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end(failure)

    def _seconds(self) -> float:
        return 0.0 if self._began is None else time.monotonic() - self._began

    def _notify(self, hooks: Sequence[Callable[..., object] | None], *arguments: object) -> None:
        """Call the hooks that are given, all with the same observation."""
        observation: CallObservation | None = None
        for hook in hooks:
            if hook is not None:
                observation = observation or self.observation()
                if is_collecting():
                    defer(partial(call_hook, hook, "call", self._id, observation, *arguments), self._call_soon)
                else:
                    call_hook(hook, "call", self._id, observation, *arguments)


def _outcome_of(failure: BaseException) -> Outcome:
    if not isinstance(failure, Exception):
        return Outcome.CANCELLED
    return next((outcome for cls, outcome in _OUTCOMES if isinstance(failure, cls)), Outcome.FAILED)


def _without_secrets(url: str, *, origin_only: bool) -> str:
    try:
        origin, target = split_url(url)
    except LocalProtocolError:
        return "…"  # the call itself raises the error
    if origin_only:
        return f"{origin}/…"
    return f"{origin}{without_key(target.partition('?')[0])}"
