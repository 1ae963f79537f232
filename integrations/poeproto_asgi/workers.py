"""Serving as a program: one process, or several worker processes that share a listening socket."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

import anyio
import anyio.abc

from poeproto import Bot
from poeproto_asgi.app import BotApp
from poeproto_asgi.forced_exit import ForcedExit
from poeproto_asgi.open_files import raise_open_files
from poeproto_asgi.server import WorkerClass, default_config, serve_until_cancelled
from poeproto_asgi.stop_signals import StopSignals, ignore_terminal_signals, stop_signals
from poeproto_asgi.targets import (
    AppOptions,
    load_app,
    name_of_target,
    warn_of_unused_key,
)
from poeproto_runtime import rare_collections
from poeproto_runtime.listen import address_of, listening
from poeproto_runtime.task_groups import sole_exception

__all__ = ["run"]

logger = logging.getLogger("poeproto")


def run(
    target: str | BotApp | Bot | type[Bot] | Mapping[str, object],
    *,
    bind: str = "127.0.0.1:8080",
    worker_class: WorkerClass = "asyncio",
    workers: int = 1,
    access_key: str | None = None,
    allow_without_key: bool = False,
    options: AppOptions | None = None,
    on_ready: Callable[[str], None] | None = None,
    on_worker: Callable[[], None] | None = None,
) -> None:
    """Serve until SIGINT, SIGTERM or SIGHUP (unless that is ignored, as under `nohup`).

    The process's soft limit of open files becomes the hard one. Garbage is collected rarely meanwhile
    (`poeproto_runtime.rare_collections`). The process ends by force if bots or threads still run
    a second after the graceful timeout and `Limits.cleanup_seconds`; code after this call is not affected.

    Args:
        target: a name as `load_app` takes it, or an object that a name may refer to: an application, a bot, a dict of
            bots by path.
        bind: as of `serve`, without a socket; port 0 takes a free one.
        worker_class: the event loop: "asyncio", "uvloop" or "trio".
        workers: how many processes. More than one needs a name as target, since an instance cannot be pickled.
        access_key: the key of every bot that has none. It is an error if no bot uses it.
        allow_without_key: whether bots without a key accept every request. It is an error if there are none.
        options: these two and more; the two are ignored then.
        on_ready: called with the address once connections are accepted.
        on_worker: called first in each of several worker processes, to configure logging for instance: they inherit
            nothing from this one. It must be a module's function, since it is pickled by its name.

    Raises:
        TypeError: for an object where several workers need a name.
        TargetError, ValueError, OSError: when the target or the address is not usable.
        OSError: also an OSError of the application's lifespan, as `poeproto_simulator.Simulator.aclose` does.
        RuntimeError: when a worker process ends before a signal.
    """
    ready = on_ready or _ignore_address
    if workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers}")
    if worker_class == "uvloop" and find_spec("uvloop") is None:
        raise ValueError("uvloop is not installed; install it, or use the worker class asyncio or trio")
    raise_open_files()
    options = options or AppOptions(access_key=access_key, allow_without_key=allow_without_key)
    if workers > 1 and not isinstance(target, str):
        raise TypeError(
            f"workers={workers} needs the target's name, such as 'module:attribute', since each worker process imports"
            f" it; got {name_of_target(target)}"
        )
    # Loaded here even if other processes serve it: a mistake is reported once, before anything listens.
    app = load_app(target, options=options)
    warn_of_unused_key(name_of_target(target), app, options)
    with listening(bind) as listener:
        if workers == 1 or not isinstance(target, str):
            _run_one(app, listener, worker_class, ready)
        else:
            _run_several(target, options, listener, worker_class, workers, ready, on_worker or _do_nothing)


def _ignore_address(address: str) -> None:
    pass


def _do_nothing() -> None:
    pass


def _run_one(
    app: BotApp,
    listener: socket.socket,
    worker_class: WorkerClass,
    ready: Callable[[str], None],
    *,
    is_worker: bool = False,
) -> None:
    config = default_config()
    exit_by_force = ForcedExit(
        config.graceful_timeout + app.service.limits.cleanup_seconds, app.service.active_locations
    )

    async def server(*, task_status: anyio.abc.TaskStatus[str]) -> None:
        ended = exit_by_force.connections_ended
        await serve_until_cancelled(app, listener, worker_class, config, task_status, ended)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            ready(await tasks.start(server))
            await signals.wait()
            tasks.cancel_scope.cancel()

    backend_options: dict[str, Any] = {}
    if worker_class == "uvloop":
        import uvloop  # optional

        backend_options["loop_factory"] = uvloop.new_event_loop
    try:
        with rare_collections(), StopSignals(exit_by_force.start, is_worker=is_worker) as signals:
            anyio.run(main, backend="trio" if worker_class == "trio" else "asyncio", backend_options=backend_options)
    except BaseExceptionGroup as group:
        raise sole_exception(group) from None


def _run_several(
    target: str,
    options: AppOptions,
    listener: socket.socket,
    worker_class: WorkerClass,
    workers: int,
    ready: Callable[[str], None],
    on_worker: Callable[[], None],
) -> None:
    context = multiprocessing.get_context("spawn")  # a fork would copy threads and locks in any state
    address = address_of(listener)
    processes: list[SpawnProcess] = []
    pipes: list[Connection] = []
    received: list[int] = []
    previous = {
        number: signal.signal(number, lambda number, frame: _stop(processes, received, number))
        for number in stop_signals()
    }
    try:
        for number in range(workers):
            ours, theirs = context.Pipe(duplex=False)
            arguments = (target, options, listener, worker_class, theirs, on_worker, number)
            process = context.Process(target=_worker, args=arguments)
            process.start()
            theirs.close()
            processes.append(process)
            pipes.append(ours)
            if received:
                process.terminate()  # a signal came before this process was in the list
        listener.close()
        for pipe in pipes:
            try:
                pipe.recv()
            except EOFError:
                break  # that worker has ended; its sentinel shows it below
        else:
            ready(address)
        wait([process.sentinel for process in processes])
    finally:
        if not received:
            for process in processes:
                process.terminate()
        for process in processes:
            process.join()
        for number, handler in previous.items():
            signal.signal(number, handler)
    failed = [process.exitcode for process in processes if process.exitcode not in (0, -signal.SIGTERM)]
    if not received:
        raise RuntimeError(
            f"a worker process ended before a signal (exit codes {failed or 0}); its own output says why"
        )


def _stop(processes: list[SpawnProcess], received: list[int], number: int) -> None:
    received.append(number)
    for process in processes:
        if len(received) == 1:
            process.terminate()
        else:
            process.kill()


def _worker(
    target: str,
    options: AppOptions,
    listener: socket.socket,
    worker_class: WorkerClass,
    pipe: Connection,
    on_worker: Callable[[], None],
    number: int,
) -> None:
    # A terminal sends Ctrl-C to every process of the group; so does systemd with SIGTERM. The parent sends SIGTERM as
    # well, which must not count as a second signal here. Only the parent acts on a second signal.
    ignore_terminal_signals()
    on_worker()
    threading.Thread(target=_stop_with_parent, name="parent process", daemon=True).start()
    app = load_app(target, options=options)
    if number > 0:
        app.service.sync_settings = False  # the first worker pushes them for all
    _run_one(app, listener, worker_class, pipe.send, is_worker=True)


def _stop_with_parent() -> None:
    """Wait until the parent process has ended, however it did, and stop this worker as a SIGTERM does.

    Nobody could stop a worker that stayed behind, and it would keep the address.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker has been started by the parent process"
    parent.join()
    logger.error("the parent process (%s) has ended without stopping this worker, which stops now", parent.pid)
    os.kill(os.getpid(), signal.SIGTERM)
