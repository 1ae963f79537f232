"""A hack in its cage: find the connections that uvloop and trio have accepted, among the process's descriptors.

Purpose: to reset connections that Hypercorn will not end. It is needed on uvloop and on trio, because neither
tells which connections it accepted: uvloop accepts in C, from the descriptor; trio takes no subclass of `socket.socket`
and calls the base class's `accept`. asyncio calls the listener's own `accept`, so `RecordingListener` serves there. A
server that accepted by itself, and gave Hypercorn its connections, would not need this file.

It relies on: ``/dev/fd`` (Linux, macOS, BSD); elsewhere nothing is found. To tell the connections of two listeners
at one address apart, it also relies on `SO_SNDTIMEO`, which accepted sockets inherit, and which has no effect on
sockets that do not block (64-bit Linux, TCP); elsewhere all connections at the address count as the listener's.

Consequences of removing it, on uvloop and trio, and the test that fails (`tests/integrations/asgi/test_shutdown.py`):

- Without `reset_all`, a client that does not read keeps `serve` on trio from returning, for `Limits.send_seconds` on
  Linux and for ever elsewhere: `test_a_peer_that_does_not_read_does_not_keep_the_server`. On uvloop, Hypercorn's own
  timeout ends it, and logs failures: `test_an_incomplete_request_does_not_delay_the_stop`.
- Without `reset`, a reply that is cut off on uvloop leaves its connection open, with all that is buffered for it:
  `test_a_peer_that_does_not_read_in_time_is_cut_off`.
- Without the mark, a server that stops resets the connections of the next one at its address:
  `test_a_server_that_stops_does_not_reset_the_next_one_at_its_address`.

`test_hypercorn_connections.py` fails when uvloop or trio begins to call a listener's `accept`: this file can go then.

Cost: a scan takes a few system calls for each descriptor of the process, so resets asked for within half a
second share one. Nothing is paid before the first reset.
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

from poeproto_asgi.hypercorn_connections import reset_connection

_DESCRIPTORS = Path("/dev/fd")
_SECONDS_BETWEEN_SCANS = 0.5
_CAN_MARK = sys.platform == "linux" and sys.maxsize > 2**32
_NO_MARK = struct.pack("ll", 0, 0)  # a timeval of nothing: no timeout


class ScannedConnections:
    """The open connections that this process accepted from a listening socket.

    Args:
        listener: read and marked now only; it may be closed or handed on afterwards.
    """

    def __init__(self, listener: socket.socket) -> None:
        self._family = listener.family
        self._address = listener.getsockname()
        self._mark = _mark(listener)
        self._peers: set[tuple[str, int]] = set()  # whose connections are to be reset by the next scan
        self._requested = anyio.Event()

    def reset(self, peer: tuple[str, int]) -> None:
        """Reset the connection with this peer soon, in `run`."""
        self._peers.add(peer)
        self._requested.set()

    def reset_all(self) -> None:
        """Reset every connection now."""
        for connection in self.open():
            reset_connection(connection)

    async def run(self) -> None:
        """Do the resets that `reset` asks for, until cancelled."""
        while True:
            await self._requested.wait()
            self._requested = anyio.Event()
            peers, self._peers = self._peers, set()
            self.reset_peers(peers)
            await anyio.sleep(_SECONDS_BETWEEN_SCANS)

    def reset_peers(self, peers: Container[object]) -> None:
        """Reset the connections with these peers now."""
        # At one address a peer has one connection, so no mark is needed to identify the server.
        for connection in self._connected():
            with suppress(OSError):  # disconnected meanwhile
                if connection.getpeername()[:2] in peers:
                    reset_connection(connection)

    def open(self) -> Generator[socket.socket]:
        """Each open connection, as a duplicate that is closed when the next one is asked for.

        A duplicate refers to the same connection even if another thread closes the descriptor and it is used again.
        """
        if not self._mark:
            yield from self._connected()
            return
        # A connection without a mark was accepted before there was one; or, where another server listens at this
        # address now, it may be that server's.
        marks = {self._mark} if self._others_listen() else {self._mark, _NO_MARK}
        for connection in self._connected():
            if _mark_of(connection) in marks:
                yield connection

    def _others_listen(self) -> bool:
        return any(
            found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) and _mark_of(found) != self._mark
            for found in self._sockets()
        )

    def _connected(self) -> Generator[socket.socket]:
        for found in self._sockets():
            with suppress(OSError):  # getpeername fails for a listener and for a socket that is disconnected
                found.getpeername()
                yield found

    def _sockets(self) -> Generator[socket.socket]:
        """All sockets of the process at the listener's address."""
        for name in os.listdir(_DESCRIPTORS) if _DESCRIPTORS.exists() else ():
            with suppress(OSError):  # closed meanwhile
                if stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                    with socket.socket(fileno=os.dup(int(name))) as found:
                        if self._has_address(found):
                            yield found

    def _has_address(self, found: socket.socket) -> bool:
        if found.family != self._family or found.type != socket.SOCK_STREAM:
            return False
        address = found.getsockname()
        if self._family not in (socket.AF_INET, socket.AF_INET6):
            return address == self._address
        # The other end of a connection, if it is in this process too, has another port.
        host, port = self._address[:2]
        return address[1] == port and host in (address[0], "0.0.0.0", "::")


def _mark(listener: socket.socket) -> bytes:
    """Mark a listener; connections that it accepts from now on inherit the mark. Returns nothing where none can be."""
    if not _CAN_MARK or listener.family not in (socket.AF_INET, socket.AF_INET6):
        return b""
    # The socket's inode number is the same in all processes that share it. It stands in the place of the seconds.
    number = os.fstat(listener.fileno()).st_ino
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", number, 0))
    return _mark_of(listener)


def _mark_of(connection: socket.socket) -> bytes:
    return connection.getsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, len(_NO_MARK))
