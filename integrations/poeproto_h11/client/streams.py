"""The few things a connection needs of the network, and anyio's way of doing them.

Time bounds are arguments of each operation rather than scopes around several, so that nothing of ours spans the
caller's own code, and so that a stream over blocking sockets can stand in.
"""

from __future__ import annotations

import os
import select
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Protocol, cast

import anyio
import anyio.abc

from poeproto import ConnectFailed, ConnectionLost, LocalProtocolError
from poeproto_h11.client.timeouts import is_deadline
from poeproto_h11.client.tls import secure, system_trust
from poeproto_h11.client.urls import Origin

_READ_SIZE = 64 * 1024


class ByteStream(Protocol):
    """A connection's bytes. Operations raise `TimeoutError` when they take longer than they may, and `ConnectionLost`
    when the connection breaks.
    """

    async def receive(self, timeout: float) -> bytes:
        """Some bytes; none at the end."""
        ...

    async def send(self, data: bytes, timeout: float) -> None:
        """Send all of them."""
        ...

    async def aclose(self) -> None:
        """Close at once, without ceremony, and without fail."""
        ...

    def is_quiet(self) -> bool:
        """Whether there is nothing to read, not even an end: what one expects of a connection that is not in use."""
        ...

    async def is_answering(self) -> bool:
        """Whether the peer has said something, or left, while it is written to. This does not wait."""
        ...


class Connector(Protocol):
    """Opens streams."""

    async def __call__(self, origin: Origin, timeout: float) -> ByteStream:
        """A stream to that server.

        Raises:
            ConnectFailed: when none comes about.
            TimeoutError: when it takes longer than it may.
        """
        ...


class AnyioConnector:
    """Opens TCP and TLS streams on asyncio and trio.

    Args:
        ssl_context: for https; by default certificates are checked against the system's trust store.
        resolve: finds the addresses to connect to, in their order; by default all that the name has.
    """

    def __init__(
        self,
        ssl_context: ssl.SSLContext | None = None,
        resolve: Callable[[Origin], Awaitable[list[str]]] | None = None,
    ) -> None:
        self._ssl_context = ssl_context
        self._resolve = resolve

    async def __call__(self, origin: Origin, timeout: float) -> ByteStream:
        """A stream to that server."""
        context = self._tls() if origin.scheme == "https" else None
        try:
            with anyio.fail_after(timeout):
                if self._resolve is None:
                    return await _open(origin.host, origin, context, timeout)
                end = anyio.current_time() + timeout
                return await _open_one(await self._resolve(origin), origin, context, end)
        except FAILURES as exc:
            if is_deadline(exc):
                raise
            raise ConnectFailed(f"no connection to {origin}: {failure_reason(exc)}") from exc

    def _tls(self) -> ssl.SSLContext:
        if self._ssl_context is None:
            self._ssl_context = system_trust()
        return self._ssl_context


# What connecting raises. The last is a peer that goes away within the TLS handshake.
FAILURES = (OSError, UnicodeError, ConnectionLost)


async def _open_one(addresses: list[str], origin: Origin, context: ssl.SSLContext | None, end: float) -> ByteStream:
    """A stream to the first of the addresses that takes it."""
    failure: Exception | None = None
    for number, address in enumerate(addresses):
        # An address that swallows everything must not use up the time of those after it.
        share = (end - anyio.current_time()) / (len(addresses) - number)
        try:
            with anyio.fail_after(share):
                return await _open(address, origin, context, share)
        except FAILURES as exc:
            failure = exc
    raise failure or OSError("the name has no address")


async def _open(host: str, origin: Origin, context: ssl.SSLContext | None, timeout: float) -> ByteStream:
    stream = AnyioStream(await anyio.connect_tcp(host, origin.port))
    # The certificate is the name's, whatever address it is at.
    return stream if context is None else await secure(stream, context, origin.host, timeout)


def readable_now(connection: socket.socket) -> bool:
    """Whether a read would not block; it may find the end."""
    if hasattr(select, "poll"):
        poll = select.poll()  # select() itself knows no descriptor beyond 1,023
        poll.register(connection, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([connection], [], [], 0)[0])


def failure_reason(exc: BaseException) -> str:
    """Why there is no connection, in the system's words."""
    # anyio says "all attempts failed", and keeps what they met as the cause: for several, in the order they failed.
    cause = exc.__cause__ or exc
    if isinstance(cause, BaseExceptionGroup):
        cause = cast("BaseExceptionGroup[BaseException]", cause).exceptions[-1]
    if isinstance(cause, ssl.SSLEOFError):
        return "the peer closed it"
    if isinstance(cause, ssl.SSLError):
        if cause.reason == "WRONG_VERSION_NUMBER":
            return "what answers there does not speak TLS"
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not accepted: {cause.verify_message}"
        return str(cause)
    if isinstance(cause, OSError) and cause.errno:
        # Negative numbers are name resolution's.
        return os.strerror(cause.errno) if cause.errno > 0 else cause.strerror or str(cause)
    return str(cause) or "the peer closed it"


class AnyioStream:
    """A `ByteStream` over one of anyio's."""

    def __init__(self, stream: anyio.abc.ByteStream) -> None:
        self._stream = stream
        # Looked up here: to do so asks the system for the peer's address, each time.
        self._socket: socket.socket | None = stream.extra(anyio.abc.SocketAttribute.raw_socket, None)
        self._read_ahead = False  # whether the loop may hold more than it has given, which the socket does not show

    async def receive(self, timeout: float) -> bytes:
        """Some bytes; none at the end."""
        try:
            with anyio.fail_after(timeout):
                data = await self._stream.receive(_READ_SIZE)
        except anyio.EndOfStream:
            return b""
        except anyio.BusyResourceError as exc:
            raise LocalProtocolError("two tasks read one reply") from exc
        except (anyio.BrokenResourceError, anyio.ClosedResourceError) as exc:
            raise ConnectionLost("the connection broke while it was read") from exc
        self._read_ahead = len(data) == _READ_SIZE
        return data

    async def send(self, data: bytes, timeout: float) -> None:
        """Send all of them."""
        try:
            with anyio.fail_after(timeout):
                await self._stream.send(data)
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError) as exc:
            raise ConnectionLost("the connection broke while it was written") from exc

    async def aclose(self) -> None:
        """Close at once."""
        # Also for a caller that is being cancelled: it may have more of them to close.
        with anyio.CancelScope(shield=True):
            await anyio.aclose_forcefully(self._stream)

    def is_quiet(self) -> bool:
        """Whether there is nothing to read."""
        if self._socket is None or self._socket.fileno() < 0 or self._read_ahead:
            return False
        return not readable_now(self._socket)

    async def is_answering(self) -> bool:
        """Whether the peer has said something."""
        return not self.is_quiet()
