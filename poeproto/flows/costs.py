"""What a bot charges its user: authorised before the work, captured after it.

https://creator.poe.com/docs/resources/creator-monetization
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import attrs

from poeproto.auth import access_key_set
from poeproto.errors import (
    IncompleteReply,
    InsufficientFunds,
    InvalidValue,
    LocalProtocolError,
    PoeprotoError,
    RemoteProtocolError,
    RequestRefused,
)
from poeproto.exchange.redaction import redact_body
from poeproto.exchange.refusals import refusal, refusal_body_size, refusal_reason
from poeproto.limits import Limits
from poeproto.vocabulary.http import ACCEPT_IDENTITY, Endpoints, HttpRequest, ResponseHead
from poeproto.vocabulary.validation import check_types
from poeproto.wire.json import dumps, loads
from poeproto.wire.sse import SSEDecoder

_POE = Endpoints()


def _rounded_up(amount: float) -> int:
    if isinstance(amount, float):
        if not math.isfinite(amount):
            raise InvalidValue(f"{amount} is not finite", path="amount_usd_milli_cents")
        return math.ceil(amount)
    return amount


@attrs.frozen
class CostItem:
    """One item of a cost.

    Attributes:
        amount_usd_milli_cents: thousandths of a US cent, above zero; a float is rounded up.
        description: what it is for.

    Raises:
        TypeError: for an amount that is no number, or a description that is no string.
        InvalidValue: for one that is not finite and above zero.
    """

    amount_usd_milli_cents: int = attrs.field(converter=_rounded_up)
    description: str | None = None

    def __attrs_post_init__(self) -> None:
        check_types(self)
        if self.amount_usd_milli_cents <= 0:
            raise InvalidValue(f"{self.amount_usd_milli_cents} is not above zero", path="amount_usd_milli_cents")


def authorize_cost_request(
    items: CostItem | Iterable[CostItem], *, bot_query_id: str, access_key: str, endpoints: Endpoints = _POE
) -> HttpRequest:
    """The request that asks whether the user can pay this. Its body holds the key.

    Args:
        items: what is to be charged.
        bot_query_id: the `QueryRequest.bot_query_id` it belongs to.
        access_key: the bot's access key.
        endpoints: where Poe is.

    Raises:
        InvalidValue: when there is no item.
        TypeError: for what is no item.
        ValueError: when the key or the identifier cannot be used: Poe sends one with each query of a user.
    """
    return _request("authorize", items, bot_query_id, access_key, endpoints)


def capture_cost_request(
    items: CostItem | Iterable[CostItem], *, bot_query_id: str, access_key: str, endpoints: Endpoints = _POE
) -> HttpRequest:
    """The request that charges this. Arguments and errors as in `authorize_cost_request`."""
    return _request("capture", items, bot_query_id, access_key, endpoints)


def _request(
    call: str, items: CostItem | Iterable[CostItem], bot_query_id: str, access_key: str, endpoints: Endpoints
) -> HttpRequest:
    listed = [items] if isinstance(items, CostItem) else list(items)
    if not listed:
        raise InvalidValue("there is nothing to charge", path="amounts")
    for number, item in enumerate(listed):
        if not isinstance(item, CostItem):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"amounts[{number}] must be CostItem, got a value of type {type(item).__name__}")
    access_key_set(access_key)
    amounts = [attrs.asdict(item, filter=lambda _, value: value is not None) for item in listed]
    headers = [("content-type", "application/json"), ("accept", "text/event-stream"), ACCEPT_IDENTITY]
    body = dumps({"amounts": amounts, "access_key": access_key})
    return HttpRequest("POST", endpoints.cost(call, bot_query_id), headers, body)


class CostExchange:
    """Reads the answer to a request about a cost, without any I/O.

    Args:
        access_key: the key, to be hidden where the answer repeats it.
        limits: the bounds it keeps.

    Attributes:
        succeeded: whether Poe said so. What follows that in the answer is passed over.
        error: what went wrong, once something has; every later receiving call raises it.
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
        """Take the head of the response. A refusal is remembered, and raised when its body has been read.

        Raises:
            LocalProtocolError: for a second head.
        """
        if self._head is not None:
            raise LocalProtocolError("the response has begun already")
        self._head = head
        self._refusal_reason = refusal_reason(head, "Poe", "a cost", "text/event-stream")

    @property
    def refused(self) -> bool:
        """Whether the head was another than a result comes with; the start of the body is read for the error then."""
        return bool(self._refusal_reason)

    def receive_data(self, data: bytes) -> None:
        """Take the next part of the body.

        Raises:
            RequestRefused: for another HTTP status or content type, once the start of the body has been read.
            InsufficientFunds: when Poe answers with another status than "success".
            RemoteProtocolError: for a result that is not what the protocol says.
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
        """Take the end of the body; the cost was granted if this returns.

        Raises:
            IncompleteReply: when there was no result. It is unknown then whether the cost was granted.
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
            raise LocalProtocolError("no response has begun")
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
            # What Poe repeats may hold the key, here as in the body of a refusal.
            shown = redact_body(status.encode(errors="replace"), self._key, self._limits)
            status = shown.decode(errors="replace")
            raise InsufficientFunds(f"the cost was not granted: {status}", status=status)
        self.succeeded = True
