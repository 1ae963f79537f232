"""Happy eyeballs for blocking sockets: connects to whichever address of a server answers first, as anyio does.

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

from poeproto_h11.client.backend import time_left

Address = tuple[int, int, int, str, tuple[Any, ...]]

# The delay before the next address is attempted too (RFC 8305, 5: "a recommended value is 250 milliseconds").
_ATTEMPT_DELAY = 0.25
_IN_PROGRESS = frozenset({0, errno.EINPROGRESS, errno.EWOULDBLOCK})


def connect_first(addresses: Sequence[Address], end: float) -> socket.socket:
    """A socket connected to the first of the addresses that accepts it. They are attempted one after the other.

    The next attempt starts when the one before has failed, or has taken 250 milliseconds; earlier ones continue.

    Args:
        addresses: as `socket.getaddrinfo` returns them.
        end: the deadline, on the monotonic clock.

    Raises:
        TimeoutError: when the deadline has passed.
        OSError: when all attempts failed, as the last of them did. That may also be a `TimeoutError`, the operating
            system's (see `is_deadline`).
    """
    with _Race() as race:
        left = deque(alternating(addresses))
        next_start = 0.0
        while left or race.connecting:
            wait = time_left(end)
            if left:
                delay = next_start - time.monotonic() if race.latest in race.connecting else 0.0
                if delay <= 0:
                    next_start = time.monotonic() + _ATTEMPT_DELAY
                    race.start(left.popleft())
                    continue
                wait = min(wait, delay)
            winner = race.winner(wait)
            if winner is not None:
                return winner
        raise race.failure


def alternating(addresses: Sequence[Address]) -> list[Address]:
    """The addresses in their order, alternating between IPv4 and IPv6: one family may be unreachable (RFC 8305, 4)."""
    first = [address for address in addresses if address[0] == addresses[0][0]]
    others = [address for address in addresses if address[0] != addresses[0][0]]
    return [address for address in chain.from_iterable(zip_longest(first, others)) if address is not None]


class _Race:
    """Sockets that are connecting. Exiting closes all but the winner.

    Attributes:
        connecting: the sockets.
        latest: the socket of the last attempt, whether or not it has failed since; None if there is none.
        failure: the error of the last attempt that failed.
    """

    def __init__(self) -> None:
        self.connecting: set[socket.socket] = set()
        self.latest: socket.socket | None = None
        self.failure = OSError("the name has no address")
        self._selector = selectors.DefaultSelector()

    def start(self, address: Address) -> None:
        family, kind, protocol, _, where = address
        self.latest = None
        try:
            connection = socket.socket(family, kind, protocol)
        except OSError as exc:  # an address family that this machine lacks
            self.failure = exc
            return
        self.latest = connection
        self.connecting.add(connection)
        connection.setblocking(False)
        # Before it connects: afterwards, some systems raise an error if the peer has disconnected already.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = connection.connect_ex(where)
        if code in _IN_PROGRESS:
            self._selector.register(connection, selectors.EVENT_WRITE)
        else:
            self._fail(connection, code)

    def winner(self, wait: float) -> socket.socket | None:
        """The first connected socket within the given seconds; None if there is none, or an attempt failed."""
        for key, _ in self._selector.select(wait):
            connection = cast("socket.socket", key.fileobj)
            self._selector.unregister(connection)
            code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                self._fail(connection, code)
            else:
                self.connecting.remove(connection)
                return connection
        return None

    def _fail(self, connection: socket.socket, code: int) -> None:
        self.failure = OSError(code, os.strerror(code))
        self.connecting.remove(connection)
        connection.close()

    def __enter__(self) -> _Race:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._selector.close()
        for connection in self.connecting:
            connection.close()
