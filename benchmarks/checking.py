"""No server is measured that does not send what it should, and no reply counts that is not the one it should be."""

from __future__ import annotations

import sys

from benchmarks.apps import text_of
from benchmarks.processes import Server
from poeproto import Done, Text
from poeproto_cli.load import LoadConnection, Received
from poeproto_cli.load_query import Query, events_of

TIMEOUT = 60.0


class Expected:
    """One query to one server, and the reply it gets, which has been looked at event by event.

    Args:
        name: the case.
        server: the server.
        wish: what is asked for; see `benchmarks.apps`.
        count: how many events that is.
    """

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
        # fastapi_poe begins with an event that is empty.
        if [text for text in texts if text] != [text_of(number) for number in range(count)] or events[-1] != Done():
            sys.exit(f"{name} does not send the events it should")
        self._body = unchunked(response)

    def confirm(self, *replies: Received) -> None:
        """See that these replies are the same again, byte by byte but for how they were cut."""
        for reply in replies:
            if unchunked(reply.response) != self._body:
                sys.exit(f"{self.name} did not send the same reply each time")


def unchunked(response: bytes) -> bytes:
    """The body of a response in chunks."""
    start = response.index(b"\r\n\r\n") + 4
    parts: list[bytes] = []
    while True:
        end = response.index(b"\r\n", start)
        length = int(response[start:end], 16)
        if length == 0:
            return b"".join(parts)
        parts.append(response[end + 2 : end + 2 + length])
        start = end + 2 + length + 2
