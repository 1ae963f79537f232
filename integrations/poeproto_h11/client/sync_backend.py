"""The backend without an event loop: everything happens in the caller's thread, which blocks.

The client's code is written once, as coroutines. Over this backend none of them suspends: `run_sync` runs one to its
end with a single `send(None)`. Two things need threads of their own, because nothing else could bound or overlap them:
the system's name resolution, which takes no deadline, and the tools of a round, which run at once.
"""

from __future__ import annotations

import inspect
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

from poeproto import ConnectFailed, ConnectionLost, ToolCall, ToolResult
from poeproto_h11.client.backend import (
    CONNECT_FAILURES,
    Backend,
    ByteStream,
    Connector,
    failure_reason,
    is_deadline,
    readable_now,
    time_left,
    wait_readable_or_writable,
)
from poeproto_h11.client.happy_eyeballs import Address, connect_first
from poeproto_h11.client.proxy import ProxyRules
from poeproto_h11.client.tls import secure, system_trust
from poeproto_h11.client.tunnel import ProxyConnector
from poeproto_runtime.client.tools import ToolRunner, is_asynchronous
from poeproto_runtime.client.urls import Origin

T = TypeVar("T")

_READ_SIZE = 64 * 1024
# Seconds. System calls count milliseconds in 31 bits; without a deadline we wait for these 23 days.
_LONGEST_WAIT = 2_000_000.0


