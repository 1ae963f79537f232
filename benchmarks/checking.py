"""Checks that a server sends the expected events, once event by event, and then byte by byte for each reply."""

from __future__ import annotations

import sys

from benchmarks.apps import text_of
from benchmarks.processes import Server
from poeproto import Done, Text
from poeproto_cli.load import LoadConnection, Received
from poeproto_cli.load_query import Query, events_of

TIMEOUT = 60.0


class Expected:
    """One query to one server, and the body of its reply, checked event by event when this is made.

    Args:
        name: the case.
        server: the server.
        wish: the content of the last message; see `benchmarks.apps`.
        count: the number of text events in the reply.
    """

    EVENT = b"event: text"  # every event contains these bytes once

    def __init__(self, name: str, server: Server, wish: str, count: int) -> None:
        self.name = name
        self.server = server
        self.query: Query = server.query(wish)
        self.events = count
        connection = LoadConnection(self.query, TIMEOUT)
        response = connection.exchange().response
        connection.close()
        events = events_of(response)
        texts = [event.text for event in events if isinstance(event, Text)]
        # fastapi_poe sends an empty event first.
        if [text for text in texts if text] != [text_of(number) for number in range(count)] or events[-1] != Done():
            sys.exit(f"{name} does not send the events it should")
        self._body = unchunked(response)

    def confirm(self, *replies: Received) -> None:
        """Check that these replies have the same body, byte by byte; their chunks may differ."""
        for reply in replies:
            if unchunked(reply.response) != self._body:
                sys.exit(f"{self.name} did not send the same reply each time")


def unchunked(response: bytes) -> bytes:
    """The body of a chunked response."""
    start = response.index(b"\r\n\r\n") + 4
    parts: list[bytes] = []
    while True:
        end = response.index(b"\r\n", start)
        length = int(response[start:end], 16)
        if length == 0:
            return b"".join(parts)
        parts.append(response[end + 2 : end + 2 + length])
        start = end + 2 + length + 2
