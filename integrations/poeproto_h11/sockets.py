"""Streams over blocking sockets, behind the same small interface as anyio's: none of their operations ever suspends."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from poeproto import ConnectFailed, ConnectionLost
from poeproto_h11.backends import Backend
from poeproto_h11.origins import Origin
from poeproto_h11.streams import ByteStream, Connector, failure_reason, readable_now, system_trust

T = TypeVar("T")
Addresses = Sequence[tuple[int, int, int, str, tuple[Any, ...]]]

_READ_SIZE = 64 * 1024


def socket_backend(ssl_context: ssl.SSLContext | None = None, connector: Connector | None = None) -> Backend:
    """The backend without an event loop: everything happens in the caller's thread."""
    return Backend(connector or SocketConnector(ssl_context), _sleep, _call)


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
        end = time.monotonic() + timeout
        try:
            if origin.scheme == "https" and self._ssl_context is None:
                self._ssl_context = system_trust()
            stream = SocketStream(_connect(origin, end))
            if origin.scheme != "https":
                return stream
            try:
                assert self._ssl_context is not None
                secured = TlsStream(stream, self._ssl_context, origin.host)
                secured.handshake(_left(end))
            except BaseException:
                stream.close()
                raise
            return secured
        except TimeoutError:
            raise
        except (OSError, UnicodeError, ConnectionLost) as exc:
            raise ConnectFailed(f"no connection to {origin}: {failure_reason(exc)}") from exc


def _left(end: float) -> float:
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _connect(origin: Origin, end: float) -> socket.socket:
    """A socket connected to the first address of the server that takes it."""
    addresses = _resolve(origin, end)
    failure: OSError | None = None
    for number, (family, kind, protocol, _, address) in enumerate(addresses):
        # An address that swallows everything must not use up the time of those after it.
        share = _left(end) / (len(addresses) - number)
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(share)
            connection.connect(address)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as exc:
            connection.close()
            failure = exc
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise failure or OSError("the name has no address")


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
    addresses: Future[Addresses] = Future()

    def look_up() -> None:
        try:
            addresses.set_result(socket.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM))
        except BaseException as exc:  # noqa: BLE001 - raised by the thread that asked
            addresses.set_exception(exc)

    threading.Thread(target=look_up, name=f"look up {origin.host}", daemon=True).start()
    return addresses.result(_left(end))


class SocketStream:
    """A `ByteStream` over a connected socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection

    async def receive(self, timeout: float) -> bytes:
        """Some bytes; none at the end."""
        return self.read(timeout)

    def read(self, timeout: float) -> bytes:
        """Some bytes; none at the end."""
        if timeout <= 0:
            raise TimeoutError  # to a socket, no time means that it does not block
        try:
            self._socket.settimeout(timeout)
            return self._socket.recv(_READ_SIZE)
        except TimeoutError:
            raise
        except OSError as exc:
            raise ConnectionLost("the connection broke while it was read") from exc

    async def send(self, data: bytes, timeout: float) -> None:
        """Send all of them."""
        self.write(data, timeout)

    def write(self, data: bytes, timeout: float) -> None:
        """Send all of them."""
        if timeout <= 0:
            raise TimeoutError
        try:
            self._socket.settimeout(timeout)
            self._socket.sendall(data)
        except TimeoutError:
            raise
        except OSError as exc:
            raise ConnectionLost("the connection broke while it was written") from exc

    async def aclose(self) -> None:
        """Close at once."""
        self.close()

    def close(self) -> None:
        """Close at once."""
        self._socket.close()

    def is_quiet(self) -> bool:
        """Whether there is nothing to read."""
        return self._socket.fileno() >= 0 and not readable_now(self._socket)


class TlsStream:
    """A `ByteStream` that speaks TLS over another.

    TLS is kept in memory and apart from the socket (`ssl.SSLObject`), so that a deadline is one for a whole operation,
    and so that the socket is in our hands, and can be closed, wherever an operation is interrupted.

    Args:
        stream: the connection.
        context: whom to trust.
        host: the name or address that the server's certificate must be for.
    """

    def __init__(self, stream: SocketStream, context: ssl.SSLContext, host: str) -> None:
        self._stream = stream
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._early = b""  # what was decrypted to see whether there is anything

    def handshake(self, timeout: float) -> None:
        """Agree on keys, and check the certificate.

        Raises:
            ssl.SSLError: when that fails.
        """
        self._do(self._tls.do_handshake, timeout)

    async def receive(self, timeout: float) -> bytes:
        """Some bytes; none at the end."""
        if self._early:
            data, self._early = self._early, b""
            return data
        try:
            return self._do(partial(self._tls.read, _READ_SIZE), timeout)
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            # HTTP says itself where a body ends, and many servers leave out the end of TLS.
            return b""
        except ssl.SSLError as exc:
            raise ConnectionLost("the connection broke while it was read") from exc

    async def send(self, data: bytes, timeout: float) -> None:
        """Send all of them."""
        view = memoryview(data)
        try:
            while view:
                view = view[self._do(partial(self._tls.write, view), timeout) :]
        except ssl.SSLError as exc:
            raise ConnectionLost("the connection broke while it was written") from exc

    async def aclose(self) -> None:
        """Close at once."""
        self._stream.close()

    def is_quiet(self) -> bool:
        """Whether there is nothing to read. What TLS itself has to say, new session tickets for one, is no matter."""
        try:
            while not self._early:
                try:
                    self._early = self._tls.read(_READ_SIZE)
                except ssl.SSLWantReadError:
                    if self._stream.is_quiet():
                        return True
                    self._take_in(1.0)  # there is something, so this does not block
                else:
                    if not self._early:
                        return False
        except (ssl.SSLError, ConnectionLost, TimeoutError):
            pass
        return False

    def _do(self, operation: Callable[[], T], timeout: float) -> T:
        """What the operation returns, once TLS has had what it needs of the peer for it."""
        end = time.monotonic() + timeout
        while True:
            try:
                result = operation()
            except ssl.SSLWantReadError:
                self._flush(end)
                self._take_in(_left(end))
            except ssl.SSLError:
                with suppress(ConnectionLost, TimeoutError):
                    self._flush(end)  # TLS tells the peer what is wrong
                raise
            else:
                self._flush(end)
                return result

    def _take_in(self, timeout: float) -> None:
        data = self._stream.read(timeout)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def _flush(self, end: float) -> None:
        if self._outgoing.pending:
            self._stream.write(self._outgoing.read(), _left(end))
