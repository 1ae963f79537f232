"""Serving the application on Hypercorn, in a task of the caller's."""

from __future__ import annotations

import copy
import importlib
import logging
import socket
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Literal, Protocol

import anyio
import anyio.abc

from poeproto import Bot
from poeproto.extras import missing_extra
from poeproto_asgi.app import ACTIVE_REPLIES, CHUNK_WRITER, RESET, BotApp
from poeproto_asgi.asgi import AsgiMessage, Receive, Scope, Send
from poeproto_asgi.descriptor_scan import ScannedConnections
from poeproto_asgi.hypercorn_chunks import chunk_writer
from poeproto_asgi.hypercorn_connections import OpenConnections, RecordingListener, records_accepts, set_send_timeout
from poeproto_asgi.hypercorn_requests import TimedBody, closing_connection, has_two_framings
from poeproto_runtime import Route
from poeproto_runtime.listen import LISTEN_QUEUE, address_of, listening
from poeproto_runtime.task_groups import sole_exception

# Hypercorn is an extra of its own: the application runs on other servers without it.
if TYPE_CHECKING:
    from hypercorn.config import Config, Sockets

__all__ = ["LifespanFailed", "serve"]

WorkerClass = Literal["asyncio", "uvloop", "trio"]

# How many connections asyncio accepts in one iteration: `backlog` says that to it as well. With one, a busy event loop
# falls behind a flood of connections; with thousands, the open ones would have to wait.
_ACCEPTS = 64
# How many duplicates of the listening socket Hypercorn has on trio, where it accepts one connection of each in an
# iteration. A lone connection wakes them all, which costs about 30 us of CPU time each.
_TRIO_LISTENERS = 4


class LifespanFailed(OSError):
    """The application's lifespan raised an `OSError`, whose message this has."""


class HypercornServe(Protocol):
    """`hypercorn.asyncio.serve` or `hypercorn.trio.serve`."""

    async def __call__(
        self,
        app: Callable[[Scope, Receive, Send], Awaitable[None]],
        config: Config,
        *,
        shutdown_trigger: Callable[[], Awaitable[None]],
        mode: Literal["asgi"] | None = None,
    ) -> None:
        """Serve until the trigger returns."""
        ...