def run_sync(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in the caller's thread, whether or not an event loop is running there.

    Raises:
        RuntimeError: when it suspends. Nothing does over a backend that blocks, so something else was awaited, and
            only an event loop could resume it.
    """
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    suspended = RuntimeError("a blocking call awaited something that does not block: it would need an event loop")
    try:
        coroutine.close()
    except RuntimeError as exc:  # its cleanup suspends as well
        raise suspended from exc
    raise suspended


def socket_backend(
    ssl_context: ssl.SSLContext | None = None,
    connector: Connector | None = None,
    proxies: ProxyRules | None = None,
    unix_socket: str | os.PathLike[str] | None = None,
) -> Backend:
    """The backend over blocking sockets. Arguments as of `anyio_backend`."""
    proxies = proxies or ProxyRules()
    connect = ProxyConnector(connector or SocketConnector(ssl_context, unix_socket), proxies, ssl_context)
    return Backend(connect, _sleep, _call, BlockingToolRunner, proxies)


async def _sleep(seconds: float) -> None:
    time.sleep(seconds)  # noqa: ASYNC251 - blocking is the point


async def _call(function: Callable[..., T], *args: Any) -> T:
    return function(*args)


# --- connections


class SocketConnector:
    """Opens streams over blocking sockets: over TCP or a Unix socket, with TLS or without.

    Args:
        ssl_context: for https; by default certificates are verified against the system's trust store.
        unix_socket: the path of a socket to connect to, whatever the origin.
    """

    def __init__(
        self, ssl_context: ssl.SSLContext | None = None, unix_socket: str | os.PathLike[str] | None = None
    ) -> None:
        self._ssl_context = ssl_context
        self._unix_socket = unix_socket

    async def __call__(self, origin: Origin, timeout: float) -> ByteStream:
        """A stream connected to that server."""
        end = time.monotonic() + min(timeout, _LONGEST_WAIT)
        context = self._tls() if origin.scheme == "https" else None
        try:
            if self._unix_socket is not None:
                stream = SocketStream(_connect_unix(self._unix_socket, end))
            else:
                stream = SocketStream(connect_first(_resolve(origin, end), end))
            return stream if context is None else await secure(stream, context, origin.host, end - time.monotonic())
        except CONNECT_FAILURES as exc:
            if is_deadline(exc):
                raise
            where = "" if self._unix_socket is None else f" at unix:{os.fspath(self._unix_socket)}"
            raise ConnectFailed(f"no connection to {origin}{where}: {failure_reason(exc)}") from exc

    def _tls(self) -> ssl.SSLContext:
        if self._ssl_context is None:
            self._ssl_context = system_trust()
        return self._ssl_context


def _connect_unix(path: str | os.PathLike[str], end: float) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(time_left(end))
        connection.connect(os.fspath(path))
    except BaseException:
        connection.close()
        raise
    return connection


def _resolve(origin: Origin, end: float) -> Sequence[Address]:
    """The addresses of the server.

    The system's resolver takes no deadline, so a name is resolved in a thread, which is abandoned at the deadline.
    """
    try:
        return socket.getaddrinfo(
            origin.host, origin.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        )
    except socket.gaierror:
        pass  # a host name, to be resolved
    left = time_left(end)
    look_up = partial(socket.getaddrinfo, origin.host, origin.port, type=socket.SOCK_STREAM)
    return _in_daemon_thread(f"look up {origin.host}", look_up).result(left)


class SocketStream:
    """A `ByteStream` over a connected socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._unsent = memoryview(b"")

    async def receive(self, timeout: float) -> bytes:
        """The next bytes; empty at the end."""
        if timeout <= 0:
            raise TimeoutError  # a socket with a timeout of 0 does not block, and raises another error
        try:
            self._socket.settimeout(min(timeout, _LONGEST_WAIT))
            return self._socket.recv(_READ_SIZE)
        except OSError as exc:
            if is_deadline(exc):
                raise
            raise ConnectionLost("the connection broke while it was read") from exc

    async def send(self, data: bytes, timeout: float) -> None:
        """Send all of the data."""
        if timeout <= 0:
            raise TimeoutError
        try:
            self._socket.settimeout(min(timeout, _LONGEST_WAIT))
            self._socket.sendall(data)
        except OSError as exc:
            if is_deadline(exc):
                raise
            raise ConnectionLost("the connection broke while it was written") from exc

    async def send_until_answered(self, data: bytes, timeout: float) -> bool:
        """Send all of the data, or stop when there is something to read. Returns whether all was sent."""
        end = time.monotonic() + min(timeout, _LONGEST_WAIT)
        self._unsent = memoryview(bytes(self._unsent) + data)
        try:
            self._socket.settimeout(0)
            while self._unsent:
                try:
                    self._unsent = self._unsent[self._socket.send(self._unsent) :]
                except BlockingIOError:
                    if wait_readable_or_writable(self._socket, time_left(end)):
                        return False
        except OSError as exc:
            if is_deadline(exc):
                raise
            raise ConnectionLost("the connection broke while it was written") from exc
        return True

    async def aclose(self) -> None:
        """Close at once."""
        self._socket.close()

    def close_socket(self) -> None:
        """Close at once."""
        self._socket.close()

    def is_idle(self) -> bool:
        """Whether there is nothing to read."""
        return self._socket.fileno() >= 0 and not readable_now(self._socket)

    async def is_answering(self) -> bool:
        """Whether the peer has sent something, or disconnected. Does not wait."""
        return not self.is_idle()


# --- tools


class BlockingToolRunner:
    """Runs each tool in a thread, all tools of a round at once, and blocks until all have returned.

    A thread cannot be stopped. When the wait is interrupted, its tools run on, and nothing waits for them: they end
    with the interpreter at the latest.

    Args:
        functions: keyed by the names that the model knows.
        raise_errors: raise `UnknownTool` and `ToolFailed` instead of returning them to the model as results.

    Raises:
        TypeError: for an asynchronous function.
    """

    def __init__(self, functions: Mapping[str, Callable[..., Any]], *, raise_errors: bool = False) -> None:
        for name, function in functions.items():
            if is_asynchronous(function):
                raise TypeError(f"the tool {name!r} is asynchronous: it needs an event loop, so use Client for it")
        self._runner = ToolRunner(functions, raise_errors=raise_errors, call=_call_tool)

    async def __call__(self, calls: list[ToolCall]) -> list[ToolResult]:
        """The result of each call, in their order. Raises the exceptions of `ToolRunner`."""
        futures = [_in_daemon_thread("tool", partial(run_sync, self._runner.run(call))) for call in calls]
        return [future.result() for future in futures]


async def _call_tool(function: Callable[..., Any], arguments: Mapping[str, Any]) -> object:
    value = function(**arguments)
    if not inspect.isawaitable(value):
        return value
    if isinstance(value, Coroutine):
        value.close()
    raise TypeError("the tool returned an awaitable, which needs an event loop: use Client for it")


# --- threads


def _in_daemon_thread(name: str, function: Callable[[], T]) -> Future[T]:
    """Call the function in a thread of that name, which does not keep the interpreter from exiting."""
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(function())
        except BaseException as exc:  # noqa: BLE001 - raised by the thread that waits
            outcome.set_exception(exc)

    threading.Thread(target=run, name=name, daemon=True).start()
    return outcome
