"""Flows and their effects, and the flows of calls whose response is read whole: uploads and costs, with retries.

A flow is a generator without I/O. It yields an `Effect`, the driver performs it and sends the outcome back; a transport
failure is thrown into the flow. A flow has no clock and no socket, so an asynchronous client, a blocking client and a
test with canned responses drive the same code:

    SendRequest(request)  send the request          -> the ResponseHead, or throws a TransportError
    ReceiveData()         read part of the body     -> bytes, or None at its end; or throws a TransportError
    CloseResponse()       close the connection      -> None
    ReplyStarted()        note it                   -> None
    Wait(seconds)         sleep                     -> None, or throws DeadlineExceeded if the deadline would pass
    Deliver(events)       pass them to the caller   -> None
    RunTools(calls)       run them concurrently     -> a ToolResult for each, in order

When a flow returns or raises, the driver closes or drains the response that is still open.

https://creator.poe.com/docs/server-bots/server-bots-functional-guides
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any, TypeVar

import attrs

from poeproto.exchange.refusals import refusal, refusal_body_size
from poeproto.flows.costs import CostExchange
from poeproto.flows.retry import RetryPolicy
from poeproto.flows.uploads import UploadedFile, read_upload
from poeproto.limits import Limits
from poeproto.vocabulary.errors import (
    ConnectFailed,
    DeadlineExceeded,
    LimitExceeded,
    PoeprotoError,
    RemoteProtocolError,
    RequestRefused,
    TransportError,
)
from poeproto.vocabulary.events import Event
from poeproto.vocabulary.http import HttpResponse, ResponseHead
from poeproto.vocabulary.http_request import HttpRequest
from poeproto.vocabulary.streamed_body import StreamedBody
from poeproto.vocabulary.tools import ToolCall

__all__ = [
    "CloseResponse",
    "Deliver",
    "Effect",
    "Flow",
    "ReceiveData",
    "ReplyStarted",
    "RunTools",
    "SendRequest",
    "Wait",
    "call_flow",
    "cost_flow",
    "upload_flow",
]

R = TypeVar("R")


@attrs.frozen
class SendRequest:
    """Effect: send a request. The outcome is the `ResponseHead`.

    Attributes:
        request: the request, whole but for a `StreamedBody`.
    """

    request: HttpRequest


@attrs.frozen
class ReceiveData:
    """Effect: read the next part of the response body. The outcome is bytes, or None at its end."""


@attrs.frozen
class CloseResponse:
    """Effect: abort the current response. Its connection cannot be reused."""


@attrs.frozen
class ReplyStarted:
    """Effect: the current response is a reply, so a stream begins. No event was received yet."""


@attrs.frozen
class Wait:
    """Effect: sleep. The driver throws `DeadlineExceeded` at once if the call's deadline would pass before the end.

    Attributes:
        seconds: how long.
    """

    seconds: float


def _iterator_of_events(effect: Deliver) -> Iterator[Event]:
    return iter(effect.events)


@attrs.define  # not frozen: each lone event needs one, and a frozen class takes twice as long to make
class Deliver:
    """Effect: deliver events to the caller, in order: all events of one part of a response.

    All iterations share one iterator. An event taken from it counts as delivered, for instance in the flow's fold; when
    the flow is resumed, all of them do.

    Attributes:
        events: the events; at least one.
    """

    events: list[Event]
    _left: Iterator[Event] = attrs.field(
        default=attrs.Factory(_iterator_of_events, takes_self=True), init=False, repr=False, eq=False
    )

    def __iter__(self) -> Iterator[Event]:
        return self._left


@attrs.frozen
class RunTools:
    """Effect: run tool calls, concurrently if possible. The outcome is a `ToolResult` for each, in order.

    Attributes:
        calls: the calls, in the order in which the model made them.
    """

    calls: list[ToolCall]


Effect = SendRequest | ReceiveData | CloseResponse | ReplyStarted | Wait | Deliver | RunTools
"""Any effect that a flow asks its driver for."""
Flow = Generator[Effect, Any, R]
"""A call as a generator: it yields effects, is sent their results, and returns the result of the call."""


RECEIVE_DATA = ReceiveData()  # made once, since each event that arrives alone needs one


class Attempts:
    """The attempts at one call: the steps through which a flow sends requests, reads responses and retries.

    Args:
        retry: when to retry; None for the default.
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
        data: bytes | None = yield RECEIVE_DATA
        if data is None:
            self.response_ended()
        return data

    def response_ended(self) -> None:
        """Note that the response was read to its end, for flows that yield `RECEIVE_DATA` themselves."""
        self._response_open = False

    def receive_start(self, size: int) -> Flow[bytes]:
        """Return the first bytes of an error response, as far as they can be read.

        A failure is ignored: the status and ``Retry-After`` are already known from the head.
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
        """Decide whether to retry after a failure, and wait for the next attempt; return whether there is one."""
        wait = self._retry.wait_before_retry(failure, self._number)
        if wait is None:
            return False
        if self._response_open:
            self._response_open = False
            yield CloseResponse()
        try:
            yield Wait(wait)
        except DeadlineExceeded:
            return False  # the caller raises the failure, which says more than the deadline
        self._number += 1
        return True


def call_flow(
    request: HttpRequest, *, limits: Limits | None = None, retry: RetryPolicy | None = None
) -> Flow[HttpResponse]:
    """Make a call, and return the whole response.

    A response with another status than 200 is returned, too, with the start of its body: as much as an error quotes,
    and enough more to recognise a key at the cut.

    A request whose file cannot be read again (see `StreamedBody.repeatable`) is retried only if no connection was made.

    Raises:
        TransportError: if the last attempt failed.
        LimitExceeded: if the body is larger than `Limits.answer_size`.
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
            raise LimitExceeded(f"the response is larger than {limits.answer_size} bytes", limit="answer_size")


def _longest_secret(request: HttpRequest) -> int:
    """The length of the longest header value or the URL: no key in the request is longer."""
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
    """Upload a file, deliver the `File` event that adds it to a reply, and return the uploaded file.

    Args:
        request: from `upload_request` or `upload_by_url_request`.
        name: the file's name.
        access_key: the key, to be hidden in errors.
        inline_ref: a label for references from the text; see `inline_reference`.
        limits: the limits of the response.
        retry: as in `call_flow`. An upload costs nothing, so more failures than by default can be retried.

    Raises:
        UploadRefused: for another status than 200, and for a compressed response.
        RemoteProtocolError: for a response of another form than Poe's.
        TransportError, LimitExceeded: as in `call_flow`.
    """
    response = yield from call_flow(request, limits=limits, retry=retry)
    uploaded = read_upload(response, name=name, access_key=access_key, limits=limits)
    yield Deliver([uploaded.event(inline_ref)])
    return uploaded


def cost_flow(
    request: HttpRequest, *, access_key: str, limits: Limits | None = None, retry: RetryPolicy | None = None
) -> Flow[None]:
    """Authorise or capture a cost. Poe granted it if this returns.

    Args:
        request: from `authorize_cost_request` or `capture_cost_request`.
        access_key: the key, to be hidden in errors.
        limits: the limits of the response.
        retry: when to retry; by default only where nothing can have been charged.

    Raises:
        InsufficientFunds: if Poe did not grant the cost.
        IncompleteReply, TransportError: if it is unknown whether Poe granted it.
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
