"""The backend without an event loop: connecting, waiting and reading files in the caller's own thread."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from poeproto import ConnectFailed, ConnectionLost
from poeproto_h11.client.backend import Backend
from poeproto_h11.client.blocking_tools import BlockingToolRunner
from poeproto_h11.client.daemon_thread import in_daemon_thread
from poeproto_h11.client.happy_eyeballs import Address, connect_first
from poeproto_h11.client.streams import FAILURES, ByteStream, Connector, failure_reason, readable_now
from poeproto_h11.client.timeouts import is_deadline
from poeproto_h11.client.tls import secure, system_trust, time_left
from poeproto_h11.client.urls import Origin

T = TypeVar("T")
_READ_SIZE = 64 * 1024
# Seconds. The system's calls count milliseconds in 31 bits, and whoever sets no deadline waits for these 23 days.
_LONGEST_WAIT = 2_000_000.0

Addresses = Sequence[Address]


def socket_backend(ssl_context: ssl.SSLContext | None = None, connector: Connector | None = None) -> Backend:
    """The backend without an event loop: everything happens in the caller's thread."""
    return Backend(connector or SocketConnector(ssl_context), _sleep, _call, BlockingToolRunner)


async def _sleep(seconds: float) -> None:
    time.sleep(seconds)  # noqa: ASYNC251 - that is the point


async def _call(function: Callable[..., T], *args: Any) -> T:
    return function(*args)


class SocketConnector:
    """Opens TCP and TLS streams over blocking sockets.

    Args:
        ssl_context: for https; by default certificates are checked against the system's trust store.
    """

    def __init__(self, ssl_context: ssl.SSLContext | None = None) -> None:
        self._ssl_context = ssl_context

    async def __call__(self, origin: Origin, timeout: float) -> ByteStream:
        """A stream to that server."""
        end = time.monotonic() + min(timeout, _LONGEST_WAIT)
        context = self._tls() if origin.scheme == "https" else None
        try:
            stream = SocketStream(connect_first(_resolve(origin, end), end))
            return stream if context is None else await secure(stream, context, origin.host, end - time.monotonic())
        except FAILURES as exc:
            if is_deadline(exc):
                raise
            raise ConnectFailed(f"no connection to {origin}: {failure_reason(exc)}") from exc

    def _tls(self) -> ssl.SSLContext:
        if self._ssl_context is None:
            self._ssl_context = system_trust()
        return self._ssl_context


def _resolve(origin: Origin, end: float) -> Addresses:
    """The addresses of the server.

    The system's resolver knows no deadline. A name that is not an address itself is looked up in a thread, which is
    left behind when it takes too long.
    """
    try:
        return socket.getaddrinfo(
            origin.host, origin.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        )
    except socket.gaierror:
        pass  # a name
    left = time_left(end)
    look_up = partial(socket.getaddrinfo, origin.host, origin.port, type=socket.SOCK_STREAM)
    return in_daemon_thread(f"look up {origin.host}", look_up).result(left)


class SocketStream:
    """A `ByteStream` over a connected socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection

    async def receive(self, timeout: float) -> bytes:
        """Some bytes; none at the end."""
        if timeout <= 0:
            raise TimeoutError  # to a socket, no time means that it does not block
        try:
            self._socket.settimeout(min(timeout, _LONGEST_WAIT))
            return self._socket.recv(_READ_SIZE)
        except OSError as exc:
            if is_deadline(exc):
                raise
            raise ConnectionLost("the connection broke while it was read") from exc

    async def send(self, data: bytes, timeout: float) -> None:
        """Send all of them."""
        if timeout <= 0:
            raise TimeoutError
        try:
            self._socket.settimeout(min(timeout, _LONGEST_WAIT))
            self._socket.sendall(data)
        except OSError as exc:
            if is_deadline(exc):
                raise
            raise ConnectionLost("the connection broke while it was written") from exc

    async def aclose(self) -> None:
        """Close at once."""
        self._socket.close()

    def is_quiet(self) -> bool:
        """Whether there is nothing to read."""
        return self._socket.fileno() >= 0 and not readable_now(self._socket)

    async def is_answering(self) -> bool:
        """Whether the peer has said something."""
        return not self.is_quiet()
