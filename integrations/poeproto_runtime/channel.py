"""What a web server must offer for one request, so that a bot can be run behind it."""

from __future__ import annotations

from typing import Protocol

from poeproto import HttpResponse, ResponseHead, TransportError


class ClientDisconnected(TransportError):
    """The peer has gone while the request was being read or answered. Nobody is left to be told."""


class ChannelFailed(Exception):
    """A `send` raised what no `Channel` may raise: a fault of the integration, or of the server beneath, as its cause
    tells. It is told apart from the failures of bots, from within whose answer events are sent.
    """


class Channel(Protocol):
    """One HTTP request and its response, as an integration hands them over.

    All but `receive` and `wait_disconnected` write; the runtime never calls two of them at once. Any of them may raise
    `ClientDisconnected`, and none may raise another library's exception.

    A `send` may be cancelled by a scope of the bot's own, from within which it yields, and be followed by `finish`. If
    by then it has taken all of its data, or nothing, the reply can still end in order; where it may have taken a part,
    `finish` raises `ClientDisconnected`.
    """

    async def receive(self) -> bytes | None:
        """The next part of the request's body; None at its end."""
        ...

    async def wait_disconnected(self) -> None:
        """Return when the peer has gone; called once, after the body's end. Stays blocked until then."""
        ...

    async def respond(self, response: HttpResponse) -> None:
        """Send a whole response."""
        ...

    async def start(self, head: ResponseHead) -> None:
        """Send the head of a response whose body follows."""
        ...

    async def send(self, data: bytes) -> None:
        """Send a part of the body at once, and wait while the peer is slow to read."""
        ...

    async def finish(self, data: bytes) -> None:
        """Send the last part of the body, and its end."""
        ...
