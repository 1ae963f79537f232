"""Connections that wait to be used again."""

from __future__ import annotations

import time

from poeproto import ConnectFailed
from poeproto_h11.connection import Clock, Connection
from poeproto_h11.origins import Origin
from poeproto_h11.streams import Connector

_MOST_IDLE = 64
# How often connections are looked at that their peers may have closed.
_PRUNE_SECONDS = 5.0


class Pool:
    """Opens connections, and keeps those that are done with for the next request to the same origin.

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

    async def take(self, origin: Origin, clock: Clock) -> Connection:
        """A connection for one exchange, an idle one if there is any that still stands.

        Raises:
            ConnectFailed, DeadlineExceeded: when no connection comes about.
        """
        if self._closed:
            raise ConnectFailed("the client is closed")
        # The last used is the least likely to have been closed by the peer.
        for entry in [entry for entry in reversed(self._idle) if entry[0] == origin]:
            self._idle.remove(entry)
            if entry[1].is_quiet():
                return entry[1]
            await entry[1].aclose()
        try:
            stream = await self._connect(origin, clock.left(clock.timeouts.connect))
        except TimeoutError as exc:
            raise clock.exceeded("connect") from exc
        self.opened += 1
        return Connection(stream)

    async def give_back(self, origin: Origin, connection: Connection) -> None:
        """Keep the connection if its exchange is over and it may carry another; close it otherwise."""
        if self._closed or not connection.ready_for_next():
            await connection.aclose()
            return
        self._idle.append((origin, connection))
        if len(self._idle) > _MOST_IDLE:
            await self._idle.pop(0)[1].aclose()
        if time.monotonic() - self._pruned > _PRUNE_SECONDS:
            await self._prune()

    async def _prune(self) -> None:
        self._pruned = time.monotonic()
        gone = [entry for entry in self._idle if not entry[1].is_quiet()]
        self._idle = [entry for entry in self._idle if entry not in gone]
        for _, connection in gone:
            await connection.aclose()

    async def aclose(self) -> None:
        """Close what is idle now, and from now on what is given back."""
        self._closed = True
        while self._idle:
            await self._idle.pop()[1].aclose()
