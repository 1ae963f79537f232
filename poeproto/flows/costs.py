"""Charging a user: a cost is authorised before the work and captured after it.

https://creator.poe.com/docs/resources/creator-monetization
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from poeproto.auth import access_key_set
from poeproto.exchange.echo_redaction import redact_body
from poeproto.exchange.refusals import (
    refusal,
    refusal_body_size,
    refusal_reason,
)
from poeproto.limits import Limits
from poeproto.vocabulary.costs import CostItem
from poeproto.vocabulary.endpoints import POE, Endpoints
from poeproto.vocabulary.errors import (
    IncompleteReply,
    InsufficientFunds,
    InvalidValue,
    LocalProtocolError,
    PoeprotoError,
    RemoteProtocolError,
    RequestRefused,
)
from poeproto.vocabulary.headers import ACCEPT_IDENTITY
from poeproto.vocabulary.http import ResponseHead
from poeproto.vocabulary.http_request import HttpRequest
from poeproto.wire.json import dumps, loads
from poeproto.wire.sse import SSEDecoder

__all__ = ["CostExchange", "authorize_cost_request", "capture_cost_request"]


def authorize_cost_request(
    items: CostItem | Iterable[CostItem], *, bot_query_id: str, access_key: str, endpoints: Endpoints = POE
) -> HttpRequest:
    """The request that asks whether the user can pay a cost. Its body contains the key.

    Args:
        items: the items of the cost.
        bot_query_id: the `QueryRequest.bot_query_id` of the query; Poe sends one with each query of a user.
        access_key: the bot's access key.
        endpoints: where Poe is.

    Raises:
        InvalidValue: for no item.
        TypeError: for an item that is not a `CostItem`.
        ValueError: for an invalid key or identifier.
    """
    return _request("authorize", items, bot_query_id, access_key, endpoints)


def capture_cost_request(
    items: CostItem | Iterable[CostItem], *, bot_query_id: str, access_key: str, endpoints: Endpoints = POE
) -> HttpRequest:
    """The request that charges a cost. Arguments and errors as in `authorize_cost_request`."""
    return _request("capture", items, bot_query_id, access_key, endpoints)


def _request(
    call: str, items: CostItem | Iterable[CostItem], bot_query_id: str, access_key: str, endpoints: Endpoints
) -> HttpRequest:
    listed = [items] if isinstance(items, CostItem) else list(items)
    if not listed:
        raise InvalidValue("no items to charge; pass at least one CostItem", path="amounts")
    for number, item in enumerate(listed):
        if not isinstance(item, CostItem):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"amounts[{number}] must be CostItem, got a value of type {type(item).__name__}")
    access_key_set(access_key)
    amounts = [attrs.asdict(item, filter=lambda _, value: value is not None) for item in listed]
    headers = [("content-type", "application/json"), ("accept", "text/event-stream"), ACCEPT_IDENTITY]
    body = dumps({"amounts": amounts, "access_key": access_key})
    return HttpRequest("POST", endpoints.cost(call, bot_query_id), headers, body)


class CostExchange:
    """Reads the response to a cost request, without any I/O.

    Args:
        access_key: the key, to be hidden in errors.
        limits: the limits of the response.

    Attributes:
        succeeded: whether Poe granted the cost. The rest of the response is ignored.
        error: the error, once there is one; every later receiving call raises it.
    """

    def __init__(self, access_key: str, limits: Limits | None = None) -> None:
        self.succeeded: bool = False
        self.error: PoeprotoError | None = None
        self._key = access_key.encode()
        self._limits = limits or Limits()
        self._head: ResponseHead | None = None
        self._refusal_reason = ""
        self._body = bytearray()
        self._decoder = SSEDecoder(max_event_size=self._limits.event_size)

    def receive_head(self, head: ResponseHead) -> None:
        """Receive the head of the response. An error status is remembered, and raised when its body has been read.

        Raises:
            LocalProtocolError: for a second head.
        """
        if self._head is not None:
            raise LocalProtocolError("the response has already begun")
        self._head = head
        self._refusal_reason = refusal_reason(head, "Poe", "a cost", "text/event-stream")

    @property
    def refused(self) -> bool:
        """Whether the response is an error response; then the start of its body is read for the error."""
        return bool(self._refusal_reason)

    def receive_data(self, data: bytes) -> None:
        """Receive the next part of the body.

        Raises:
            RequestRefused: for another HTTP status or content type, once the start of the body has been read.
            InsufficientFunds: if Poe's result is another than "success".
            RemoteProtocolError: for a result of another form than the protocol's.
            LimitExceeded: for an event larger than `Limits.event_size`.
            LocalProtocolError: before the head.
        """
        head = self._response_under_way()
        if self._refusal_reason:
            size = refusal_body_size(self._limits, self._key)
            self._body += data[: size - len(self._body)]
            if len(self._body) >= size:
                raise self._refused_by(head)
            return
        if self.succeeded:
            return
        for record in self._decoder.receive_data(data):
            if record.event == "result":
                try:
                    self._take_result(record.data)
                except PoeprotoError as exc:
                    self.error = exc
                    raise
                return
        if self._decoder.error is not None:
            self.error = self._decoder.error
            raise self.error

    def receive_eof(self) -> None:
        """Receive the end of the body. Poe granted the cost if this returns.

        Raises:
            IncompleteReply: if there was no result. It is unknown then whether Poe granted the cost.
            RequestRefused: for another HTTP status or content type.
            LocalProtocolError: before the head.
        """
        head = self._response_under_way()
        if self._refusal_reason:
            raise self._refused_by(head)
        if not self.succeeded:
            self.error = IncompleteReply("the stream ended without a result")
            raise self.error

    def _response_under_way(self) -> ResponseHead:
        if self.error is not None:
            raise self.error
        if self._head is None:
            raise LocalProtocolError("no response has begun; pass its head to receive_head first")
        return self._head

    def _refused_by(self, head: ResponseHead) -> PoeprotoError:
        body = bytes(self._body)
        self.error = refusal(RequestRefused, self._refusal_reason, head, body, self._key, self._limits)
        return self.error

    def _take_result(self, data: str) -> None:
        status = loads(data).get("status")
        if not isinstance(status, str):
            raise RemoteProtocolError("missing, or not a string", path="status")
        if status != "success":
            # Poe may repeat the key here, as in the body of an error response.
            shown = redact_body(status.encode(errors="replace"), self._key, self._limits, is_whole=True)
            status = shown.decode(errors="replace")
            raise InsufficientFunds(f"the cost was not granted: {status}", status=status)
        self.succeeded = True
