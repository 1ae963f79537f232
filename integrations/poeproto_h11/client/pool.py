"""Connections that wait to be used again."""

from __future__ import annotations

import threading
import time

from poeproto import LocalProtocolError
from poeproto_h11.client.connection import Clock, Connection
from poeproto_h11.client.streams import Connector
from poeproto_h11.client.urls import Origin

_MOST_IDLE = 64
# How often connections are looked at that their peers may have closed.
_PRUNE_SECONDS = 5.0


class Pool:
    """Opens connections, and keeps those that are done with for the next request to the same origin.

    Threads may share it: a connection is in the hands of one of them, or in the pool. No lock is held across an await.

    Args:
        connect: how connections are opened.

    Attributes:
        opened: how many connections were opened so far.
    """

    def __init__(self, connect: Connector) -> None:
        self.opened = 0
        self._connect = connect
        self._idle: list[tuple[Origin, Connection]] = []  # the last used comes last
        self._pruned = time.monotonic()
        self._closed = False
        self._lock = threading.RLock()  # a finaliser that gives back may run while it is held

    async def take(self, origin: Origin, clock: Clock) -> Connection:
        """A connection for one exchange, an idle one if there is any that still stands.

        Raises:
            ConnectFailed, DeadlineExceeded: when no connection comes about.
            LocalProtocolError: when the pool is closed, so that there is no other try.
        """
        if self._closed:
            raise LocalProtocolError("the client is closed")
        while (connection := self._last_used(origin)) is not None:
            if connection.is_quiet():
                return connection
            await connection.aclose()
        try:
            stream = await self._connect(origin, clock.left(clock.timeouts.connect))
        except TimeoutError as exc:
            raise clock.exceeded("connect") from exc
        with self._lock:
            self.opened += 1
        return Connection(stream)

    def _last_used(self, origin: Origin) -> Connection | None:
        """Out of the pool, the idle connection that is the least likely to have been closed by the peer."""
        with self._lock:
            for number in range(len(self._idle) - 1, -1, -1):
                if self._idle[number][0] == origin:
                    return self._idle.pop(number)[1]
        return None

    async def give_back(self, origin: Origin, connection: Connection) -> None:
        """Keep the connection if its exchange is over and it may carry another; close it otherwise."""
        kept = False
        try:
            if connection.ready_for_next():
                with self._lock:
                    if not self._closed:
                        self._idle.append((origin, connection))
                        kept = True
        finally:
            if not kept:
                await connection.aclose()
        for gone in self._let_go():
            await gone.aclose()

    def _let_go(self) -> list[Connection]:
        """Out of the pool, what is too much of it and, from time to time, what the peers have closed."""
        with self._lock:
            excess = self._idle[:-_MOST_IDLE]
            del self._idle[:-_MOST_IDLE]
            if time.monotonic() - self._pruned > _PRUNE_SECONDS:
                self._pruned = time.monotonic()
                gone = [entry for entry in self._idle if not entry[1].is_quiet()]
                self._idle = [entry for entry in self._idle if entry not in gone]
                excess += gone
        return [connection for _, connection in excess]

    async def aclose(self) -> None:
        """Close what is idle now, and from now on what is given back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for _, connection in idle:
            await connection.aclose()
