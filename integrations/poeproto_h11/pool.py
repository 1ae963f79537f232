"""Connections that wait to be used again."""

from __future__ import annotations

from poeproto import ConnectFailed
from poeproto_h11.connection import Clock, Connection
from poeproto_h11.origins import Origin
from poeproto_h11.streams import Connector

_IDLE_PER_ORIGIN = 32


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
        self._idle: dict[Origin, list[Connection]] = {}
        self._closed = False

    async def take(self, origin: Origin, clock: Clock) -> Connection:
        """A connection for one exchange, an idle one if there is any that still stands.

        Raises:
            ConnectFailed, DeadlineExceeded: when no connection comes about.
        """
        if self._closed:
            raise ConnectFailed("the client is closed")
        idle = self._idle.get(origin, [])
        while idle:
            connection = idle.pop()  # the last used is the least likely to have been closed by the peer
            if connection.is_quiet():
                return connection
            await connection.aclose()
        try:
            stream = await self._connect(origin, clock.left(clock.timeouts.connect))
        except TimeoutError as exc:
            raise clock.exceeded("connect") from exc
        self.opened += 1
        return Connection(stream)

    async def give_back(self, origin: Origin, connection: Connection) -> None:
        """Keep the connection if its exchange is over and it may carry another; close it otherwise."""
        idle = self._idle.setdefault(origin, [])
        if not self._closed and len(idle) < _IDLE_PER_ORIGIN and connection.ready_for_next():
            idle.append(connection)
        else:
            await connection.aclose()

    async def aclose(self) -> None:
        """Close what is idle now, and from now on what is given back."""
        self._closed = True
        while self._idle:
            _, connections = self._idle.popitem()
            for connection in connections:
                await connection.aclose()
