"""Calls of several steps, written once for every way to do I/O: retries, uploads, what a bot charges.

A flow is a generator. It yields what it wants done, an `Effect`, and is sent the outcome; a failure of the transport
is thrown into it. It has no clock and no socket, so that an asynchronous client, a blocking one and a list of canned
answers drive it alike:

    SendRequest(request)  send it           -> the ResponseHead, or throws a TransportError
    ReceiveData()         read what comes   -> bytes, or None at the end; or throws a TransportError
    CloseResponse()       leave the rest    -> None
    ReplyStarted()        take note         -> None
    Wait(seconds)         sleep             -> None, or throws DeadlineExceeded where the call's time does not allow it
    Deliver(events)       hand them on      -> None
    RunTools(calls)       run them at once  -> a ToolResult for each, in their order

When a flow returns or raises, whatever is left of a response is the driver's to close or to drain.

https://creator.poe.com/docs/server-bots/server-bots-functional-guides
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from typing import Any, TypeVar

import attrs

from poeproto.errors import (
    BotError,
    ConnectFailed,
    DeadlineExceeded,
    IncompleteReply,
    LimitExceeded,
    PoeprotoError,
    RemoteProtocolError,
    RequestRefused,
    TransportError,
)
from poeproto.exchange.refusals import refusal, refusal_body_size
from poeproto.flows.costs import CostExchange
from poeproto.flows.uploads import UploadedFile, read_upload
from poeproto.limits import Limits
from poeproto.vocabulary.events import Event
from poeproto.vocabulary.http import HttpRequest, HttpResponse, ResponseHead, StreamedBody
from poeproto.vocabulary.tools import ToolCall
from poeproto.vocabulary.validation import check_types

R = TypeVar("R")

# Nothing can have been done, so that a second try cannot cost twice (RFC 9110, 15.5.21 and 15.6.4; RFC 6585, 4).
_SAFE_TO_RETRY = frozenset({429, 503})


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
    """Wait so many seconds; or throw `DeadlineExceeded` at once, where no time would be left after that."""

    seconds: float


def _iterator_of_events(effect: Deliver) -> Iterator[Event]:
    return iter(effect.events)


@attrs.frozen
class Deliver:
    """Hand these events to the caller, in their order: all that one part of a response brought.

    Iterating takes from them, whoever iterates, and an event that was taken counts as delivered, in the flow's fold
    for one; when the flow goes on, all of them do.
    """

    events: list[Event]
    _left: Iterator[Event] = attrs.field(
        default=attrs.Factory(_iterator_of_events, takes_self=True), init=False, repr=False, eq=False
    )

    def __iter__(self) -> Iterator[Event]:
        return self._left


@attrs.frozen
class RunTools:
    """Run these tools, all at once if possible. The outcome is a `ToolResult` for each, in their order."""

    calls: list[ToolCall]


Effect = SendRequest | ReceiveData | CloseResponse | ReplyStarted | Wait | Deliver | RunTools
Flow = Generator[Effect, Any, R]


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """When a call is made again. A call costs money, so by default only where nothing can have been done.

    That is: no connection came about, or the status was 429 or 503. A deadline that passed while connecting is not
    among them, since the caller has waited as long as it wanted to.

    Attributes:
        attempts: how often the call is made at most, the first time included.
        delay: seconds between two attempts, where the peer asks for no other time.
        longest_wait: seconds; where ``Retry-After`` asks for more, or for a time that cannot be told, the refusal is
            raised instead.
        failures: try again after lost connections, deadlines, cut replies and other statuses of 500 and above, too.
        error_events: try again after an `error` event with `allow_retry`, too.
        restart: try again even after output of the call was delivered. A `ReplaceResponse` then goes back to the text
            before that call; after a `File`, `Data`, `Json` or `SuggestedReply` of it, which cannot be taken back,
            there is no other try all the same.

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
                return error.status in _SAFE_TO_RETRY or (self.failures and error.status >= 500)
            case TransportError() | IncompleteReply():
                return self.failures
            case BotError():
                return self.error_events and error.event.allow_retry
            case _:
                return False


