"""The embedded server's accept loop: accepts connections within their bound, and ends them when the server stops."""

from __future__ import annotations

import errno
import logging
import os
import socket
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel

from poeproto import RequestHead
from poeproto_h11.server.limits import ServerLimits
from poeproto_h11.server.server_connection import ServerConnection
from poeproto_runtime import BotService, ClientDisconnected
from poeproto_runtime.listen import EXHAUSTED

logger = logging.getLogger("poeproto")

# Errors after which no call can succeed. Every other error concerns one connection, which ended before its accept.
_UNUSABLE = frozenset({errno.EBADF, errno.EINVAL, errno.ENOTSOCK, errno.EOPNOTSUPP})
# How many connections are accepted before others have their turn. A flood must not outrun the accept loop, nor starve
# the open connections.
_ACCEPTS = 64
# How many may be open beyond `ServerLimits.connections`: they wait, or are being refused.
_WAITING = 1024
# How often connections are closed for those that wait. Descriptors and memory may also be freed outside this server,
# which no event reports.
_RETRY_SECONDS = 0.1
# How many descriptors are held back: when all others are in use, clients can still be accepted and refused.
_RESERVE = 8
# A flood of connections must not flood the log.
_LOG_SECONDS = 60.0


class Acceptor:
    """Serves the connections of a listening socket until `stop` is called.

    Args:
        listener: the socket, which `run` takes over.
        service: answers the requests.
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
        self._admitted = 0  # of the open connections, at most `ServerLimits.connections`
        # The others, in the order of their acceptance; the event is set when one is admitted, or the server stops.
        self._waiting: dict[ServerConnection, anyio.Event] = {}
        self._one_waits = anyio.Event()  # replaced when it has been acted on
        self._connections: set[ServerConnection] = set()
        # Connections that wait for a request, the one that has waited longest first.
        self._idle: dict[ServerConnection, None] = {}
        self._one_closed = anyio.Event()  # replaced by each wait for a connection to close
        self._reserve: list[int] = []
        self._is_exhausted = False  # whether accept failed, and the reserve has not been full since
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
                    self._fill_reserve()
                    accept_loop.start_soon(self._accept, connections)
                    accept_loop.start_soon(self._close_for_waiting)
                    await self._stop.wait()
                    accept_loop.cancel_scope.cancel()
                self._listener.close()
                while self._reserve:
                    os.close(self._reserve.pop())
                self._active_replies.stop()
                for connection in self._connections:
                    connection.stop()
                for admitted in self._waiting.values():
                    admitted.set()
                with anyio.move_on_after(self._limits.grace_seconds):
                    while self._open:
                        await self._wait_one_closed()
                connections.cancel_scope.cancel()
        self.ended.set()

    async def _accept(self, tasks: anyio.abc.TaskGroup) -> None:
        turn = 0
        while True:
            turn += 1
            if turn % _ACCEPTS == 0:
                await anyio.lowlevel.checkpoint()
            if self._open >= self._limits.connections + _WAITING:
                await self._wait_one_closed()
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
                if exc.errno in EXHAUSTED:
                    await self._release_descriptor(os.strerror(exc.errno))
                else:
                    logger.debug("a connection ended before it was accepted: %s", exc)
            else:
                self._start(tasks, accepted, address)

    def _start(self, tasks: anyio.abc.TaskGroup, accepted: socket.socket, address: Any) -> None:
        client: tuple[str, int] | None = None
        try:
            if accepted.family in (socket.AF_INET, socket.AF_INET6):
                client = (address[0], address[1])
                # A small write must not wait until the client has acknowledged the one before.
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as exc:
            logger.debug("a connection ended before it was served: %s", exc)
            accepted.close()
            return
        send_seconds = self._service.limits.send_seconds
        connection = ServerConnection(accepted, client, self._limits, send_seconds, self._do_any_wait)
        self._open += 1
        if self._may_admit() and not self._waiting:
            self._admitted += 1
            tasks.start_soon(self._serve, connection)
        else:
            if not self._is_exhausted:
                self._log(f"{self._admitted} are open, as many as ServerLimits.connections allows")
            self._waiting[connection] = anyio.Event()
            self._one_waits.set()
            tasks.start_soon(self._serve_admitted, connection, self._waiting[connection])

    # --- at the bound, and without descriptors

    def _may_admit(self) -> bool:
        is_full = self._admitted >= self._limits.connections or self._is_exhausted
        return not is_full and not self._stop.is_set()

    def _do_any_wait(self) -> bool:
        return len(self._waiting) > 0

    def _admit(self) -> None:
        """Admit those that have waited for longest, as many as may be."""
        while self._waiting and self._may_admit():
            connection = next(iter(self._waiting))
            self._admitted += 1
            self._waiting.pop(connection).set()

    async def _serve_admitted(self, connection: ServerConnection, admitted: anyio.Event) -> None:
        """Serve a connection once it is admitted; refuse it when it has waited for too long."""
        left = self._limits.queue_seconds - connection.seconds_unread()
        with anyio.move_on_after(max(0, left)):
            await admitted.wait()
        if self._waiting.pop(connection, None) is None:
            await self._serve(connection)
        else:
            with self._closing(connection):
                await connection.refuse()

    async def _close_for_waiting(self) -> None:
        """Close connections for those that wait: idle ones, and those that have long been without a request."""
        while True:
            await self._one_waits.wait()
            while self._waiting:
                self._close_idle(len(self._waiting))
                await anyio.sleep(_RETRY_SECONDS)
                self._fill_reserve()
            self._one_waits = anyio.Event()

    def _close_idle(self, count: int) -> None:
        for connection in self._idle:
            if count <= 0:
                break
            count -= connection.stop_if_idle(self._limits.queue_seconds / 2)

    async def _release_descriptor(self, why: str) -> None:
        """Without descriptors: use one of the reserve, or wait until one may be free."""
        self._is_exhausted = True
        self._log(why)
        if self._reserve:
            os.close(self._reserve.pop())
            return
        self._close_idle(1)
        with anyio.move_on_after(_RETRY_SECONDS):
            await self._wait_one_closed()
        self._fill_reserve()

    def _fill_reserve(self) -> None:
        with suppress(OSError):
            while len(self._reserve) < _RESERVE:
                self._reserve.append(os.dup(self._listener.fileno()))
            self._is_exhausted = False
            self._admit()

    def _log(self, why: str) -> None:
        now = anyio.current_time()
        if now >= self._next_log:
            self._next_log = now + _LOG_SECONDS
            logger.error("new connections must wait until one closes: %s", why)

    async def _wait_one_closed(self) -> None:
        self._one_closed = anyio.Event()
        await self._one_closed.wait()

    # --- one connection

    async def _serve(self, connection: ServerConnection) -> None:
        with self._closing(connection):
            try:
                await self._handle_requests(connection)
            finally:
                self._admitted -= 1
                self._admit()
            if connection.is_refused:
                await connection.refuse()

    @contextmanager
    def _closing(self, connection: ServerConnection) -> Generator[None]:
        """Close a connection at the end of the block, also after an exception."""
        try:
            yield
        except ClientDisconnected as exc:
            logger.debug("a connection ended: %s", exc)
        except Exception:
            # A fault of this server. In the task group, it would end all other connections.
            logger.exception("a connection was closed because of an internal error")
        finally:
            connection.close()
            self._open -= 1
            self._one_closed.set()
            if self._is_exhausted and not self._stop.is_set():
                self._fill_reserve()

    async def _handle_requests(self, connection: ServerConnection) -> None:
        self._connections.add(connection)
        try:
            while not self._stop.is_set() and (head := await self._next_head(connection)) is not None:
                await self._service.handle(head, head.path, connection, self._active_replies)
                if not await connection.ready_for_next():
                    break
        finally:
            self._connections.discard(connection)

    async def _next_head(self, connection: ServerConnection) -> RequestHead | None:
        self._idle[connection] = None
        try:
            return await connection.next_head()
        finally:
            del self._idle[connection]
