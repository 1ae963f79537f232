"""The embedded server's accept loop: takes connections, finds room for them, and ends them when the server stops."""

from __future__ import annotations

import errno
import logging
import os
import socket
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel

from poeproto import RequestHead
from poeproto_h11.server.limits import ServerLimits
from poeproto_h11.server.server_connection import AcceptedConnection
from poeproto_runtime import BotService, ClientDisconnected

logger = logging.getLogger("poeproto")

# More of it can come: accept(2).
_SHORT_OF = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
# No call will ever succeed. All other errors are of one connection that has ended before it was taken.
_NO_LISTENER = frozenset({errno.EBADF, errno.EINVAL, errno.ENOTSOCK, errno.EOPNOTSUPP})
# Others in the process have descriptors and memory too, and do not say when they give them back.
_SHORT_SECONDS = 1.0
# Whoever floods a server should not fill its log too.
_REPORT_SECONDS = 60.0


class Acceptor:
    """Serves the connections of a listening socket until it is told to stop.

    Args:
        listener: the socket, which `run` takes over.
        service: what answers.
        limits: what connections may take.

    Attributes:
        over: set when all has ended.
        failure: why, where it was not told to stop.
    """

    def __init__(self, listener: socket.socket, service: BotService, limits: ServerLimits) -> None:
        self._listener = listener
        self._service = service
        self._limits = limits
        self._streams = service.streams()
        self._open = 0
        self._connections: set[AcceptedConnection] = set()
        # Those without a request, the longest first.
        self._unused: dict[AcceptedConnection, None] = {}
        self._ended = anyio.Event()  # replaced by who waits for a connection to end
        self._stop = anyio.Event()
        self._quiet_until = 0.0
        self.over = anyio.Event()
        self.failure: OSError | None = None

    def stop(self) -> None:
        """Take no more connections, end replies with an `error` that allows a retry, and all within the grace."""
        self._stop.set()

    async def run(self) -> None:
        """Serve until `stop` is called. Being cancelled is not enough: what is going on would break off."""
        with anyio.CancelScope(shield=True), self._listener:
            self._listener.setblocking(False)
            async with anyio.create_task_group() as connections:
                async with anyio.create_task_group() as accepting:
                    accepting.start_soon(self._accept, connections)
                    await self._stop.wait()
                    accepting.cancel_scope.cancel()
                self._listener.close()
                self._streams.stop()
                for connection in self._connections:
                    connection.stop()
                with anyio.move_on_after(self._limits.grace_seconds):
                    while self._open:
                        await self._until_one_ends()
                connections.cancel_scope.cancel()
        self.over.set()

    async def _accept(self, tasks: anyio.abc.TaskGroup) -> None:
        while True:
            if self._open >= self._limits.connections:
                await anyio.wait_readable(self._listener)
                await self._make_room(f"{self._open} are open already")
                continue
            try:
                accepted, address = self._listener.accept()
            except BlockingIOError:
                await anyio.wait_readable(self._listener)
            except OSError as exc:
                if exc.errno in _NO_LISTENER:
                    self.failure = exc
                    self._stop.set()
                    return
                if exc.errno in _SHORT_OF:
                    await self._make_room(os.strerror(exc.errno))
                else:
                    logger.debug("a connection ended before it was taken: %s", exc)
                    await anyio.lowlevel.checkpoint()
            else:
                self._open += 1
                tasks.start_soon(self._serve, accepted, address)
                await anyio.lowlevel.checkpoint()

    async def _make_room(self, why: str) -> None:
        now = anyio.current_time()
        if now >= self._quiet_until:
            self._quiet_until = now + _REPORT_SECONDS
            logger.error("new connections must wait: %s", why)
        if self._unused:
            longest = next(iter(self._unused))
            longest.stop()
        with anyio.move_on_after(_SHORT_SECONDS):
            await self._until_one_ends()

    async def _until_one_ends(self) -> None:
        self._ended = anyio.Event()
        await self._ended.wait()

    async def _serve(self, accepted: socket.socket, address: Any) -> None:
        try:
            client: tuple[str, int] | None = None
            try:
                if accepted.family in (socket.AF_INET, socket.AF_INET6):
                    client = (address[0], address[1])
                    # Small writes must not wait for the peer to acknowledge those before.
                    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as exc:
                logger.debug("a connection ended before it was served: %s", exc)
                return
            send_seconds = self._service.limits.send_seconds
            await self._answer_all(AcceptedConnection(accepted, client, self._limits, send_seconds))
        except ClientDisconnected:
            logger.debug("the peer went away")
        except Exception:
            # A fault of ours. It must not end the other connections, which the task group would do.
            logger.exception("a connection was closed because of an internal error")
        finally:
            accepted.close()
            self._open -= 1
            self._ended.set()

    async def _answer_all(self, connection: AcceptedConnection) -> None:
        self._connections.add(connection)
        try:
            while not self._stop.is_set() and (head := await self._next_head(connection)) is not None:
                await self._service.handle(head, head.path, connection, self._streams)
                if not await connection.ready_for_next():
                    break
        finally:
            self._connections.discard(connection)
            connection.close()

    async def _next_head(self, connection: AcceptedConnection) -> RequestHead | None:
        self._unused[connection] = None
        try:
            return await connection.next_head()
        finally:
            del self._unused[connection]
