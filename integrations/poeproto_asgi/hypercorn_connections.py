"""The connections that Hypercorn has open: known from `accept` on, so that they can be reset.

Hypercorn waits without a bound for a client that does not read: on trio its writes are shielded from cancellation, and
on asyncio the close of a connection waits until everything is written. Only the end of the socket ends such a wait.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from typing import Any, Protocol
from weakref import WeakValueDictionary

import anyio

from poeproto_runtime.listen import EXHAUSTED

_LONGEST_TIMEOUT = 2**31 - 1  # in milliseconds, 24 days; the option holds no more
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class OpenConnections(Protocol):
    """The open connections of one server."""

    def reset(self, peer: tuple[str, int]) -> None:
        """Reset the connection with this peer, now or soon."""
        ...

    def reset_all(self) -> None:
        """Reset every connection now."""
        ...

    async def run(self) -> None:
        """Reset the connections that `reset` has queued, until cancelled."""
        ...


class RecordingListener(socket.socket):
    """A listening socket that records the connections that it accepts: `OpenConnections` for asyncio's own event loops.

    They call `accept` of the object that they are given; `records_accepts` tells which loops do.

    Args:
        listener: the socket that this takes over.
        queue_size: how many connections may wait in the system's queue.
    """

    def __init__(self, listener: socket.socket, queue_size: int) -> None:
        super().__init__(fileno=listener.detach())
        self.setblocking(False)
        self._queue_size = queue_size
        self._is_exhausted = False  # whether the last `accept` failed because descriptors or memory ran out
        # By peer. The values are weak: a connection that its transport has dropped is closed.
        self._open: WeakValueDictionary[object, socket.socket] = WeakValueDictionary()

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept a connection, and record it.

        In one iteration, asyncio accepts as many connections as its `backlog` says. Where descriptors have run out, it
        logs a traceback and schedules a retry for each of them: tens of thousands of lines in seconds. So the call
        after such an error finds no connection, which ends the iteration.
        """
        if self._is_exhausted:
            self._is_exhausted = False
            raise BlockingIOError
        try:
            connection, address = super().accept()
        except OSError as exc:
            self._is_exhausted = exc.errno in EXHAUSTED
            raise
        # A Unix socket's client has no address; the descriptor is unique among open sockets.
        self._open[address[:2] if address else connection.fileno()] = connection
        return connection, address

    def listen(self, backlog: int = 0, /) -> None:
        """Listen, with a queue of `queue_size`; asyncio's `backlog` is how many it accepts in one iteration."""
        super().listen(self._queue_size)

    def reset(self, peer: tuple[str, int]) -> None:
        """Reset the connection with this peer."""
        connection = self._open.get(peer)
        if connection is not None:
            reset_connection(connection)

    def reset_all(self) -> None:
        """Reset every connection."""
        for connection in list(self._open.values()):
            reset_connection(connection)

    async def run(self) -> None:
        """Wait to be cancelled: nothing is left to be done."""
        await anyio.sleep_forever()


def records_accepts() -> bool:
    """Whether the running asyncio loop calls `accept` of a listener's own; uvloop and the proactor loop do not."""
    return isinstance(asyncio.get_running_loop(), asyncio.SelectorEventLoop)


def reset_connection(connection: socket.socket) -> None:
    """Reset a connection, whatever waits to be written.

    Its reader and writer learn of it from the event loop, as if the peer had reset it, and close the descriptor; that
    is not done here.
    """
    with suppress(OSError):  # disconnected meanwhile
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        connection.shutdown(socket.SHUT_RDWR)


def set_send_timeout(listener: socket.socket, seconds: float) -> None:
    """Have the kernel reset each accepted connection whose peer acknowledges nothing for `seconds`
    (`TCP_USER_TIMEOUT`).

    Only where the system can: on Linux, accepted sockets inherit TCP_USER_TIMEOUT
    (https://man7.org/linux/man-pages/man7/tcp.7.html). Elsewhere this does nothing.
    """
    if hasattr(socket, "TCP_USER_TIMEOUT") and listener.family in (socket.AF_INET, socket.AF_INET6):
        milliseconds = max(1, round(min(seconds * 1000, _LONGEST_TIMEOUT)))
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
