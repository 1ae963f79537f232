"""Streams over blocking sockets, plain and with TLS, behind the same small interface as anyio's: nothing suspends."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

from poeproto import ConnectionLost
from poeproto_h11.streams import readable_now

T = TypeVar("T")

_READ_SIZE = 64 * 1024


def time_left(end: float) -> float:
    """The seconds until then.

    Raises:
        TimeoutError: when there are none.
    """
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


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
                self._take_in(time_left(end))
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
            self._stream.write(self._outgoing.read(), time_left(end))
