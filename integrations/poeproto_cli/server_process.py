"""Runs a server of this package as a process: an event loop, the line with the address, and the signals that end it."""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable
from typing import Any, Protocol

import anyio
import anyio.abc

from poeproto_asgi.server import WorkerClass
from poeproto_asgi.stop_signals import StopSignals
from poeproto_cli.terminal import echo


class Server(Protocol):
    """Serves until cancelled."""

    def __call__(self, *, task_status: anyio.abc.TaskStatus[str]) -> Awaitable[None]:
        """Serve, and report the address to `task_status`."""
        ...


def run_server(serve: Server, ready: str | dict[str, Any], worker_class: WorkerClass) -> None:
    """Serve until SIGINT, SIGTERM or SIGHUP.

    Args:
        serve: the server.
        ready: the line that is printed once connections are accepted, in front of the address; or an object, which is
            printed as JSON with the address.
        worker_class: the event loop.
    """
    failure: Exception | None = None

    async def main() -> None:
        nonlocal failure
        async with anyio.create_task_group() as tasks:

            async def stop() -> None:
                await signals.wait()
                tasks.cancel_scope.cancel()

            tasks.start_soon(stop)
            try:
                await serve(task_status=_Ready(ready))
            except Exception as exc:  # noqa: BLE001 - raised below; the task group would wrap it
                failure = exc
            tasks.cancel_scope.cancel()

    options = {"use_uvloop": True} if worker_class == "uvloop" else {}
    with StopSignals(lambda: None) as signals:
        anyio.run(main, backend="trio" if worker_class == "trio" else "asyncio", backend_options=options)
    if failure is not None:
        raise failure


class _Ready(anyio.abc.TaskStatus[str]):
    """Prints the address once connections are accepted."""

    def __init__(self, ready: str | dict[str, Any]) -> None:
        self._ready = ready

    def started(self, value: str | None = None) -> None:
        """Print the line."""
        ready = self._ready
        echo(json.dumps({**ready, "address": value}) if isinstance(ready, dict) else f"{ready} at {value}")
        sys.stdout.flush()
