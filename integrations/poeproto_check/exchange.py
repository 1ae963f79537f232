"""Exchanges: what a probe sent and what it received, as raw bytes with their times."""

from __future__ import annotations

from enum import Enum

import attrs

from poeproto_check.probe_request import ProbeRequest
from poeproto_check.raw_response import RawResponse

__all__ = ["Ending", "Exchange", "Transfer"]


class Ending(Enum):
    """Why no more was read. The value is the explanation."""

    COMPLETE = "the response was complete"
    EOF = "the server closed the connection"
    RESET = "the server reset the connection"
    TIMEOUT = "nothing arrived within the timeout"
    CLOSED_BY_CHECK = "the check closed the connection"
    INVALID = "the rest cannot be understood"


@attrs.frozen
class Transfer:
    """One write or read of a connection.

    Attributes:
        at: seconds since the request was begun.
        is_sent: whether the check sent it.
        data: the bytes.
    """

    at: float
    is_sent: bool
    data: bytes = attrs.field(repr=False)


@attrs.define(eq=False)
class Exchange:
    """One request and its response.

    Attributes:
        request: the request.
        response: the response, as far as it was received.
        transfers: the raw bytes, in order. An exchange that shares a connection with another has the bytes of both.
        ending: why no more was read.
        sent_at: when the request had been sent, in seconds since it was begun.
        ended_at: when the reading ended.
    """

    request: ProbeRequest
    response: RawResponse
    transfers: list[Transfer]
    ending: Ending = Ending.CLOSED_BY_CHECK
    sent_at: float = 0.0
    ended_at: float = 0.0

    @property
    def status(self) -> int | None:
        """The status of the response; None without one."""
        return self.response.status

    @property
    def outcome(self) -> str:
        """The outcome of the exchange, in a few words."""
        if self.response.problems and not self.response.is_http:
            return self.response.problems[0]
        if self.status is None:
            return f"no response: {self.ending.value}"
        if not self.response.is_complete and self.ending is not Ending.CLOSED_BY_CHECK:
            return f"status {self.status} and an incomplete body: {self.ending.value}"
        return f"status {self.status}"
