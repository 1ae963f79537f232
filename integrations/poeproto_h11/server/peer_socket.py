"""A client's socket, as the embedded server uses it.

It is not an anyio stream, because each write of those takes an iteration of the event loop, even where the kernel has
capacity. The runtime would see such a write as a suspension, and start a second task for the reply.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import sys
from collections.abc import Coroutine
from typing import Any

import anyio

from poeproto_runtime import ClientDisconnected

_BROKEN = "the connection broke while the response was written"
_READ_SIZE = 64 * 1024
# The offset of tcpi_last_data_recv: eight bytes, and eleven numbers of four.
_LAST_DATA_RECEIVED = 52
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
# Linux reports the peer's end of stream even behind bytes that nobody has read. Elsewhere only a reset is reported.
_HANG_UP: int = getattr(select, "POLLRDHUP", 0)


class PeerSocket:
    """A connected socket, which this takes over.

    Attributes:
        partly_sent: whether the kernel has accepted a part of the last `send`, and not the rest.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._socket = connection
        self.partly_sent = False

    async def receive(self) -> bytes:
        """Some bytes; empty at the end of the stream and where the connection is broken.

        Takes at least one iteration of the event loop.
        """
        while True:
            await anyio.wait_readable(self._socket)
            try:
                return self._socket.recv(_READ_SIZE)
            except BlockingIOError:
                pass  # a spurious wakeup
            except OSError:
                return b""

    def send(self, data: bytes) -> Coroutine[Any, Any, None] | None:
        """Send bytes.

        Returns:
            None if the kernel has accepted all of them. Otherwise, an awaitable: it waits while the kernel's buffer is
            full, and sends the rest.

        Raises:
            ClientDisconnected: when the connection is broken.
        """
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as exc:
            raise ClientDisconnected(_BROKEN) from exc
        if sent == len(data):
            return None
        self.partly_sent = self.partly_sent or sent > 0
        return self._send_rest(memoryview(data)[sent:])

    async def _send_rest(self, left: memoryview) -> None:
        try:
            while left:
                await anyio.wait_writable(self._socket)
                with contextlib.suppress(BlockingIOError):  # a spurious wakeup
                    left = left[self._socket.send(left) :]
                    self.partly_sent = len(left) > 0
        except OSError as exc:
            raise ClientDisconnected(_BROKEN) from exc

    def is_readable(self) -> bool:
        """Whether bytes have arrived that nobody has read."""
        try:
            return len(self._socket.recv(1, socket.MSG_PEEK)) > 0
        except OSError:  # nothing has arrived, or the connection is broken
            return False

    def seconds_unread(self) -> float:
        """How long ago the last bytes arrived, or the connection was made; 0 where the system does not say.

        An accepted connection may have waited in the system's queue. Linux says for how long in `tcp_info`
        (https://man7.org/linux/man-pages/man7/tcp.7.html), in milliseconds, at an offset that never changes.
        """
        if sys.platform != "linux" or self._socket.family not in (socket.AF_INET, socket.AF_INET6):
            return 0.0
        try:
            info = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_DATA_RECEIVED + 4)
        except OSError:  # broken already
            return 0.0
        return struct.unpack_from("I", info, _LAST_DATA_RECEIVED)[0] / 1000

    def send_eof(self) -> None:
        """End our side of the stream."""
        with contextlib.suppress(OSError):  # broken already
            self._socket.shutdown(socket.SHUT_WR)

    def has_hung_up(self) -> bool:
        """Whether the peer has disconnected, as far as the kernel can tell without a read."""
        if not hasattr(select, "poll"):  # on Windows, the next write fails instead
            return False
        poll = select.poll()
        poll.register(self._socket, _HANG_UP)
        return bool(poll.poll(0))

    def close(self, *, reset: bool) -> None:
        """Close the connection; with a reset, which no client mistakes for the end of a response."""
        if reset:
            with contextlib.suppress(OSError):  # broken already
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._socket.close()
