"""Checks of requests that Hypercorn leaves to applications: slow bodies, and bodies with two framings."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from poeproto_asgi.asgi import AsgiMessage, Receive, Scope, Send
from poeproto_h11 import ServerLimits
from poeproto_runtime.reply.suspension import await_until

_LIMITS = ServerLimits()
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})


class TimedBody:
    """The `receive` of a request, whose body must arrive in the time that the embedded server allows by default.

    Args:
        receive: Hypercorn's.
        reset: resets the connection of a client.
        client: the client's address; None where Hypercorn does not know it, and its connection cannot be reset.
    """

    __slots__ = ("_client", "_deadline", "_is_complete", "_receive", "_reset")

    def __init__(
        self, receive: Receive, reset: Callable[[tuple[str, int]], None], client: tuple[str, int] | None
    ) -> None:
        self._receive = receive
        self._reset = reset
        self._client = client
        self._is_complete = False
        self._deadline = anyio.current_time() + _LIMITS.body_seconds

    def __call__(self) -> Awaitable[AsgiMessage]:
        """The next message. Once the body is complete, this is Hypercorn's own, which waits for as long as a reply."""
        return self._receive() if self._is_complete else self._receive_in_time()

    def reset(self) -> None:
        """Reset the connection, which must be one that can be."""
        assert self._client
        self._reset(self._client)

    async def _receive_in_time(self) -> AsgiMessage:
        # Hypercorn's is the `get` of a queue, or the `receive` of a memory channel of trio. Neither opens a scope.
        message = await await_until(self._deadline, self._receive())
        if message is not None:
            self._is_complete = not message.get("more_body", False)
            self._deadline += len(message.get("body", b"")) / _LIMITS.body_rate
            return message
        self._is_complete = True
        if not self._client:
            return {"type": "http.disconnect"}
        self.reset()
        return await self._receive()  # the disconnect


def has_two_framings(scope: Scope) -> bool:
    """Whether a request has both Content-Length and Transfer-Encoding, or the latter in HTTP/1.0.

    A proxy may take its end for another than Hypercorn does, so that no request may follow on the connection (RFC 9112,
    6.1).
    """
    framings = [name for name, _ in scope["headers"] if name in _FRAMING]
    return len(framings) > 1 or (b"transfer-encoding" in framings and scope["http_version"] == "1.0")


def closing_connection(send: Send) -> Send:
    """A `send` whose response closes the connection."""

    async def send_closing(message: AsgiMessage) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (b"connection", b"close")]
        await send(message)

    return send_closing