async def serve(
    app: BotApp | Bot | Mapping[str, Route] | Mapping[str, Bot] | Mapping[str, Route | Bot],
    *,
    bind: str | socket.socket = "127.0.0.1:8080",
    access_key: str | Iterable[str] | None = None,
    allow_without_key: bool = False,
    bot_name: str | None = None,
    worker_class: WorkerClass | None = None,
    config: Config | None = None,
    task_status: anyio.abc.TaskStatus[str] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serve the application until cancelled; then active replies end with an `error` that allows a retry.

    Connections that are still open when Hypercorn's `graceful_timeout` ends are reset, whatever waits to be written. So
    are those whose client reads nothing for `Limits.send_seconds` (on Linux).

    Args:
        app: an application, or an argument of `BotApp`: a bot, or routes and bots by path.
        bind: ``HOST:PORT``, ``:PORT`` (all interfaces), ``PORT`` (loopback), ``unix:PATH`` (with ``,mode=660`` for the
            file's permissions), ``fd://NUMBER`` (inherited), or a listening socket, which this call takes over.
        access_key: as in `BotApp`; this and the next two are not for an application, which has its own.
        allow_without_key: as in `BotApp`.
        bot_name: as in `BotApp`.
        worker_class: checked against the running event loop; None accepts any.
        config: Hypercorn's configuration, except its addresses and its `backlog`; by default it logs warnings only.
        task_status: for `anyio.abc.TaskGroup.start`; given the address once connections are accepted.

    Raises:
        TypeError, ValueError: when the arguments do not make an application; see `BotApp`.
        ValueError, OSError: when the address is malformed or cannot be bound.
        LifespanFailed: for an OSError of the application's lifespan, as `poeproto_simulator.Simulator.aclose` raises.
        RuntimeError: when `worker_class` does not fit the running event loop.
        Exception: any error that Hypercorn raises about its configuration, such as missing certificates.
    """
    if not isinstance(app, BotApp):
        app = BotApp(app, access_key=access_key, allow_without_key=allow_without_key, bot_name=bot_name)
    elif access_key is not None or allow_without_key or bot_name is not None:
        raise TypeError("an application has its own access_key, allow_without_key and bot_name; pass them there")
    await serve_until_cancelled(app, bind, worker_class, config or default_config(), task_status)


async def serve_until_cancelled(
    app: BotApp,
    bind: str | socket.socket,
    worker_class: WorkerClass | None,
    config: Config,
    task_status: anyio.abc.TaskStatus[str],
    on_connections_ended: Callable[[], None] | None = None,
) -> None:
    """`serve`, with a function to call when no connection is left, before the application's lifespan ends."""
    on_trio = in_trio_task()
    if worker_class is not None and (worker_class == "trio") != on_trio:
        running = "trio" if on_trio else "asyncio"
        raise RuntimeError(
            f"worker_class={worker_class!r} does not fit the running event loop, which is {running}'s;"
            " omit worker_class, or call poeproto_asgi.run, which starts the event loop"
        )
    hypercorn_serve = load_hypercorn_serve(on_trio)
    _keep_headers_out_of_logs()
    with nullcontext(bind) if isinstance(bind, socket.socket) else listening(bind) as listener:
        server = _HypercornServer(app, hypercorn_serve, config, listener, on_trio, on_connections_ended)
        await server.run(task_status)


class _HypercornServer:
    """One call of `serve`; the package's docstring says which tasks there are and how they end.

    Args:
        app: the application to serve.
        hypercorn_serve: the function of the running event loop.
        config: Hypercorn's configuration; a copy is changed.
        listener: the listening socket, which this takes over.
        on_trio: whether trio runs the event loop.
        on_connections_ended: called when no connection is left, before the lifespan ends.
    """

    def __init__(
        self,
        app: BotApp,
        hypercorn_serve: HypercornServe,
        config: Config,
        listener: socket.socket,
        on_trio: bool,
        on_connections_ended: Callable[[], None] | None,
    ) -> None:
        limits = app.service.limits
        self._on_connections_ended = on_connections_ended
        self._app = app
        self._hypercorn_serve = hypercorn_serve
        self._address = address_of(listener)
        self._active_replies = app.service.active_replies()
        self._grace = config.graceful_timeout
        self._config = copy.copy(config)
        # After the grace, connections are reset and bots clean up. Hypercorn's own timeout comes when they have: it
        # cancels the tasks that are left, which asyncio on 3.11 logs as failures.
        self._config.graceful_timeout += limits.cleanup_seconds
        # On trio this ends a write that the client does not read. On asyncio our own deadline does, and this comes
        # after it, since Hypercorn reports it as a failure (https://github.com/pgjones/hypercorn/pull/342).
        set_send_timeout(listener, limits.send_seconds if on_trio else limits.send_seconds + limits.cleanup_seconds)
        self._connections = self._take_over(listener, on_trio)
        self._stop_requested = anyio.Event()
        self._stopping = anyio.Event()  # Hypercorn shuts down, because we asked for it or for a reason of its own
        self._ended = anyio.Event()
        self._failure: BaseException | None = None
        self._lifespan_failure: LifespanFailed | None = None

    def _take_over(self, listener: socket.socket, on_trio: bool) -> OpenConnections:
        """Have Hypercorn listen on this socket; returns the connections that it will accept there."""
        if not on_trio and records_accepts():
            connections = RecordingListener(listener, LISTEN_QUEUE)
            self._listeners: list[socket.socket] = [connections]
            self._config.backlog = _ACCEPTS
        else:
            plain = socket.socket(fileno=listener.detach())  # trio takes no subclass
            plain.setblocking(False)
            connections = ScannedConnections(plain)
            self._listeners = [plain, *(plain.dup() for _ in range(_TRIO_LISTENERS - 1 if on_trio else 0))]
            self._config.backlog = LISTEN_QUEUE  # Hypercorn's own, of 100, would replace the listener's
        self._config.bind = []
        self._config.create_sockets = partial(self._create_sockets, self._config.create_sockets)
        return connections

    def _create_sockets(self, create: Callable[[], Sockets]) -> Sockets:
        """Hypercorn calls this for the sockets to listen on; `create` makes those that the configuration adds."""
        sockets = create()
        (sockets.secure_sockets if self._config.ssl_enabled else sockets.insecure_sockets).extend(self._listeners)
        return sockets

    async def run(self, task_status: anyio.abc.TaskStatus[str]) -> None:
        """Serve until cancelled, or until Hypercorn ends."""
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._request_stop_when_cancelled)
                tasks.start_soon(self._connections.run)
                tasks.start_soon(self._reset_after_grace)
                # In a task of its own: before 3.13, asyncio's task groups leave a cancellation request behind in the
                # task that they end in (https://github.com/python/cpython/issues/116720).
                tasks.start_soon(self._run_hypercorn, tasks.cancel_scope)
                task_status.started(self._address)
        finally:
            for listener in self._listeners:
                listener.close()
            # Raised even if this is cancelled: `serve` is stopped by cancelling it, so a failed shutdown is seen only
            # here.
            if self._lifespan_failure is not None:
                raise self._lifespan_failure
        if self._failure is not None:
            raise sole_exception(self._failure)

    async def _run_hypercorn(self, others: anyio.CancelScope) -> None:
        """Run Hypercorn to its end, then cancel the other tasks."""
        try:
            # Hypercorn shuts down gracefully when its trigger returns. Cancelled, it would leave connections behind on
            # asyncio.
            with anyio.CancelScope(shield=True):
                await self._hypercorn_serve(
                    self._asgi_app, self._config, shutdown_trigger=self._shutdown_trigger, mode="asgi"
                )
        except Exception as exc:  # noqa: BLE001 - re-raised outside the task group, which would wrap it in a group
            self._failure = exc
        self._ended.set()
        self._stopping.set()
        others.cancel()

    async def _request_stop_when_cancelled(self) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            self._stop_requested.set()

    async def _shutdown_trigger(self) -> None:
        """Hypercorn shuts down when this returns. It cancels this when it shuts down for a reason of its own."""
        try:
            await self._stop_requested.wait()
        finally:
            self._active_replies.stop()
            self._stopping.set()

    async def _reset_after_grace(self) -> None:
        with anyio.CancelScope(shield=True):
            await self._stopping.wait()
            with anyio.move_on_after(self._grace):
                await self._ended.wait()
                return
            self._connections.reset_all()

    def _asgi_app(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """The application, with our extensions in the scope of each request."""
        if scope["type"] == "http":
            scope["extensions"][ACTIVE_REPLIES] = self._active_replies
            # HTTP/2 has several requests on one connection, and resets one of them by itself.
            if scope["http_version"] != "2":
                receive = timed = TimedBody(receive, self._connections.reset, scope["client"])
                if scope["client"]:
                    scope["extensions"][RESET] = timed.reset
                scope["extensions"][CHUNK_WRITER] = chunk_writer
                if has_two_framings(scope):
                    send = closing_connection(send)
        elif scope["type"] == "lifespan":
            receive = partial(self._receive_noting_shutdown, receive)
            send = partial(self._send_noting_failure, send)
        return self._app(scope, receive, send)

    async def _receive_noting_shutdown(self, receive: Receive) -> AsgiMessage:
        message = await receive()
        # Hypercorn sends it when all connections have ended.
        if message["type"] == "lifespan.shutdown" and self._on_connections_ended is not None:
            self._on_connections_ended()
        return message

    async def _send_noting_failure(self, send: Send, message: AsgiMessage) -> None:
        if message["type"].endswith(".failed"):
            self._lifespan_failure = LifespanFailed(message["message"])  # Hypercorn does not always raise it
        await send(message)


def in_trio_task() -> bool:
    """Whether trio runs this task."""
    trio = sys.modules.get("trio")  # a module that has not been imported is not running
    return trio is not None and trio.lowlevel.in_trio_task()


def load_hypercorn_serve(on_trio: bool) -> HypercornServe:
    """Import Hypercorn's `serve` for the event loop."""
    _require_hypercorn()
    # By name: neither is completely typed. They differ in a parameter that is not used here.
    return importlib.import_module("hypercorn.trio" if on_trio else "hypercorn.asyncio").serve


def _require_hypercorn() -> None:
    if (missing := missing_extra("serving with Hypercorn", "hypercorn", ["hypercorn"])) is not None:
        raise missing


def _keep_headers_out_of_logs() -> None:
    # At level DEBUG, the decoder of HTTP/2's headers logs them, and with them the keys.
    hpack = logging.getLogger("hpack")
    if hpack.level == logging.NOTSET:
        hpack.setLevel(logging.INFO)


def default_config() -> Config:
    """Hypercorn's configuration where none is given: it logs warnings only."""
    _require_hypercorn()
    from hypercorn.config import Config

    config = Config()
    # A handler of Hypercorn's own would print each line twice for a program that has configured logging.
    config.errorlog = logging.getLogger("hypercorn.error")
    if config.errorlog.level == logging.NOTSET:
        config.errorlog.setLevel(logging.WARNING)
    return config
