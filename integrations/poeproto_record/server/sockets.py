"""Sockets of the recording proxy and the replay: each read is one read of the kernel, each write goes out at once.

They are not anyio streams: on asyncio those read up to 256 KiB ahead, join reads, and cannot reset a connection.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Protocol, TypeVar

import anyio

T = TypeVar("T")

# The most that one direction of a connection holds. Both together stay below 64 KiB.
READ_SIZE = 16 * 1024
_TLS_READ = 16 * 1024
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class ByteSocket(Protocol):
    """A connected socket, with TLS or without. One task may read and another write at once.

    `receive` returns empty bytes at the end of the stream. All methods raise `OSError` on a broken connection.
    """

    async def receive(self) -> bytes:
        """The next bytes: one read."""
        ...

    async def send(self, data: bytes) -> None:
        """Send all of the bytes; suspends while the kernel's buffer is full."""
        ...

    async def send_eof(self) -> None:
        """End this side of the stream."""
        ...

    def close(self, *, reset: bool = False) -> None:
        """Close at once. No task may be using the socket."""
        ...


class PlainSocket:
    """A `ByteSocket` without TLS.

    Args:
        connection: a connected socket, which this takes over.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        if connection.family in (socket.AF_INET, socket.AF_INET6):
            # A small event must not wait until the peer has acknowledged the one before.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connection

    async def receive(self, size: int = READ_SIZE) -> bytes:
        """The next bytes: one read of at most `size`."""
        while True:
            await anyio.wait_readable(self._socket)
            with contextlib.suppress(BlockingIOError):  # a spurious wakeup
                return self._socket.recv(size)

    async def send(self, data: bytes) -> None:
        """Send all of the bytes."""
        left = memoryview(data)
        while left:
            try:
                left = left[self._socket.send(left) :]
            except BlockingIOError:
                await anyio.wait_writable(self._socket)

    async def send_eof(self) -> None:
        """End this side of the stream."""
        with contextlib.suppress(OSError):  # broken already
            self._socket.shutdown(socket.SHUT_WR)

    def close(self, *, reset: bool = False) -> None:
        """Close at once; with a reset, which no peer mistakes for the end of a message."""
        if reset:
            with contextlib.suppress(OSError):  # broken already
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._socket.close()


class TlsSocket:
    """A `ByteSocket` with TLS, as a client.

    Args:
        plain: the connection, which this takes over.
        context: the TLS context.
        host: the name that the certificate must have.
    """

    def __init__(self, plain: PlainSocket, context: ssl.SSLContext, host: str) -> None:
        self._plain = plain
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._writing = anyio.Lock()  # a read may have to write, too

    async def handshake(self) -> None:
        """Raises `ssl.SSLError` when it fails, for instance for an invalid certificate."""
        await self._run(self._tls.do_handshake)
        await self._flush()

    async def receive(self) -> bytes:
        """The next bytes: one record of TLS at most."""
        try:
            return await self._run(lambda: self._tls.read(_TLS_READ))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):  # many servers end without a close_notify
            return b""

    async def send(self, data: bytes) -> None:
        """Send all of the bytes."""
        left = memoryview(data)
        while left:
            left = left[self._tls.write(left) :]
            await self._flush()

    async def send_eof(self) -> None:
        """End this side of the stream."""
        with contextlib.suppress(OSError):  # it waits for the peer's close_notify, which `receive` reads
            self._tls.unwrap()
        with contextlib.suppress(OSError):  # broken already
            await self._flush()
        await self._plain.send_eof()

    def close(self, *, reset: bool = False) -> None:
        """Close at once."""
        self._plain.close(reset=reset)

    async def _run(self, operation: Callable[[], T]) -> T:
        """Run an operation of TLS, and exchange records with the peer until it returns."""
        while True:
            try:
                return operation()
            except ssl.SSLWantReadError:
                await self._flush()
                if data := await self._plain.receive(_TLS_READ):
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()

    async def _flush(self) -> None:
        async with self._writing:
            if self._outgoing.pending:
                await self._plain.send(self._outgoing.read())
