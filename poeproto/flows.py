"""Calls of several steps, written once for every way to do I/O: retries, uploads, what a bot charges.

A flow is a generator. It yields what it wants done, an `Effect`, and is sent the outcome; a failure of the transport
is thrown into it. It has no clock and no socket, so that an asynchronous client, a blocking one and a list of canned
answers drive it alike:

    SendRequest(request)  send it           -> the ResponseHead, or throws a TransportError
    ReceiveData()         read what comes   -> bytes, or None at the end; or throws a TransportError
    CloseResponse()       leave the rest    -> None
    ReplyStarted()        take note         -> None
    Wait(seconds)         sleep             -> None
    Deliver(event)        hand it on        -> None
    RunTools(calls)       run them at once  -> a ToolResult for each, in their order

When a flow returns or raises, whatever is left of a response is the driver's to close or to drain.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import Any, TypeVar

import attrs

from poeproto._typecheck import check_types
from poeproto.costs import CostExchange
from poeproto.errors import (
    BotError,
    ConnectFailed,
    IncompleteReply,
    LimitExceeded,
    PoeprotoError,
    RequestRefused,
    TransportError,
)
from poeproto.events import Event
from poeproto.http import HttpRequest, HttpResponse, ResponseHead, StreamedBody
from poeproto.limits import Limits
from poeproto.refusals import refusal
from poeproto.tools import ToolCall
from poeproto.uploads import UploadedFile, read_upload

R = TypeVar("R")

# Nothing can have been done, so that a second try cannot cost twice (RFC 9110, 15.5.21 and 15.6.4; RFC 6585, 4).
_NOTHING_WAS_DONE = frozenset({429, 503})


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
class ReplyStarted:
    """The response under way is a reply: a stream that was not refused. Until its first event nothing else is known."""


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


Effect = SendRequest | ReceiveData | CloseResponse | ReplyStarted | Wait | Deliver | RunTools
Flow = Generator[Effect, Any, R]


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """When a call is made again. A call costs money, so by default only where nothing can have been done.

    That is: no connection came about, or the status was 429 or 503.

    Attributes:
        attempts: how often the call is made at most, the first time included.
        delay: seconds between two attempts, where the peer asks for no other time.
        longest_wait: seconds; where ``Retry-After`` asks for more, or for a time that cannot be told, the refusal is
            raised instead.
        failures: try again after lost connections, deadlines, cut replies and other statuses of 500 and above, too.
        error_events: try again after an `error` event with `allow_retry`, too.
        restart: try again even after output was delivered. A `ReplaceResponse` then clears it first; after a `File`,
            `Data`, `Json` or `SuggestedReply`, which cannot be taken back, there is no other try all the same.

    Raises:
        TypeError: for a field of another type.
        ValueError: for no attempt at all, and for a time below zero.
    """

    attempts: int = 2
    delay: float = 0.5
    longest_wait: float = 60.0
    failures: bool = False
    error_events: bool = False
    restart: bool = False

    def __attrs_post_init__(self) -> None:
        check_types(self)
        if self.attempts < 1:
            raise ValueError(f"RetryPolicy.attempts must be at least 1, got {self.attempts!r}")
        if not 0 <= self.delay < math.inf:
            raise ValueError(f"RetryPolicy.delay must be a time of at least 0 seconds, got {self.delay!r}")
        if not self.longest_wait >= 0:  # infinity is for those who wait as long as they are asked to
            raise ValueError(f"RetryPolicy.longest_wait must be at least 0, got {self.longest_wait!r}")

    def wait_before_retry(self, error: PoeprotoError, attempt: int) -> float | None:
        """Seconds to wait after that failure of the attempt of that number, counted from 1; None to give up."""
        if attempt >= self.attempts or not self._covers(error):
            return None
        if not isinstance(error, RequestRefused) or error.retry_after is None:
            return self.delay
        asked = error.retry_after_seconds
        return asked if asked is not None and asked <= self.longest_wait else None

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


def send(request: HttpRequest) -> Flow[ResponseHead]:
    """A step of a flow: send a request, and return the head of the response."""
    head: ResponseHead = yield SendRequest(request)
    return head


def receive_data() -> Flow[bytes | None]:
    """A step of a flow: return the next part of the response's body, or None at its end."""
    data: bytes | None = yield ReceiveData()
    return data


