"""Connections that Hypercorn keeps to itself: cut by the system when nobody reads them, and by force at the end.

Hypercorn waits for a peer that does not read without a bound: on trio its writes are shielded from cancellation, and on
asyncio the close of a connection waits until all is written. What it waits for ends only when the socket below does.
"""

from __future__ import annotations

import os
import socket
import stat
import struct
import sys
from collections.abc import Container, Generator
from contextlib import suppress
from pathlib import Path

import anyio

_OPEN_FILES = Path("/dev/fd")
_SECONDS_BETWEEN_LOOKS = 0.5
# In milliseconds, 24 days: what fits the option, and does as well as for ever.
_LONGEST_TIMEOUT = 2**31 - 1
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_CAN_MARK = sys.platform == "linux" and sys.maxsize > 2**32
_NOT_MARKED = struct.pack("ll", 0, 0)


def cut_unread_after(listener: socket.socket, seconds: float) -> None:
    """Have the system end each connection accepted here whose peer takes nothing for so long.

    Where the system cannot (it can on Linux: https://man7.org/linux/man-pages/man7/tcp.7.html, TCP_USER_TIMEOUT, which
    accepted sockets inherit), nothing is done.
    """
    if hasattr(socket, "TCP_USER_TIMEOUT") and listener.family in (socket.AF_INET, socket.AF_INET6):
        milliseconds = max(1, round(min(seconds * 1000, _LONGEST_TIMEOUT)))
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)


def _mark(listener: socket.socket) -> bytes:
    """Have each connection made to this socket from here on be told from those of others at the same address, which
    there are when several sockets listen there (``SO_REUSEPORT``), or one after the other.

    Returns:
        What tells them: an option that they inherit, to no effect, since it is for sockets that block. Nothing, where
        that is not known to be so (it is on 64-bit Linux, for TCP).
    """
    if not _CAN_MARK or listener.family not in (socket.AF_INET, socket.AF_INET6):
        return b""
    # The number of the socket itself, the same in all processes that share it.
    number = os.fstat(listener.fileno()).st_ino
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", number, 0))
    return _mark_of(listener)


def _mark_of(connection: socket.socket) -> bytes:
    return connection.getsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, len(_NOT_MARKED))


class Accepted:
    """The connections that this process has accepted from a listening socket.

    They are found among the open files of the process, since neither event loop nor Hypercorn tells. Where the system
    does not list those (Windows), none are found.

    Args:
        listener: marked and looked at now only, so it may be closed or handed on afterwards.
    """

    def __init__(self, listener: socket.socket) -> None:
        self._family = listener.family
        self._address = listener.getsockname()
        self._mark = _mark(listener)

    def open(self) -> Generator[socket.socket]:
        """Those that are open: a duplicate of each, which is closed when the next is asked for.

        A duplicate stays what it is, should another thread close the file and open another in its place.
        """
        if not self._mark:
            yield from self._connections()
            return
        # Those without a mark were made before there was one; or they are another's, where one listens here now.
        marks = {self._mark} if self._others_listen() else {self._mark, _NOT_MARKED}
        for connection in self._connections():
            if _mark_of(connection) in marks:
                yield connection

    def reset(self, peers: Container[object] | None = None) -> None:
        """Break those with these peers, or all, whatever waits to be written.

        Who reads or writes them learns of it from the event loop, as if the peer had reset the connection, and closes
        the file, which is not done here.

        Args:
            peers: each a host and a port.
        """
        # At one address a peer has one connection, so that no mark is needed to tell whose it is.
        for connection in self.open() if peers is None else self._connections():
            with suppress(OSError):  # disconnected meanwhile
                if peers is None or connection.getpeername()[:2] in peers:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                    connection.shutdown(socket.SHUT_RDWR)

    def _others_listen(self) -> bool:
        return any(
            found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) and _mark_of(found) != self._mark
            for found in self._sockets()
        )

    def _connections(self) -> Generator[socket.socket]:
        for found in self._sockets():
            with suppress(OSError):
                found.getpeername()  # fails for what is not connected, or no more, like a listener
                yield found

    def _sockets(self) -> Generator[socket.socket]:
        """All at the address that the listener has or had."""
        for name in os.listdir(_OPEN_FILES) if _OPEN_FILES.exists() else ():
            with suppress(OSError):  # closed meanwhile
                if stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                    with socket.socket(fileno=os.dup(int(name))) as found:
                        if self._is_at_the_address(found):
                            yield found

    def _is_at_the_address(self, found: socket.socket) -> bool:
        if found.family != self._family or found.type != socket.SOCK_STREAM:
            return False
        address = found.getsockname()
        if self._family not in (socket.AF_INET, socket.AF_INET6):
            return address == self._address
        # A peer's end in this process has a port of its own.
        host, port = self._address[:2]
        return address[1] == port and host in (address[0], "0.0.0.0", "::")


class Resets:
    """Resets connections one by one, on request.

    Finding one costs a look at all, so those that are asked for at about the same time are found together.
    """

    def __init__(self, accepted: Accepted) -> None:
        self._accepted = accepted
        self._peers: set[tuple[str, int]] = set()
        self._wanted = anyio.Event()

    def ask_for(self, peer: tuple[str, int]) -> None:
        """Have the connection with this peer reset."""
        self._peers.add(peer)
        self._wanted.set()

    async def run(self) -> None:
        """Do it, until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted = anyio.Event()
            peers, self._peers = self._peers, set()
            self._accepted.reset(peers)
            await anyio.sleep(_SECONDS_BETWEEN_LOOKS)
