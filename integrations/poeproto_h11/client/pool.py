"""The pool of idle connections."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from poeproto import LocalProtocolError
from poeproto_h11.client.backend import Connector, EventLoop
from poeproto_h11.client.connection import Connection
from poeproto_h11.client.proxy import ProxyRules
from poeproto_h11.client.timeouts import Clock
from poeproto_runtime.client.urls import Origin

_MAX_IDLE = 64
# The interval at which the pool checks for connections that their peers have closed.
_PRUNE_SECONDS = 5.0


class Pool:
    """Opens connections, and keeps idle ones for the next request to the same origin.

    Threads may share a pool: a connection belongs either to one of them or to the pool. No lock is held across an
    await. Event loops may share it, too, one after the other (``asyncio.run`` twice) or in several threads. A
    connection is used in its own loop only, and closed when that has ended.

    Args:
        connect: opens a connection.
        proxies: which origins it reaches through a proxy. They never change, so connections to one origin are alike.
        current_loop: the running event loop, if connections belong to one.

    Attributes:
        opened: how many connections were opened so far.
    """

    def __init__(
        self,
        connect: Connector,
        proxies: ProxyRules | None = None,
        current_loop: Callable[[], EventLoop | None] = lambda: None,
    ) -> None:
        self.opened = 0
        self._connect = connect
        self._proxies = proxies or ProxyRules()
        self._current_loop = current_loop
        self._idle: list[tuple[Origin, Connection]] = []  # the most recently used comes last
        self._pruned = time.monotonic()
        self._closed = False
        self._lock = threading.RLock()  # reentrant: a finaliser that releases a connection may run while it is held

    async def acquire(self, origin: Origin, clock: Clock) -> Connection:
        """A connection for one exchange: an idle one that is still open, else a new one.

        Raises:
            ConnectFailed, DeadlineExceeded: when no connection can be made.
            LocalProtocolError: when the pool is closed, or the proxy of the environment cannot be used; a call is not
                retried after that.
        """
        if self._closed:
            raise LocalProtocolError(
                "the client is closed: make calls before its `with` block ends, or make a new client"
            )
        loop = self._current_loop()
        self._drop_orphans(loop)
        while (connection := self._last_used(origin, loop)) is not None:
            if connection.is_idle():
                return connection
            await connection.aclose()
        try:
            stream = await self._connect(origin, clock.left(clock.timeouts.connect))
        except TimeoutError as exc:
            raise clock.exceeded("connect") from exc
        with self._lock:
            self.opened += 1
        return Connection(stream, loop, self._proxies.find(origin) if origin.scheme == "http" else None)

    def _drop_orphans(self, loop: EventLoop | None) -> None:
        """Close the connections whose event loop has ended."""
        with self._lock:
            loops = {id(connection.loop): connection.loop for _, connection in self._idle}
            ended = [other for other in loops.values() if other is not None and other != loop and other.is_over()]
            orphans = [entry for entry in self._idle if entry[1].loop in ended]
            if orphans:
                self._idle = [entry for entry in self._idle if entry[1].loop not in ended]
        for _, connection in orphans:
            connection.close_socket()

    def _last_used(self, origin: Origin, loop: EventLoop | None) -> Connection | None:
        """Remove the most recently used idle connection, which the peer is the least likely to have closed."""
        with self._lock:
            for number in range(len(self._idle) - 1, -1, -1):
                kept_for, connection = self._idle[number]
                if kept_for == origin and connection.loop == loop:
                    return self._idle.pop(number)[1]
        return None

    async def release(self, origin: Origin, connection: Connection) -> None:
        """Keep the connection if its exchange is complete and it can carry another; close it otherwise."""
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
        for surplus in self._prune():
            await self._close(surplus)

    def _prune(self) -> list[Connection]:
        """Remove connections beyond the limit and, every few seconds, those that their peers have closed."""
        with self._lock:
            surplus = self._idle[:-_MAX_IDLE]
            del self._idle[:-_MAX_IDLE]
            if time.monotonic() - self._pruned > _PRUNE_SECONDS:
                self._pruned = time.monotonic()
                closed = [entry for entry in self._idle if not entry[1].is_idle()]
                self._idle = [entry for entry in self._idle if entry not in closed]
                surplus += closed
        return [connection for _, connection in surplus]

    async def aclose(self) -> None:
        """Close the idle connections, and from now on every connection that is released."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for _, connection in idle:
            await self._close(connection)

    async def _close(self, connection: Connection) -> None:
        if connection.loop is None or connection.loop == self._current_loop():
            await connection.aclose()
        elif connection.loop.is_over():
            connection.close_socket()
        else:
            connection.loop.call_soon(connection.close_socket)
