"""Serving with Hypercorn in a task of one's own."""

from __future__ import annotations

import copy
import importlib
import logging
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Literal, Protocol, cast

import anyio
import anyio.abc

from poeproto_asgi.app import BotApp
from poeproto_runtime.binding import address_of, listen

# Hypercorn is an extra of its own: the application runs on other servers without it.
if TYPE_CHECKING:
    from hypercorn.config import Config

WorkerClass = Literal["asyncio", "uvloop", "trio"]


class _HypercornServe(Protocol):
    async def __call__(
        self, app: BotApp, config: Config, *, shutdown_trigger: Callable[[], Awaitable[None]]
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

    Args:
        app: what to serve.
        bind: ``HOST:PORT``, or a socket that listens already, which this call takes over.
        worker_class: checked against the event loop this runs in, which has been chosen by now; None takes any.
        config: Hypercorn's configuration, but for its addresses; by default it logs warnings only.
        task_status: for `anyio.abc.TaskGroup.start`; given the address as a URL once connections are accepted.

    Raises:
        ValueError, OSError: when the address is malformed or cannot be bound.
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
    config.bind = [f"fd://{listener.detach()}"]  # Hypercorn owns and closes it from here
    stop = anyio.Event()

    async def stop_when_told() -> None:
        await stop.wait()
        app.service.stop_streams()

    failure: BaseException | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_set_when_cancelled, stop)
        task_status.started(address)
        try:
            # Hypercorn shuts down in an orderly way when its trigger returns, and leaves connections behind when it is
            # cancelled (on asyncio): so it is told, not cancelled. Its own graceful timeout bounds the wait.
            with anyio.CancelScope(shield=True):
                await hypercorn_serve(app, config, shutdown_trigger=stop_when_told)
        except Exception as exc:  # noqa: BLE001 - carried past the task group, which would wrap it
            failure = exc
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise _unwrapped(failure)


def _unwrapped(failure: BaseException) -> BaseException:
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
    config.loglevel = "WARNING"
    return config
