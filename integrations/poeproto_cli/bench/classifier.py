"""Tells how a reply ended, and counts its events.

Replies to the same query are often the same. Each is parsed once: the load generator has other things to do.
"""

from __future__ import annotations

import attrs

from poeproto import (
    BotError,
    ConnectionLost,
    Error,
    Event,
    IncompleteReply,
    PoeExchange,
    PoeprotoError,
    QueryRequest,
    RemoteProtocolError,
    RequestRefused,
    ResponseHead,
)
from poeproto_cli.load import LoadResponse
from poeproto_load import ReplyOutcome

# How many parsed replies are remembered, and how long they may be.
_REMEMBERED = 64
_LONGEST = 256 * 1024


@attrs.frozen
class Classified:
    """How a reply ended.

    Attributes:
        outcome: how it ended.
        events: how many events it has, without `done`.
        problem: the failure, in words; empty for a complete reply.
    """

    outcome: ReplyOutcome
    events: int
    problem: str = ""


class ReplyClassifier:
    """Tells how replies ended.

    Args:
        access_key: the key of the queries; it is removed from errors if the response repeats it.
    """

    def __init__(self, access_key: str | None) -> None:
        self._access_key = access_key
        self._remembered: dict[tuple[bytes, bytes], Classified] = {}

    def classify(self, response: LoadResponse, failure: PoeprotoError | None = None) -> Classified:
        """How a reply ended.

        Args:
            response: the response, as far as it was received.
            failure: the failure that ended it; None for a complete response.
        """
        if failure is not None:
            return self._classify_failed(response, failure)
        try:
            head, body = response.head, response.body()
        except RemoteProtocolError as exc:
            return Classified(ReplyOutcome.INVALID, 0, str(exc))
        # The other headers have the date.
        key = (head[: head.find(b"\r\n")], body)
        known = self._remembered.get(key)
        if known is None:
            known = self._parse(head, body)
            if len(body) <= _LONGEST:
                if len(self._remembered) >= _REMEMBERED:
                    self._remembered.clear()
                self._remembered[key] = known
        return known

    def _classify_failed(self, response: LoadResponse, failure: PoeprotoError) -> Classified:
        outcome = ReplyOutcome.INCOMPLETE if isinstance(failure, ConnectionLost) else ReplyOutcome.INVALID
        events = 0
        if response.head_size:
            try:
                events = self._parse(response.head, response.body()).events
            except RemoteProtocolError:
                outcome = ReplyOutcome.INVALID
        return Classified(outcome, events, str(failure))

    def _parse(self, head: bytes, body: bytes) -> Classified:
        exchange = PoeExchange(self._access_key)
        exchange.send(QueryRequest([]), "http://bot.invalid/")
        events: list[Event] = []
        try:
            exchange.receive_head(_read_head(head))
            events += exchange.receive_data(body)
            events += exchange.receive_eof()
            if exchange.error is not None:
                raise exchange.error
        except RequestRefused as exc:
            return Classified(ReplyOutcome.REFUSED, 0, str(exc))
        except IncompleteReply as exc:
            return Classified(ReplyOutcome.INCOMPLETE, len(events), str(exc))
        except PoeprotoError as exc:
            return Classified(ReplyOutcome.INVALID, len(events), str(exc))
        if isinstance(events[-1], Error):
            return Classified(ReplyOutcome.ERROR_EVENT, len(events) - 1, str(BotError(events[-1])))
        return Classified(ReplyOutcome.COMPLETE, len(events) - 1)


def _read_head(head: bytes) -> ResponseHead:
    line, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    try:
        status = int(line.split(b" ", 2)[1])
    except (IndexError, ValueError):
        raise RemoteProtocolError("the peer's HTTP is invalid: it has no status") from None
    pairs = [line.partition(b":") for line in lines]
    return ResponseHead(status, [(name.strip().lower(), value.strip()) for name, _, value in pairs])
