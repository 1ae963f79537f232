"""The embedded server's accept loop: accepts connections within their bound, and ends them when the server stops."""

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
from poeproto_h11.server.server_connection import ServerConnection
from poeproto_runtime import BotService, ClientDisconnected

logger = logging.getLogger("poeproto")

# Errors of accept(2) that end when the process or the system frees something.
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
# Errors after which no call can succeed. Every other error concerns one connection, which ended before its accept.
_UNUSABLE = frozenset({errno.EBADF, errno.EINVAL, errno.ENOTSOCK, errno.EOPNOTSUPP})
# Descriptors and memory may also be freed outside this server, which no event reports.
_RETRY_SECONDS = 1.0
# A flood of connections must not flood the log.
_LOG_SECONDS = 60.0


class Acceptor:
    """Serves the connections of a listening socket until `stop` is called.

    Args:
        listener: the socket, which `run` takes over.
        service: what answers the requests.
        limits: the bounds of the connections.

    Attributes:
        ended: set when `run` has ended.
        failure: why it ended, where `stop` was not called.
    """

    def __init__(self, listener: socket.socket, service: BotService, limits: ServerLimits) -> None:
        self._listener = listener
        self._service = service
        self._limits = limits
        self._active_replies = service.active_replies()
        self._open = 0
        self._connections: set[ServerConnection] = set()
        # Those without a complete request, the longest without one first.
        self._idle: dict[ServerConnection, None] = {}
        self._one_closed = anyio.Event()  # replaced by each wait for a connection to close
        self._stop = anyio.Event()
        self._next_log = 0.0
        self.ended = anyio.Event()
        self.failure: OSError | None = None

    def stop(self) -> None:
        """Start a graceful shutdown, which ends within the grace; the package's docstring lists its steps."""
        self._stop.set()

    async def run(self) -> None:
        """Serve until `stop` is called. Cancellation has no effect: it would cut off the active replies."""
        with anyio.CancelScope(shield=True), self._listener:
            self._listener.setblocking(False)
            async with anyio.create_task_group() as connections:
                async with anyio.create_task_group() as accept_loop:
                    accept_loop.start_soon(self._accept, connections)
                    await self._stop.wait()
                    accept_loop.cancel_scope.cancel()
                self._listener.close()
                self._active_replies.stop()
                for connection in self._connections:
                    connection.stop()
                with anyio.move_on_after(self._limits.grace_seconds):
                    while self._open:
                        await self._wait_one_closed()
                connections.cancel_scope.cancel()
        self.ended.set()

    async def _accept(self, tasks: anyio.abc.TaskGroup) -> None:
        while True:
            if self._open >= self._limits.connections:
                await anyio.wait_readable(self._listener)
                await self._close_idle(f"{self._open} are open, as many as ServerLimits.connections allows")
                continue
            try:
                accepted, address = self._listener.accept()
            except BlockingIOError:
                await anyio.wait_readable(self._listener)
            except OSError as exc:
                if exc.errno in _UNUSABLE:
                    self.failure = exc
                    self._stop.set()
                    return
                if exc.errno in _EXHAUSTED:
                    await self._close_idle(os.strerror(exc.errno))
                else:
                    logger.debug("a connection ended before it was accepted: %s", exc)
                    await anyio.lowlevel.checkpoint()
            else:
                self._open += 1
                tasks.start_soon(self._serve, accepted, address)
                await anyio.lowlevel.checkpoint()

    async def _close_idle(self, why: str) -> None:
        """Close the connection that has been idle for longest, if any is, and wait a while for one to close."""
        now = anyio.current_time()
        if now >= self._next_log:
            self._next_log = now + _LOG_SECONDS
            logger.error("new connections must wait until one closes: %s", why)
        if self._idle:
            longest = next(iter(self._idle))
            longest.stop()
        with anyio.move_on_after(_RETRY_SECONDS):
            await self._wait_one_closed()

    async def _wait_one_closed(self) -> None:
        self._one_closed = anyio.Event()
        await self._one_closed.wait()

    async def _serve(self, accepted: socket.socket, address: Any) -> None:
        try:
            client: tuple[str, int] | None = None
            try:
                if accepted.family in (socket.AF_INET, socket.AF_INET6):
                    client = (address[0], address[1])
                    # A small write must not wait until the client has acknowledged the one before.
                    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as exc:
                logger.debug("a connection ended before it was served: %s", exc)
                return
            send_seconds = self._service.limits.send_seconds
            await self._handle_requests(ServerConnection(accepted, client, self._limits, send_seconds))
        except ClientDisconnected as exc:
            logger.debug("a connection ended: %s", exc)
        except Exception:
            # A fault of this server. In the task group, it would end all other connections.
            logger.exception("a connection was closed because of an internal error")
        finally:
            accepted.close()
            self._open -= 1
            self._one_closed.set()

    async def _handle_requests(self, connection: ServerConnection) -> None:
        self._connections.add(connection)
        try:
            while not self._stop.is_set() and (head := await self._next_head(connection)) is not None:
                await self._service.handle(head, head.path, connection, self._active_replies)
                if not await connection.ready_for_next():
                    break
        finally:
            self._connections.discard(connection)
            connection.close()

    async def _next_head(self, connection: ServerConnection) -> RequestHead | None:
        self._idle[connection] = None
        try:
            return await connection.next_head()
        finally:
            del self._idle[connection]
