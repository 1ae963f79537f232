"""The channel: the interface of a web server for one request, behind which the runtime runs a bot."""

from __future__ import annotations

from collections.abc import Awaitable, Generator
from contextlib import contextmanager
from typing import Protocol

import anyio

from poeproto import HttpResponse, ResponseHead, TransportError

__all__ = ["Channel", "ClientDisconnected"]

_NOT_READING = "the client has not read what was sent to it within Limits.send_seconds"


class ClientDisconnected(TransportError):
    """The client disconnected while its request was read or answered. No response can reach it any more."""


class ChannelFailed(Exception):
    """`Channel.send` raised an exception that no `Channel` may raise (its ``__cause__``): a bug of the integration or
    of the server below.

    It has a class of its own since events are sent while the bot's generator is open: the fault must not be treated as
    a failure of the bot.
    """


class Channel(Protocol):
    """One HTTP request and its response.

    All methods but `receive` and `wait_disconnected` write; the runtime never calls two of those at once. Each method
    may raise `ClientDisconnected`, and none may raise another library's exception.

    A `send` may be cancelled by a scope that the bot holds open around its `yield`; then `finish` may be called. If the
    cancelled `send` has sent all of its data, or nothing, the response can still be completed. If it may have sent a
    part, `finish` must raise `ClientDisconnected`.
    """

    async def receive(self) -> bytes | None:
        """The next part of the request's body; None at its end."""
        ...

    async def wait_disconnected(self) -> None:
        """Return when the client has disconnected. Called once, after the end of the request's body."""
        ...

    async def respond(self, response: HttpResponse) -> None:
        """Send a whole response."""
        ...

    async def start(self, head: ResponseHead) -> None:
        """Send the head of a response whose body follows."""
        ...

    def send(self, data: bytes) -> Awaitable[None] | None:
        """Send a part of the body at once, which is not empty.

        Not a coroutine function, since a coroutine for each event costs more than a write to a socket that has
        capacity. One is allowed, too.

        Returns:
            None if the data was sent. Otherwise, an awaitable: it waits while the client is slow to read
            (backpressure).

        Raises:
            OSError: the same as a `ClientDisconnected`, at the call or at the await.
        """
        ...

    async def finish(self, data: bytes) -> None:
        """Send the last part of the body, which may be empty, and the end of the response."""
        ...


@contextmanager
def within_send_seconds(seconds: float) -> Generator[None]:
    """Treat the client as disconnected if a write takes longer than `seconds`.

    For single writes. A reply has many, and `ReplyTimers` bounds those with one task for all replies.

    Raises:
        ClientDisconnected: then.
    """
    try:
        with anyio.fail_after(seconds):
            yield
    except TimeoutError as exc:
        raise ClientDisconnected(_NOT_READING) from exc
