"""The backend on anyio, for asyncio and trio: connections, pauses, worker threads and tools."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import cast

import anyio
import anyio.abc

from poeproto import ConnectFailed
from poeproto_h11.client.anyio_stream import AnyioStream
from poeproto_h11.client.asyncio_stream import AsyncioLoop, AsyncioStream, take_over
from poeproto_h11.client.backend import (
    CONNECT_FAILURES,
    Backend,
    ByteStream,
    Connector,
    EventLoop,
    failure_reason,
    is_deadline,
)
from poeproto_h11.client.proxy import ProxyRules
from poeproto_h11.client.tls import secure, system_trust
from poeproto_h11.client.tunnel import ProxyConnector
from poeproto_runtime.client.tools import ToolRunner
from poeproto_runtime.client.uploads import in_worker_thread
from poeproto_runtime.client.urls import Origin


def anyio_backend(
    ssl_context: ssl.SSLContext | None = None,
    connector: Connector | None = None,
    proxies: ProxyRules | None = None,
    unix_socket: str | os.PathLike[str] | None = None,
) -> Backend:
    """The backend for asyncio and trio.

    Args:
        ssl_context: for https; by default certificates are verified against the system's trust store.
        connector: opens the connections, also those to proxies.
        proxies: which origin is reached through which proxy; by default none.
        unix_socket: the path of a socket to connect to, whatever the origin; in place of `connector`.
    """
    proxies = proxies or ProxyRules()
    connector = connector or AnyioConnector(ssl_context, unix_socket=unix_socket)
    connect = ProxyConnector(connector, proxies, ssl_context)
    return Backend(connect, anyio.sleep, in_worker_thread, ToolRunner, proxies, _current_loop)


def _current_loop() -> EventLoop:
    if anyio.get_cancelled_exc_class() is asyncio.CancelledError:
        return AsyncioLoop(asyncio.get_running_loop())
    import trio  # here, because trio need not be installed

    from poeproto_h11.client.trio_stream import TrioLoop

    return TrioLoop(trio.lowlevel.current_trio_token())


class AnyioConnector:
    """Opens streams on asyncio and trio: over TCP or a Unix socket, with TLS or without.

    Args:
        ssl_context: for https; by default certificates are verified against the system's trust store.
        resolve: returns the addresses to connect to, in their order; by default anyio resolves the name.
        unix_socket: the path of a socket to connect to, whatever the origin.
    """

    def __init__(
        self,
        ssl_context: ssl.SSLContext | None = None,
        resolve: Callable[[Origin], Awaitable[list[str]]] | None = None,
        unix_socket: str | os.PathLike[str] | None = None,
    ) -> None:
        self._ssl_context = ssl_context
        self._resolve = resolve
        self._unix_socket = unix_socket

    async def __call__(self, origin: Origin, timeout: float) -> ByteStream:
        """A stream connected to that server."""
        context = self._tls() if origin.scheme == "https" else None
        try:
            with anyio.fail_after(timeout):
                if self._unix_socket is not None:
                    stream = await _connect_unix(os.fspath(self._unix_socket))
                    return stream if context is None else await secure(stream, context, origin.host, timeout)
                if self._resolve is None:
                    return await _open(origin.host, origin, context, timeout)
                end = anyio.current_time() + timeout
                return await _open_one(await self._resolve(origin), origin, context, end)
        except CONNECT_FAILURES as exc:
            if is_deadline(exc):
                raise
            where = "" if self._unix_socket is None else f" at unix:{os.fspath(self._unix_socket)}"
            raise ConnectFailed(f"no connection to {origin}{where}: {failure_reason(exc)}") from exc

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
    stream = byte_stream(await anyio.connect_tcp(host, origin.port))
    # The certificate must be for the name, not for the address.
    return stream if context is None else await secure(stream, context, origin.host, timeout)


async def _connect_unix(path: str) -> ByteStream:
    if anyio.get_cancelled_exc_class() is not asyncio.CancelledError:
        return byte_stream(await anyio.connect_unix(path))
    # anyio's own stream has no transport here, and fails if it is cancelled while data arrives.
    _, opening = await asyncio.get_running_loop().create_unix_connection(_Opening, path)
    return opening.stream


class _Opening(asyncio.Protocol):
    """Hands its transport to a stream, before the event loop reads from it."""

    stream: AsyncioStream

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.stream = AsyncioStream(cast("asyncio.Transport", transport))


def byte_stream(stream: anyio.abc.ByteStream) -> ByteStream:
    """The fastest `ByteStream` for a connected stream of anyio, which must not be used afterwards."""
    connection: socket.socket | None = stream.extra(anyio.abc.SocketAttribute.raw_socket, None)
    if anyio.get_cancelled_exc_class() is asyncio.CancelledError:
        return take_over(stream) or AnyioStream(stream)
    if connection is None:
        return AnyioStream(stream)
    from poeproto_h11.client.trio_stream import TrioStream  # here, because trio need not be installed

    return TrioStream(stream, connection)
