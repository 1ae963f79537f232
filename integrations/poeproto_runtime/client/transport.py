"""What calls to others need of an HTTP client, so that flows can be driven over it."""

from __future__ import annotations

from typing import Protocol

from poeproto import HttpRequest, ResponseHead


class IncomingResponse(Protocol):
    """A response under way: its head has come, its body follows in parts."""

    @property
    def head(self) -> ResponseHead:
        """The status and the headers."""
        ...

    async def receive(self) -> bytes | None:
        """The next part of the body; None at its end.

        Raises:
            TransportError, RemoteProtocolError: as often as it is called again.
        """
        ...

    async def finish(self) -> None:
        """Leave the response after all that matters has come: its connection is kept if the rest is short."""
        ...

    async def aclose(self) -> None:
        """Leave the response wherever it is, at once, and without fail."""
        ...


class TransportCall(Protocol):
    """One call of somebody's: a request, and what is sent again or after it."""

    async def send(self, request: HttpRequest) -> IncomingResponse:
        """Send a request, and wait for the head of the response. No redirect is followed, and nothing tried again.

        Raises:
            TransportError: when that fails.
            LocalProtocolError: when HTTP has no form for the request.
        """
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait before the next request.

        Raises:
            DeadlineExceeded: at once, where the call's time would be over by then.
        """
        ...


class Transport(Protocol):
    """Sends requests, on asyncio, on trio, or without either."""

    def begin(self) -> TransportCall:
        """A call, whose time runs from here."""
        ...


class SharedTransport(Transport, Protocol):
    """A transport of several users, whose connections are kept as long as there is one."""

    def hold(self) -> None:
        """Count one user more."""
        ...

    async def release(self) -> None:
        """Count one user less. After the last, the connections are closed; a later user finds new ones."""
        ...
