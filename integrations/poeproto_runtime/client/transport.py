"""The transport: the interface of an HTTP client, as protocols, so that flows run over any client."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

from poeproto import HttpRequest, ResponseHead

# The message of the LocalProtocolError for a second reader of one response.
OTHER_READER = "another task is already reading this reply; read each reply in one task"


class IncomingResponse(Protocol):
    """A response that is being received: its head has arrived, its body follows in parts."""

    @property
    def head(self) -> ResponseHead:
        """The status and the headers."""
        ...

    def receive(self) -> Awaitable[bytes | None]:
        """The next part of the body; None at its end.

        Not a coroutine function, since each coroutine in between delays an event that arrives alone. One is allowed.

        Raises:
            TransportError, RemoteProtocolError: also on every later call.
        """
        ...

    async def finish(self) -> None:
        """Close the response after its reply is complete: reads a short rest, so that the connection can be reused."""
        ...

    async def aclose(self) -> None:
        """Close the response at once, wherever it is. Never fails."""
        ...


class TransportCall(Protocol):
    """The requests of one call: the first, its retries, and those of later rounds of tools. Its deadlines are here."""

    async def send(self, request: HttpRequest) -> IncomingResponse:
        """Send a request, and wait for the head of the response. Follows no redirect, and retries nothing.

        Raises:
            TransportError: when that fails.
            LocalProtocolError: when the request cannot be written.
        """
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait before the next request.

        Raises:
            DeadlineExceeded: at once, if the call's time would be over by then.
        """
        ...


class Transport(Protocol):
    """Sends requests: on asyncio, on trio, or by blocking."""

    def begin(self) -> TransportCall:
        """Start a call; its total timeout starts now."""
        ...


class SharedTransport(Transport, Protocol):
    """A transport with several users, which keeps its connections while there is at least one."""

    def hold(self) -> None:
        """Add a user."""
        ...

    async def release(self) -> None:
        """Remove a user; after the last one, close the connections. A later user gets new ones."""
        ...
