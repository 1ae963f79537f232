"""The HTTP responses of the simulated Poe: JSON, event streams, and the exception that becomes an error response."""

from __future__ import annotations

import json
from collections.abc import Iterable

from poeproto import Done, Error, HttpResponse, encode_event, encode_sse

__all__ = ["HTTPError"]

# Poe sends these with every event stream.
STREAM_HEADERS = (("cache-control", "no-cache, no-transform"), ("x-accel-buffering", "no"))

EVENT_STREAM = "text/event-stream; charset=utf-8"


class HTTPError(Exception):
    """A request that cannot be carried out, and the HTTP error response for it.

    Calls within the process, as `Simulator.say`, raise it for the same reasons, with the same status.

    Attributes:
        status: the status code of the response.
        headers: further headers of the response.
        allow_retry: whether the client may retry, where the error is sent as an `error` event.
    """

    def __init__(
        self, status: int, message: str, headers: Iterable[tuple[str, str]] = (), *, allow_retry: bool = False
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = tuple(headers)
        self.allow_retry = allow_retry

    def as_response(self) -> HttpResponse:
        """The error as most calls get it: a JSON object with the message under ``error``."""
        return json_response({"error": str(self)}, self.status, self.headers)

    def as_reply(self) -> HttpResponse:
        """The error as a query gets it: status 200 and an `error` event, as Poe answers a bot's undeclared call."""
        events = encode_event(Error(allow_retry=self.allow_retry, text=str(self))) + encode_event(Done())
        return HttpResponse.of(200, EVENT_STREAM, events, STREAM_HEADERS)

    def as_cost_event(self) -> HttpResponse:
        """The error as a cost call gets it: an `error` event with the message under ``message``."""
        event = encode_sse("error", json.dumps({"message": str(self)}))
        return HttpResponse.of(self.status, EVENT_STREAM, event, self.headers)


def json_response(value: object, status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> HttpResponse:
    """A response with this value as its JSON body."""
    body = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
    return HttpResponse.of(status, "application/json", body, headers)
