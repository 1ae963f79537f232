"""Serving as a program: one process, or several worker processes that share a listening socket."""

from __future__ import annotations

import multiprocessing
import signal
import socket
from collections.abc import Callable
from contextlib import ExitStack
from importlib.util import find_spec
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

import anyio
import anyio.abc

from poeproto_asgi.app import BotApp
from poeproto_asgi.server import WorkerClass, serve
from poeproto_asgi.targets import (
    AppOptions,
    check_keys_used,
    check_options_of_application,
    load_app,
    warn_of_unused_key,
)
from poeproto_runtime.listen import address_of, listening
from poeproto_runtime.task_groups import sole_exception

__all__ = ["run"]


def run(
    target: BotApp | str,
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
    """Serve until SIGINT or SIGTERM.

    Args:
        target: an application, or its name as `load_app` takes it.
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
        TypeError: for an application where several workers need a name.
        TargetError, ValueError, OSError: when the target or the address is not usable.
        OSError: also what the application's lifespan raises, as `poeproto_simulator.Simulator.aclose` does.
        RuntimeError: when a worker process ends before a signal.
    """
    ready = on_ready or _ignore_address
    if workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers}")
    if worker_class == "uvloop" and find_spec("uvloop") is None:
        raise ValueError("uvloop is not installed; install it, or use the worker class asyncio or trio")
    options = options or AppOptions(access_key=access_key, allow_without_key=allow_without_key)
    if isinstance(target, BotApp):
        if workers > 1:
            raise TypeError("several workers need the target's name, such as 'module:attribute', not an application")
        check_options_of_application("the target", options)
        check_keys_used("the target", target, options)
        with listening(bind) as listener:
            _run_one(target, listener, worker_class, ready)
        return
    # Loaded here even if other processes serve it: a mistake is reported once, before anything listens.
    app = load_app(target, options=options)
    warn_of_unused_key(target, app, options)
    with listening(bind) as listener:
        if workers == 1:
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
    async def main() -> None:
        with ExitStack() as handlers:
            numbers = (signal.SIGTERM,) if is_worker else (signal.SIGINT, signal.SIGTERM)
            signals = handlers.enter_context(anyio.open_signal_receiver(*numbers))
            async with anyio.create_task_group() as tasks:
                ready(await tasks.start(_serve, app, listener, worker_class))
                await anext(signals)
                if not is_worker:
                    # From here on, a second signal has its usual effect: it ends the process at once.
                    handlers.close()
                tasks.cancel_scope.cancel()

    backend_options: dict[str, Any] = {}
    if worker_class == "uvloop":
        import uvloop  # optional

        backend_options["loop_factory"] = uvloop.new_event_loop
    try:
        anyio.run(main, backend="trio" if worker_class == "trio" else "asyncio", backend_options=backend_options)
    except BaseExceptionGroup as group:
        raise sole_exception(group) from None


async def _serve(
    app: BotApp, listener: socket.socket, worker_class: WorkerClass, *, task_status: anyio.abc.TaskStatus[str]
) -> None:
    await serve(app, bind=listener, worker_class=worker_class, task_status=task_status)


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
        for number in (signal.SIGINT, signal.SIGTERM)
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
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    on_worker()
    app = load_app(target, options=options)
    if number > 0:
        app.service.sync_settings = False  # the first worker pushes them for all
    _run_one(app, listener, worker_class, pipe.send, is_worker=True)
