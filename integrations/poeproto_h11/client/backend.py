"""The backend of a client, for an event loop or for a thread without one: connections, pauses, blocking calls, tools.

A backend is the only part of the client that knows how to wait. Every operation takes its own timeout instead of
running in a scope around several, so no scope of ours spans the caller's code, and blocking sockets can stand in for
streams of an event loop.
"""

from __future__ import annotations

import os
import select
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from typing import Protocol, cast

import attrs

from poeproto import ConnectionLost
from poeproto_h11.client.proxy import ProxyRules
from poeproto_runtime.client.client_base import MakeToolRunner
from poeproto_runtime.client.uploads import InThread
from poeproto_runtime.client.urls import Origin

__all__ = ["ByteStream", "Connector", "failure_reason"]

# What connecting raises. ConnectionLost is a peer that closes the connection during the TLS handshake.
CONNECT_FAILURES = (OSError, UnicodeError, ConnectionLost)

OTHER_LOOP = "this reply belongs to another event loop; read and close a reply in the loop that it was begun in"


class ByteStream(Protocol):
    """The bytes of one connection.

    Operations raise `TimeoutError` when they take longer than `timeout` seconds, and `ConnectionLost` when the
    connection breaks.
    """

    async def receive(self, timeout: float) -> bytes:
        """The next bytes, within `timeout` seconds; empty at the end."""
        ...

    async def send(self, data: bytes, timeout: float) -> None:
        """Send all of the data, within `timeout` seconds."""
        ...

    async def send_until_answered(self, data: bytes, timeout: float) -> bool:
        """Send all of the data, but stop when it cannot be written yet and there is something to read.

        A peer that rejects a request often answers without reading the rest of it, so waiting for it to read would not
        end. Unsent data is kept: another call, with more data or none, continues with it. `timeout` is in seconds.

        Returns:
            Whether all was sent.
        """
        ...

    async def aclose(self) -> None:
        """Close at once, without a TLS closing handshake. Never fails."""
        ...

    def close_socket(self) -> None:
        """Close without waiting. It is called in the stream's event loop, or after that has ended."""
        ...

    def is_idle(self) -> bool:
        """Whether there is nothing to read, not even the end: the state of a connection that can be used again."""
        ...

    async def is_answering(self) -> bool:
        """Whether the peer has sent something, or disconnected, while we write to it. Does not wait."""
        ...


class Connector(Protocol):
    """Opens streams."""

    async def __call__(self, origin: Origin, timeout: float) -> ByteStream:
        """A stream connected to that server.

        Raises:
            ConnectFailed: when no connection can be made.
            TimeoutError: when it takes longer than `timeout` seconds.
        """
        ...


class EventLoop(Protocol):
    """An event loop to which connections belong. Objects for the same loop are equal."""

    def is_over(self) -> bool:
        """Whether the loop has ended, so that its connections cannot be used any more."""
        ...

    def call_soon(self, function: Callable[[], object]) -> None:
        """Call the function in that loop, soon. May be called in any thread."""
        ...


@attrs.frozen
class Backend:
    """How a client does everything that is not HTTP.

    Attributes:
        connect: opens connections.
        sleep: waits for a number of seconds.
        in_thread: calls a function that may block.
        tool_runner: makes the runner for the tools of a model; `raise_errors` as in `ToolRunner`.
        proxies: which origins `connect` reaches through a proxy. Requests to http ones take another form there.
        current_loop: the running event loop; None where connections belong to none.
    """

    connect: Connector
    sleep: Callable[[float], Awaitable[None]]
    in_thread: InThread
    tool_runner: MakeToolRunner
    proxies: ProxyRules = attrs.field(factory=ProxyRules)
    current_loop: Callable[[], EventLoop | None] = lambda: None


# --- for all backends


def time_left(end: float) -> float:
    """The seconds until that time of the monotonic clock.

    Raises:
        TimeoutError: when it has passed.
    """
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def is_deadline(exc: BaseException) -> bool:
    """Whether it is a deadline of ours that passed. A timeout of the operating system is a failure like others."""
    return isinstance(exc, TimeoutError) and exc.errno is None


def readable_now(connection: socket.socket) -> bool:
    """Whether a read would not block: there is data, or the end."""
    if hasattr(select, "poll"):
        poll = select.poll()  # select() takes no descriptor above 1,023
        poll.register(connection, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([connection], [], [], 0)[0])


def wait_readable_or_writable(connection: socket.socket, timeout: float) -> bool:
    """Block until the socket can be read or written; return whether it can be read.

    Raises:
        TimeoutError: when that takes longer than `timeout` seconds.
    """
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(connection, select.POLLIN | select.POLLOUT)
        ready = poll.poll(timeout * 1000)
        readable = bool(ready and ready[0][1] & select.POLLIN)
    else:
        read, write, failed = select.select([connection], [connection], [connection], timeout)
        ready, readable = [*read, *write, *failed], bool(read)
    if not ready:
        raise TimeoutError
    return readable


def failure_reason(exc: BaseException) -> str:
    """Why a connection attempt failed, in the system's words."""
    # anyio raises "all attempts failed" from their errors: a single one, or a group in the order of failure.
    cause = exc.__cause__ or exc
    if isinstance(cause, BaseExceptionGroup):
        cause = cast("BaseExceptionGroup[BaseException]", cause).exceptions[-1]
    if isinstance(cause, ssl.SSLEOFError):
        return "the peer closed the connection"
    if isinstance(cause, ssl.SSLError):
        if cause.reason == "WRONG_VERSION_NUMBER":
            return "the peer does not speak TLS"
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not accepted: {cause.verify_message}"
        return str(cause)
    if isinstance(cause, OSError) and cause.errno:
        # Negative numbers are errors of name resolution.
        return os.strerror(cause.errno) if cause.errno > 0 else cause.strerror or str(cause)
    return str(cause) or "the peer closed the connection"