def call_flow(
    request: HttpRequest, *, limits: Limits | None = None, retry: RetryPolicy | None = None
) -> Flow[HttpResponse]:
    """Make a call whose answer is read whole, and return that answer, a refusal included.

    A request whose file cannot be read again (`StreamedBody.repeatable`) is tried again only when no connection came
    about.

    Raises:
        TransportError: when the last attempt failed.
        LimitExceeded: when the answer is larger than `Limits.answer_size`.
    """
    limits, retry = limits or Limits(), retry or RetryPolicy()
    read_once = isinstance(request.body, StreamedBody) and not request.body.repeatable
    attempt = 1
    while True:
        response: HttpResponse | None = None
        failure: PoeprotoError
        try:
            response = yield from _receive_whole(request, limits)
            if response.status == 200:
                return response
            failure = refusal(RequestRefused, "", response, b"", b"", limits)
        except TransportError as exc:
            failure = exc
        again = isinstance(failure, ConnectFailed) or not read_once
        wait = retry.wait_before_retry(failure, attempt) if again else None
        if wait is None:
            if response is None:
                raise failure
            return response
        yield Wait(wait)
        attempt += 1


def _receive_whole(request: HttpRequest, limits: Limits) -> Flow[HttpResponse]:
    head = yield from send(request)
    body = bytearray()
    while True:
        data = yield from receive_data()
        if data is None:
            return HttpResponse(head.status, head.headers, bytes(body))
        body += data
        if len(body) > limits.answer_size:
            raise LimitExceeded(f"the answer is larger than {limits.answer_size} bytes", limit="answer_size")


def upload_flow(
    request: HttpRequest,
    *,
    name: str,
    inline_ref: str | None = None,
    access_key: str = "",
    limits: Limits | None = None,
    retry: RetryPolicy | None = None,
) -> Flow[UploadedFile]:
    """Upload a file, deliver the `File` event that puts it into a reply, and return what Poe keeps.

    Args:
        request: of `upload_request` or `upload_by_url_request`.
        name: the file's name.
        inline_ref: a label for references from the text; see `inline_reference`.
        access_key: the key, to be hidden where the answer repeats it.
        limits: the bounds of the answer.
        retry: as in `call_flow`. An upload costs nothing, so more than the default can be tried again.

    Raises:
        UploadRefused: for another status than 200.
        RemoteProtocolError: for an answer that is not what Poe's are.
        TransportError, LimitExceeded: as in `call_flow`.
    """
    response = yield from call_flow(request, limits=limits, retry=retry)
    uploaded = read_upload(response, name=name, access_key=access_key, limits=limits)
    yield Deliver(uploaded.event(inline_ref))
    return uploaded


def cost_flow(
    request: HttpRequest, *, access_key: str = "", limits: Limits | None = None, retry: RetryPolicy | None = None
) -> Flow[None]:
    """Authorise or capture a cost; it was granted if this returns.

    Args:
        request: of `authorize_cost_request` or `capture_cost_request`.
        access_key: the key, to be hidden where the answer repeats it.
        limits: the bounds of the answer.
        retry: by default only where nothing can have been charged.

    Raises:
        InsufficientFunds: when Poe did not grant it.
        IncompleteReply, TransportError: when it is unknown whether Poe did.
        RequestRefused, RemoteProtocolError: as in `CostExchange`.
    """
    retry = retry or RetryPolicy()
    attempt = 1
    while True:
        exchange = CostExchange(access_key, limits)
        try:
            exchange.receive_head((yield from send(request)))
            while not exchange.succeeded:
                data = yield from receive_data()
                if data is None:
                    exchange.receive_eof()
                else:
                    exchange.receive_data(data)
            return
        except PoeprotoError as exc:
            wait = retry.wait_before_retry(exc, attempt)
            if wait is None:
                raise
        yield Wait(wait)
        attempt += 1
