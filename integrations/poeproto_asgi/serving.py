"""Serving with Hypercorn in a task of one's own."""

from __future__ import annotations

import copy
import importlib
import logging
import socket
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Literal, Protocol, cast

import anyio
import anyio.abc

from poeproto_asgi.app import RESET, STREAMS, BotApp, Message, Receive, Scope, Send
from poeproto_asgi.connections import Accepted, Resets, cut_unread_after
from poeproto_runtime.listen import address_of, listen

# Hypercorn is an extra of its own: the application runs on other servers without it.
if TYPE_CHECKING:
    from hypercorn.config import Config

WorkerClass = Literal["asyncio", "uvloop", "trio"]


class LifespanFailed(OSError):
    """The application's lifespan raised an `OSError`, of which this has the message."""


class _HypercornServe(Protocol):
    async def __call__(
        self,
        app: Callable[[Scope, Receive, Send], Awaitable[None]],
        config: Config,
        *,
        shutdown_trigger: Callable[[], Awaitable[None]],
        mode: Literal["asgi"] | None = None,
    ) -> None: ...


async def serve(
    app: BotApp,
    *,
    bind: str | socket.socket = "127.0.0.1:8080",
    worker_class: WorkerClass | None = None,
    config: Config | None = None,
    task_status: anyio.abc.TaskStatus[str] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serve the application until cancelled; then open replies end with an `error` that allows a retry.

    Connections that are still open when Hypercorn's `graceful_timeout` is over are reset, whatever waits to be written.
    So are those whose peer takes nothing for `Limits.send_seconds` (on Linux).

    Args:
        app: what to serve.
        bind: ``HOST:PORT``, or a socket that listens already, which this call takes over.
        worker_class: checked against the event loop this runs in, which has been chosen by now; None takes any.
        config: Hypercorn's configuration, but for its addresses; by default it logs warnings only.
        task_status: for `anyio.abc.TaskGroup.start`; given the address as a URL once connections are accepted.

    Raises:
        ValueError, OSError: when the address is malformed or cannot be bound.
        LifespanFailed: for an OSError of the application's lifespan, of `poeproto_simulator.Simulator.aclose` for one.
        RuntimeError: when `worker_class` is of another event loop than the running one.
        Exception: what Hypercorn raises about its configuration, certificates that are not there for instance.
    """
    on_trio = _in_trio_task()
    if worker_class is not None and (worker_class == "trio") != on_trio:
        raise RuntimeError(f"worker_class={worker_class!r} does not fit the running event loop; see poeproto_asgi.run")
    hypercorn_serve = _hypercorn_serve(on_trio)
    _keep_headers_out_of_logs()
    config = copy.copy(config) if config else _quiet_config()
    listener = bind if isinstance(bind, socket.socket) else listen(bind)
    address = address_of(listener)
    accepted = Accepted(listener)
    resets = Resets(accepted)
    limits, streams = app.service.limits, app.service.streams()
    # On trio this is what ends a write that nobody reads. On asyncio our own deadline does, and this stands behind it,
    # since Hypercorn reports it as a fault (https://github.com/pgjones/hypercorn/pull/342).
    cut_unread_after(listener, limits.send_seconds if on_trio else limits.send_seconds + limits.cleanup_seconds)
    # asyncio accepts up to `backlog` connections at a time, and where files have run out it logs each failure with its
    # traceback and plans a retry for each: tens of thousands of lines in seconds. One at a time, it is one a second.
    # The duplicate is made like it, and what it is made like is shared with other workers, who may accept by now.
    listener.setblocking(False)
    queue, queued = listener.dup(), config.backlog
    if not on_trio:
        config.backlog = 1
    config.bind = [f"fd://{listener.detach()}"]  # Hypercorn owns and closes it from here
    grace = config.graceful_timeout
    # Its own end of patience comes when bots have cleaned up behind the connections that we reset: it cancels the rest,
    # which asyncio on 3.11 logs as failures.
    config.graceful_timeout += limits.cleanup_seconds
    stop, stopping, over = anyio.Event(), anyio.Event(), anyio.Event()

    def extended_app(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "http":
            scope["extensions"][STREAMS] = streams
            # HTTP/2 has several requests on one connection, and a flow control of its own for each.
            if scope["http_version"] != "2" and scope["client"]:
                scope["extensions"][RESET] = partial(resets.ask_for, scope["client"])
        return app(scope, receive, partial(noting_failure, send) if scope["type"] == "lifespan" else send)

    async def noting_failure(send: Send, message: Message) -> None:
        nonlocal of_lifespan
        if message["type"].endswith(".failed"):
            of_lifespan = LifespanFailed(message["message"])  # Hypercorn does not always pass it on
        await send(message)

    async def stop_when_told() -> None:
        with queue:  # as Hypercorn listens by now, the system can have its queue back
            queue.listen(queued)
        try:
            await stop.wait()
        finally:  # Hypercorn cancels this when it stops for a reason of its own
            streams.stop()
            stopping.set()

    async def reset_what_stays() -> None:
        with anyio.CancelScope(shield=True):
            await stopping.wait()
            with anyio.move_on_after(grace):
                await over.wait()
                return
            accepted.reset()

    failure: BaseException | None = None
    of_lifespan: LifespanFailed | None = None

    async def run_hypercorn() -> None:
        nonlocal failure
        try:
            # Hypercorn shuts down in an orderly way when its trigger returns, and leaves connections behind when it is
            # cancelled (on asyncio): so it is told, not cancelled.
            with anyio.CancelScope(shield=True):
                await hypercorn_serve(extended_app, config, shutdown_trigger=stop_when_told, mode="asgi")
        except Exception as exc:  # noqa: BLE001 - carried past the task group, which would wrap it
            failure = exc
        queue.close()
        over.set()
        stopping.set()
        tasks.cancel_scope.cancel()

    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_set_when_cancelled, stop)
            tasks.start_soon(resets.run)
            tasks.start_soon(reset_what_stays)
            # In a task of its own, because asyncio's task groups, before 3.13, leave a cancellation request behind in
            # the task that they end in (https://github.com/python/cpython/issues/116720).
            tasks.start_soon(run_hypercorn)
            task_status.started(address)
    finally:
        # Also where this is cancelled, which is how the end of a lifespan comes about.
        if of_lifespan is not None:
            raise of_lifespan
    if failure is not None:
        raise unwrapped(failure)


def unwrapped(failure: BaseException) -> BaseException:
    """What a group holds, if it is one thing: Hypercorn on trio raises its errors in groups, on asyncio bare."""
    while isinstance(failure, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", failure)
        if len(group.exceptions) != 1:
            return group
        failure = group.exceptions[0]
    return failure


async def _set_when_cancelled(event: anyio.Event) -> None:
    try:
        await anyio.sleep_forever()
    finally:
        event.set()


def _in_trio_task() -> bool:
    trio = sys.modules.get("trio")  # what has not been imported is not running
    return trio is not None and trio.lowlevel.in_trio_task()


def _hypercorn_serve(on_trio: bool) -> _HypercornServe:
    # By name, because the types of neither are complete; they differ in a parameter that is not used here.
    return importlib.import_module("hypercorn.trio" if on_trio else "hypercorn.asyncio").serve


def _keep_headers_out_of_logs() -> None:
    # Where everything is logged, what decodes the headers of HTTP/2 logs them, and so the keys.
    hpack = logging.getLogger("hpack")
    if hpack.level == logging.NOTSET:
        hpack.setLevel(logging.INFO)


def _quiet_config() -> Config:
    from hypercorn.config import Config

    config = Config()
    # With a handler of Hypercorn's own, those who have set up logging would see each line twice.
    config.errorlog = logging.getLogger("hypercorn.error")
    if config.errorlog.level == logging.NOTSET:
        config.errorlog.setLevel(logging.WARNING)
    return config
