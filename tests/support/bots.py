"""Bots for tests, and requests to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from poeproto import (
    Bot,
    Context,
    Event,
    Message,
    QueryRequest,
    SSEDecoder,
    decode_event,
    encode_request,
)
from poeproto.testing import TEST_ACCESS_KEY

Respond = Callable[[QueryRequest, Context], Any]

KEY = TEST_ACCESS_KEY
BEARER = f"Bearer {KEY}"
# A secret that must not reach a peer or a log line.
SECRET = "the-password-is-swordfish"


class FunctionBot(Bot):
    """A bot whose answer is a function: an async generator, a coroutine function, or something illegal."""

    def __init__(self, respond: Respond) -> None:
        self._respond = respond

    def get_response(self, request: QueryRequest, context: Context) -> Any:
        return self._respond(request, context)


def query_body(text: str = "hello") -> bytes:
    """The body of a short query."""
    return encode_request(QueryRequest([Message("user", text)]))


def events_in(stream: bytes) -> list[Event]:
    """The events in the bytes of a stream, comments left out."""
    return [decode_event(record.event, record.data) for record in SSEDecoder().receive_data(stream)]