class Attempts:
    """The attempts at one call: the steps of a flow that all of its requests and responses go through.

    Args:
        retry: when the call is made again; None for the default.
    """

    def __init__(self, retry: RetryPolicy | None) -> None:
        self._retry = retry or RetryPolicy()
        self._number = 1
        self._response_open = False

    def send(self, request: HttpRequest) -> Flow[ResponseHead]:
        """Send a request, and return the head of the response."""
        head: ResponseHead = yield SendRequest(request)
        self._response_open = True
        return head

    def receive_data(self) -> Flow[bytes | None]:
        """Return the next part of the response's body, or None at its end."""
        data: bytes | None = yield ReceiveData()
        self._response_open = data is not None
        return data

    def receive_start(self, size: int) -> Flow[bytes]:
        """Return the first bytes of a refusal's body, as far as they come.

        That it is a refusal, and when to call again, stands in the head: a failure here takes nothing from that.
        """
        body = bytearray()
        try:
            while len(body) < size:
                data = yield from self.receive_data()
                if data is None:
                    break
                body += data
        except (TransportError, RemoteProtocolError):
            pass
        return bytes(body[:size])

    def prepare_next(self, failure: PoeprotoError) -> Flow[bool]:
        """Wait for the next attempt, and return whether there is one after this failure."""
        wait = self._retry.wait_before_retry(failure, self._number)
        if wait is None:
            return False
        if self._response_open:
            self._response_open = False
            yield CloseResponse()
        try:
            yield Wait(wait)
        except DeadlineExceeded:
            return False  # the failure says more than that there is no time for another try
        self._number += 1
        return True


def call_flow(
    request: HttpRequest, *, limits: Limits | None = None, retry: RetryPolicy | None = None
) -> Flow[HttpResponse]:
    """Make a call whose answer is read whole, and return that answer.

    A refusal is returned too, with as much of its body as an error quotes, and what a key needs to be told in it.

    A request whose file cannot be read again (`StreamedBody.repeatable`) is tried again only when no connection came
    about.

    Raises:
        TransportError: when the last attempt failed.
        LimitExceeded: when the answer is larger than `Limits.answer_size`.
    """
    limits, attempts = limits or Limits(), Attempts(retry)
    read_once = isinstance(request.body, StreamedBody) and not request.body.repeatable
    while True:
        response: HttpResponse | None = None
        failure: PoeprotoError
        try:
            head = yield from attempts.send(request)
            if head.status == 200:
                body = yield from _receive_whole(attempts, limits)
                return HttpResponse(head.status, head.headers, body)
            body = yield from attempts.receive_start(limits.refusal_body + _longest_secret(request))
            response = HttpResponse(head.status, head.headers, body)
            failure = refusal(RequestRefused, "", response, b"", b"", limits)
        except TransportError as exc:
            failure = exc
        may_repeat = isinstance(failure, ConnectFailed) or not read_once
        if not (may_repeat and (yield from attempts.prepare_next(failure))):
            if response is None:
                raise failure
            return response


def _receive_whole(attempts: Attempts, limits: Limits) -> Flow[bytes]:
    body = bytearray()
    while True:
        data = yield from attempts.receive_data()
        if data is None:
            return bytes(body)
        body += data
        if len(body) > limits.answer_size:
            raise LimitExceeded(f"the answer is larger than {limits.answer_size} bytes", limit="answer_size")


def _longest_secret(request: HttpRequest) -> int:
    """A length that no key in this request exceeds: it stands in a header or in the URL."""
    return max(map(len, [request.url, *(value for _, value in request.headers)]))


def upload_flow(
    request: HttpRequest,
    *,
    name: str,
    access_key: str,
    inline_ref: str | None = None,
    limits: Limits | None = None,
    retry: RetryPolicy | None = None,
) -> Flow[UploadedFile]:
    """Upload a file, deliver the `File` event that puts it into a reply, and return what Poe keeps.

    Args:
        request: of `upload_request` or `upload_by_url_request`.
        name: the file's name.
        access_key: the key, to be hidden where the answer repeats it.
        inline_ref: a label for references from the text; see `inline_reference`.
        limits: the bounds of the answer.
        retry: as in `call_flow`. An upload costs nothing, so more than the default can be tried again.

    Raises:
        UploadRefused: for another status than 200, and for an answer that was compressed.
        RemoteProtocolError: for an answer that is not what Poe's are.
        TransportError, LimitExceeded: as in `call_flow`.
    """
    response = yield from call_flow(request, limits=limits, retry=retry)
    uploaded = read_upload(response, name=name, access_key=access_key, limits=limits)
    yield Deliver([uploaded.event(inline_ref)])
    return uploaded


def cost_flow(
    request: HttpRequest, *, access_key: str, limits: Limits | None = None, retry: RetryPolicy | None = None
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
    limits, attempts = limits or Limits(), Attempts(retry)
    while True:
        exchange = CostExchange(access_key, limits)
        try:
            exchange.receive_head((yield from attempts.send(request)))
            if exchange.refused:
                exchange.receive_data(
                    (yield from attempts.receive_start(refusal_body_size(limits, access_key.encode())))
                )
                exchange.receive_eof()
            while not exchange.succeeded:
                data = yield from attempts.receive_data()
                if data is None:
                    exchange.receive_eof()
                else:
                    exchange.receive_data(data)
            return
        except PoeprotoError as exc:
            if not (yield from attempts.prepare_next(exc)):
                raise
