"""One HTTP request and its response, as a test's network saw them, with times."""

from __future__ import annotations

from poeproto import ResponseHead
from poeproto.http import Headers
from poeproto_record import (
    End,
    RecordedData,
    RecordedEnd,
    RecordedExchange,
    RecordedHead,
    RecordedRequest,
)


class ObservedExchange:
    """One request and its response, so far.

    Attributes:
        method: of the request.
        url: absolute.
        headers: of the request.
        body: of the request.
        at: when the request was sent, by the clock of the event loop.
        head: the head of the response, with its time; None before it was sent.
        data: the parts of its body, with their times.
        end: how the exchange ended; None before its end.
    """

    def __init__(self, method: str, url: str, headers: Headers, body: bytes, at: float) -> None:
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.at = at
        self.head: RecordedHead | None = None
        self.data: list[RecordedData] = []
        self.end: RecordedEnd | None = None

    def receive_head(self, head: ResponseHead, at: float) -> None:
        """The head of the response has been sent."""
        self.head = RecordedHead(1, at - self.at, head.status, head.headers)

    def receive_data(self, data: bytes, at: float) -> None:
        """A part of its body has been sent."""
        self.data.append(RecordedData(1, at - self.at, data))

    def ended(self, outcome: End, at: float, detail: str = "") -> None:
        """The exchange has ended; only the first call counts."""
        if self.end is None:
            self.end = RecordedEnd(1, at - self.at, outcome, detail)

    def as_recorded(self) -> RecordedExchange:
        """The exchange in the form of a recorded one; times count from the request."""
        request = RecordedRequest(1, 0.0, self.method, self.url, self.headers, self.body)
        return RecordedExchange(request, (), self.head, tuple(self.data), self.end)
