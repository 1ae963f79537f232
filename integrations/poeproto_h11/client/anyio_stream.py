"""The client's stream over any stream of anyio."""

from __future__ import annotations

import socket

import anyio
import anyio.abc

from poeproto import ConnectionLost, LocalProtocolError
from poeproto_h11.client.backend import readable_now
from poeproto_runtime.client.transport import OTHER_READER

READ_SIZE = 64 * 1024


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
                data = await self._stream.receive(READ_SIZE)
        except anyio.EndOfStream:
            return b""
        except anyio.BusyResourceError as exc:
            raise LocalProtocolError(OTHER_READER) from exc
        except (anyio.BrokenResourceError, anyio.ClosedResourceError) as exc:
            raise ConnectionLost("the connection broke while it was read") from exc
        self._read_ahead = len(data) == READ_SIZE
        return data

    async def send(self, data: bytes, timeout: float) -> None:
        """Send all of the data."""
        try:
            with anyio.fail_after(timeout):
                await self._stream.send(data)
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError) as exc:
            raise ConnectionLost("the connection broke while it was written") from exc

    async def send_until_answered(self, data: bytes, timeout: float) -> bool:
        """Send all of the data. anyio does not say how much of it was sent, so this does not stop for an answer."""
        await self.send(data, timeout)
        return True

    async def aclose(self) -> None:
        """Close at once."""
        # Shielded, because a caller that is being cancelled may have more connections to close.
        with anyio.CancelScope(shield=True):
            await anyio.aclose_forcefully(self._stream)

    def close_socket(self) -> None:
        """Close without waiting."""
        # asyncio's objects for sockets have no `close`; those are closed when they are collected as garbage.
        if isinstance(self._socket, socket.socket):
            self._socket.close()

    def is_idle(self) -> bool:
        """Whether there is nothing to read."""
        if self._socket is None or self._socket.fileno() < 0 or self._read_ahead:
            return False
        return not readable_now(self._socket)

    async def is_answering(self) -> bool:
        """Whether the peer has sent something, or disconnected. Does not wait."""
        return not self.is_idle()
