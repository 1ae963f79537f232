"""Connecting to whichever address of a server answers first, without an event loop. anyio does the same with one.

https://www.rfc-editor.org/rfc/rfc8305
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
import time
from collections import deque
from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import Any, cast

from poeproto_h11.client.tls import time_left

Address = tuple[int, int, int, str, tuple[Any, ...]]

# How long an address has before the next is tried as well (RFC 8305, 5: "a recommended value is 250 milliseconds").
_HEAD_START = 0.25
_UNDER_WAY = frozenset({0, errno.EINPROGRESS, errno.EWOULDBLOCK})


def connect_first(addresses: Sequence[Address], end: float) -> socket.socket:
    """A socket connected to the first of the addresses that takes it; each has a head start on the next until it fails.

    Args:
        addresses: as `socket.getaddrinfo` gives them.
        end: until when, on the monotonic clock.

    Raises:
        TimeoutError: when none has by then.
        OSError: when none does; a `TimeoutError`, too, where the system has given up (see `is_deadline`).
    """
    with _Race() as race:
        left = deque(alternating(addresses))
        next_start = 0.0
        while left or race.trying:
            wait = time_left(end)
            if left:
                head_start = next_start - time.monotonic() if race.latest in race.trying else 0.0
                if head_start <= 0:
                    next_start = time.monotonic() + _HEAD_START
                    race.enter(left.popleft())
                    continue
                wait = min(wait, head_start)
            winner = race.winner(wait)
            if winner is not None:
                return winner
        raise race.failure


def alternating(addresses: Sequence[Address]) -> list[Address]:
    """The addresses in their order, but those of IPv4 and IPv6 in turn: a whole family may be cut off (RFC 8305, 4)."""
    first = [address for address in addresses if address[0] == addresses[0][0]]
    others = [address for address in addresses if address[0] != addresses[0][0]]
    return [address for address in chain.from_iterable(zip_longest(first, others)) if address is not None]


class _Race:
    """Sockets that are connecting. Leaving closes all but the winner.

    Attributes:
        trying: the sockets.
        latest: the one that entered last, whether or not it is still among them.
        failure: why the last of those that failed did.
    """

    def __init__(self) -> None:
        self.trying: set[socket.socket] = set()
        self.latest: socket.socket | None = None
        self.failure = OSError("the name has no address")
        self._selector = selectors.DefaultSelector()

    def enter(self, address: Address) -> None:
        family, kind, protocol, _, where = address
        self.latest = None
        try:
            connection = socket.socket(family, kind, protocol)
        except OSError as exc:  # a family that this machine does not have
            self.failure = exc
            return
        self.latest = connection
        self.trying.add(connection)
        connection.setblocking(False)
        # Before it is connected: after that, some systems refuse where the peer has gone already.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = connection.connect_ex(where)
        if code in _UNDER_WAY:
            self._selector.register(connection, selectors.EVENT_WRITE)
        else:
            self._lose(connection, code)

    def winner(self, wait: float) -> socket.socket | None:
        """The first socket that is connected, if there is one within so many seconds."""
        for key, _ in self._selector.select(wait):
            connection = cast("socket.socket", key.fileobj)
            self._selector.unregister(connection)
            code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                self._lose(connection, code)
            else:
                self.trying.remove(connection)
                return connection
        return None

    def _lose(self, connection: socket.socket, code: int) -> None:
        self.failure = OSError(code, os.strerror(code))
        self.trying.remove(connection)
        connection.close()

    def __enter__(self) -> _Race:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._selector.close()
        for connection in self.trying:
            connection.close()
