"""The backend on anyio, for asyncio and trio: connections, pauses, worker threads and tools."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

import anyio
import anyio.abc
import anyio.to_thread

from poeproto import ConnectFailed, ConnectionLost, LocalProtocolError
from poeproto_h11.client.backend import (
    CONNECT_FAILURES,
    Backend,
    ByteStream,
    Connector,
    failure_reason,
    is_deadline,
    readable_now,
)
from poeproto_h11.client.tls import secure, system_trust
from poeproto_runtime.client.tools import ToolRunner
from poeproto_runtime.client.urls import Origin

T = TypeVar("T")

_READ_SIZE = 64 * 1024


def anyio_backend(ssl_context: ssl.SSLContext | None = None, connector: Connector | None = None) -> Backend:
    """The backend for asyncio and trio."""
    return Backend(connector or AnyioConnector(ssl_context), anyio.sleep, _in_worker_thread, ToolRunner)


async def _in_worker_thread(function: Callable[..., T], *args: Any) -> T:
    return await anyio.to_thread.run_sync(partial(function, *args))


class AnyioConnector:
    """Opens TCP and TLS streams on asyncio and trio.

    Args:
        ssl_context: for https; by default certificates are verified against the system's trust store.
        resolve: returns the addresses to connect to, in their order; by default anyio resolves the name.
    """

    def __init__(
        self,
        ssl_context: ssl.SSLContext | None = None,
        resolve: Callable[[Origin], Awaitable[list[str]]] | None = None,
    ) -> None:
        self._ssl_context = ssl_context
        self._resolve = resolve

    async def __call__(self, origin: Origin, timeout: float) -> ByteStream:
        """A stream connected to that server."""
        context = self._tls() if origin.scheme == "https" else None
        try:
            with anyio.fail_after(timeout):
                if self._resolve is None:
                    return await _open(origin.host, origin, context, timeout)
                end = anyio.current_time() + timeout
                return await _open_one(await self._resolve(origin), origin, context, end)
        except CONNECT_FAILURES as exc:
            if is_deadline(exc):
                raise
            raise ConnectFailed(f"no connection to {origin}: {failure_reason(exc)}") from exc

    def _tls(self) -> ssl.SSLContext:
        if self._ssl_context is None:
            self._ssl_context = system_trust()
        return self._ssl_context


async def _open_one(addresses: list[str], origin: Origin, context: ssl.SSLContext | None, end: float) -> ByteStream:
    """A stream connected to the first of the addresses that accepts it."""
    failure: Exception | None = None
    for number, address in enumerate(addresses):
        # An address that does not answer must not use up the time of those after it.
        share = (end - anyio.current_time()) / (len(addresses) - number)
        try:
            with anyio.fail_after(share):
                return await _open(address, origin, context, share)
        except CONNECT_FAILURES as exc:
            failure = exc
    raise failure or OSError("the name has no address")


async def _open(host: str, origin: Origin, context: ssl.SSLContext | None, timeout: float) -> ByteStream:
    stream = AnyioStream(await anyio.connect_tcp(host, origin.port))
    # The certificate must be for the name, not for the address.
    return stream if context is None else await secure(stream, context, origin.host, timeout)


class AnyioStream:
    """A `ByteStream` over a stream of anyio."""

    def __init__(self, stream: anyio.abc.ByteStream) -> None:
        self._stream = stream
        # Looked up once: each look-up asks the system for the peer's address.
        self._socket: socket.socket | None = stream.extra(anyio.abc.SocketAttribute.raw_socket, None)
        self._read_ahead = (
            False  # whether anyio may hold more data than it has returned, which the socket does not show
        )

    async def receive(self, timeout: float) -> bytes:
        """The next bytes; empty at the end."""
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
        """Send all of the data."""
        try:
            with anyio.fail_after(timeout):
                await self._stream.send(data)
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError) as exc:
            raise ConnectionLost("the connection broke while it was written") from exc

    async def aclose(self) -> None:
        """Close at once."""
        # Shielded, because a caller that is being cancelled may have more connections to close.
        with anyio.CancelScope(shield=True):
            await anyio.aclose_forcefully(self._stream)

    def is_idle(self) -> bool:
        """Whether there is nothing to read."""
        if self._socket is None or self._socket.fileno() < 0 or self._read_ahead:
            return False
        return not readable_now(self._socket)

    async def is_answering(self) -> bool:
        """Whether the peer has sent something, or disconnected. Does not wait."""
        return not self.is_idle()
