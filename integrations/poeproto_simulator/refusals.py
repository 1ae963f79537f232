"""What the simulator does not do for a caller, in the form Poe says it in."""

from __future__ import annotations

import json
from collections.abc import Iterable

from poeproto import Done, Error, HttpResponse, encode_event, encode_sse

# Poe writes the same to those it answers with a stream.
STREAM_HEADERS = (("cache-control", "no-cache, no-transform"), ("x-accel-buffering", "no"))


class Refused(Exception):
    """A request is not carried out.

    Attributes:
        status: the HTTP status, where the refusal is a response.
        headers: to be sent with it.
        allow_retry: whether a caller may try again, where the refusal is an `error` event.
    """

    def __init__(
        self, status: int, message: str, headers: Iterable[tuple[str, str]] = (), *, allow_retry: bool = False
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = tuple(headers)
        self.allow_retry = allow_retry

    def as_json(self) -> HttpResponse:
        """The refusal as most calls get it."""
        return json_response({"error": str(self)}, self.status, self.headers)

    def as_reply(self) -> HttpResponse:
        """The refusal as a query gets it: with status 200 and an `error` event, as Poe refuses calls of bots."""
        events = encode_event(Error(allow_retry=self.allow_retry, text=str(self))) + encode_event(Done())
        return HttpResponse.of(200, "text/event-stream; charset=utf-8", events, STREAM_HEADERS)

    def as_event(self) -> HttpResponse:
        """The refusal as a call about a cost gets it: an event whose `message` says why."""
        event = encode_sse("error", json.dumps({"message": str(self)}))
        return HttpResponse.of(self.status, "text/event-stream; charset=utf-8", event, self.headers)


def json_response(value: object, status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> HttpResponse:
    """A response with this value as its body."""
    body = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
    return HttpResponse.of(status, "application/json", body, headers)
