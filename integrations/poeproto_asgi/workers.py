"""Serving as a program: one process, or several that share a listening socket."""

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
from poeproto_asgi.targets import AppOptions, load_app, refuse_for_application, refuse_unused, warn_of_unused_key
from poeproto_runtime.exception_groups import sole_exception
from poeproto_runtime.listen import address_of, listen


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
        bind: ``HOST:PORT``; port 0 takes a free one.
        worker_class: the event loop: "asyncio", "uvloop" or "trio".
        workers: how many processes. More than one needs a name as target, since an instance cannot travel.
        access_key: the key of every bot that brings none. There must be one that takes it.
        allow_without_key: whether bots that bring no key answer anyone. There must be one that does.
        options: the same and more, in place of both.
        on_ready: called with the address once connections are accepted.
        on_worker: called first in each process of several, which knows nothing of the logging that this one has set
            up, for instance. A function of a module, since its name is what travels.

    Raises:
        TypeError: for an application where a name is needed.
        TargetError, ValueError, OSError: when the target or the address is not usable.
        OSError: also what the application's lifespan raises, `poeproto_simulator.Simulator.aclose` for one.
        RuntimeError: when a worker process ended by itself.
    """
    ready = on_ready or _say_nothing
    if workers < 1:
        raise ValueError(f"at least one worker is needed, got {workers}")
    if worker_class == "uvloop" and find_spec("uvloop") is None:
        raise ValueError("uvloop is not installed; the worker classes asyncio and trio need nothing more")
    options = options or AppOptions(access_key=access_key, allow_without_key=allow_without_key)
    if isinstance(target, BotApp):
        if workers > 1:
            raise TypeError("several workers need the application's name, as in 'module:attribute'")
        refuse_for_application("the target", options)
        refuse_unused("the target", target, options)
        _run_one(target, listen(bind), worker_class, ready)
        return
    # Loaded here even if it is served elsewhere: a mistake is reported once, before anything listens.
    app = load_app(target, options=options)
    warn_of_unused_key(target, app, options)
    if workers == 1:
        _run_one(app, listen(bind), worker_class, ready)
    else:
        _run_several(target, options, listen(bind), worker_class, workers, ready, on_worker or _do_nothing)


def _say_nothing(address: str) -> None:
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
        with ExitStack() as heard:
            told = (signal.SIGTERM,) if is_worker else (signal.SIGINT, signal.SIGTERM)
            signals = heard.enter_context(anyio.open_signal_receiver(*told))
            async with anyio.create_task_group() as tasks:
                ready(await tasks.start(_serve, app, listener, worker_class))
                await anext(signals)
                if not is_worker:
                    # From here a second signal does what it does in any program: it ends this one at once.
                    heard.close()
                tasks.cancel_scope.cancel()

    backend_options: dict[str, Any] = {}
    if worker_class == "uvloop":
        import uvloop  # which others need not have

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
    spawning = multiprocessing.get_context("spawn")  # forking would copy whatever threads and locks there are
    address = address_of(listener)
    processes: list[SpawnProcess] = []
    pipes: list[Connection] = []
    received: list[int] = []
    previous = {
        number: signal.signal(number, lambda number, frame: _stop(processes, received, number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        for _ in range(workers):
            ours, theirs = spawning.Pipe(duplex=False)
            process = spawning.Process(
                target=_worker, args=(target, options, listener, worker_class, theirs, on_worker)
            )
            process.start()
            theirs.close()
            processes.append(process)
            pipes.append(ours)
            if received:
                process.terminate()  # told to stop before this one was there to be told
        listener.close()
        for pipe in pipes:
            try:
                pipe.recv()
            except EOFError:
                break  # that worker is dead, which its sentinel tells below
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
        raise RuntimeError(f"a worker process ended by itself (exit codes {failed or 0})")


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
) -> None:
    # A terminal sends Ctrl-C to every process, and systemd SIGTERM. This one is told by its parent, too, and must not
    # take that for a second signal: what that is to do, the parent does.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    on_worker()
    _run_one(load_app(target, options=options), listener, worker_class, pipe.send, is_worker=True)
