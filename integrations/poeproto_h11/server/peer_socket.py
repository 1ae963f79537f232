"""A client's socket, as the embedded server uses it.

There is no stream of anyio's between, since each of its writes takes a turn of the event loop even where there is room.
To the runtime a write that takes a turn is a wait, for which it starts a task beside the bot's.
"""

from __future__ import annotations

import contextlib
import socket
import struct

import anyio

from poeproto_runtime import ClientDisconnected

_READ_SIZE = 64 * 1024


class PeerSocket:
    """A connected socket, which this takes over.

    Attributes:
        in_parts: whether of what was sent last the system took a part, and not yet the rest.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._socket = connection
        self.in_parts = False

    async def receive(self) -> bytes:
        """Some bytes, after a turn of the event loop at least; none at the end, or where the connection is broken."""
        while True:
            await anyio.wait_readable(self._socket)
            try:
                return self._socket.recv(_READ_SIZE)
            except BlockingIOError:
                pass  # a false alarm
            except OSError:
                return b""

    async def send(self, data: bytes) -> None:
        """Send all of them; this waits for room, and for nothing else, so a cancellation mostly finds it done.

        Raises:
            PeerGone: when the connection is broken.
        """
        left = memoryview(data)
        try:
            while left:
                try:
                    left = left[self._socket.send(left) :]
                    self.in_parts = len(left) > 0
                except BlockingIOError:
                    await anyio.wait_writable(self._socket)
        except OSError as exc:
            raise ClientDisconnected("the connection broke while the answer was written") from exc

    def send_eof(self) -> None:
        """Say that no more will be sent."""
        with contextlib.suppress(OSError):  # broken already
            self._socket.shutdown(socket.SHUT_WR)

    def close(self, *, reset: bool) -> None:
        """Close it, with a reset if need be, which nobody takes for an end."""
        if reset:
            with contextlib.suppress(OSError):  # broken already
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()
