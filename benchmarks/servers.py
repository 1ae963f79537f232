"""Command: runs one server under measurement, `python -m benchmarks.servers APP HOST [SOURCE]`.

APP is the application, HOST the server that runs it; `_app` and `_serve` have their names. After "-rare" at the end of
HOST, garbage is collected rarely, as `poeproto serve` has it. SOURCE is the URL that a relay calls. The kernel chooses
the port, and the command prints it. The process exits when its standard input closes, so it never outlives its parent.
"""

from __future__ import annotations

import asyncio
import importlib
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from contextlib import nullcontext
from typing import Any

import anyio

from benchmarks import apps
from benchmarks.processes import end_with_standard_input

# Long enough for all connections of a case. asyncio's servers set the backlog again, each to a default of its own.
BACKLOG = 4096


def main(app: str, host: str, source: str = "") -> None:
    end_with_standard_input()
    # asyncio turns off Nagle's algorithm only for a socket whose protocol is set to TCP.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(BACKLOG)
    print(listener.getsockname()[1], flush=True)
    if host.endswith("-rare"):
        from poeproto_runtime import rare_collections

        host = host.removesuffix("-rare")
        collections = rare_collections()
    else:
        collections = nullcontext()
    if host.endswith("trio"):
        import trio

        sleep: apps.Sleep = trio.sleep
    else:
        sleep = asyncio.sleep
    with collections:
        _serve(_app(app, sleep, source), host, listener)


# Imports are local: an unused package would take time, and change the memory of a stream.


def _app(name: str, sleep: apps.Sleep, source: str) -> Any:
    match name:
        case "poeproto":
            return apps.ours(apps.OurBot(sleep))
        case "poeproto-events":
            return apps.ours(apps.OurBotOfEvents())
        case "poeproto-relay":
            return apps.our_relay(source)
        case "poeproto_openai-relay":
            return apps.our_gateway(source)
        case "poeproto_openai-bot":
            return apps.our_openai_bot(source)
        case "fastapi_poe-relay":
            from benchmarks import peers

            return peers.their_relay(source)
        case "poeproto_compat":
            from benchmarks import compat

            return compat.compat(sleep)
        case "poeproto_compat-relay":
            from benchmarks import compat

            return compat.compat_relay(source)
        case "bare":
            return apps.bare(sleep)
        case "bare-blocks":
            return apps.bare_blocks(sleep)
        case "sockets" | "copying":
            return source
        case "counting" | "counting-impatient":
            from benchmarks.soak import counting

            seconds = counting.SEND_SECONDS if name == "counting" else counting.IMPATIENT_SECONDS
            return counting.counting(sleep, seconds)
        case "checked":
            from benchmarks.soak import checked_hosts

            return checked_hosts.app
        case "fastapi_poe" | "sse-starlette" | "aiohttp":
            from benchmarks import peers

            return peers.APPS[name](sleep)
        case _:
            sys.exit(f"there is no application {name}")


def _serve(app: Any, host: str, listener: socket.socket) -> None:
    match host:
        case "hypercorn-asyncio" | "hypercorn-uvloop" | "hypercorn-trio":
            _hypercorn(app, host.removeprefix("hypercorn-"), listener)
        case "uvicorn" | "uvicorn-httptools":
            import uvicorn

            # `pip install fastapi_poe` brings h11 and asyncio; `uvicorn[standard]` brings httptools and uvloop.
            quick = host == "uvicorn-httptools"
            config = uvicorn.Config(
                app,
                loop="uvloop" if quick else "asyncio",
                http="httptools" if quick else "h11",
                log_level="warning",
                access_log=False,
                backlog=BACKLOG,
            )
            uvicorn.Server(config).run([listener])
        case "h11-asyncio" | "h11-uvloop" | "h11-trio":
            from poeproto_h11 import serve as serve_h11

            _until_sigterm(lambda: serve_h11(app, bind=listener), *_event_loop(host.removeprefix("h11-")))
        case "aiohttp":
            from aiohttp import web

            web.run_app(app, sock=listener, print=None, access_log=None, backlog=BACKLOG)
        case "sockets":
            from benchmarks.bare_sockets import serve_bare_sockets

            asyncio.run(serve_bare_sockets(listener, BACKLOG, copied_from=app))
        case _:
            sys.exit(f"there is no server {host}")


def _hypercorn(app: Any, worker_class: str, listener: socket.socket) -> None:
    """Run an application on Hypercorn; a `BotApp` as `poeproto serve` does."""
    from hypercorn.config import Config

    from poeproto_asgi import BotApp, serve

    backend, options = _event_loop(worker_class)
    config = Config()
    config.loglevel = "WARNING"
    config.backlog = BACKLOG
    if isinstance(app, BotApp):
        _until_sigterm(lambda: serve(app, bind=listener, config=config), backend, options)
        return
    config.bind = [f"fd://{listener.fileno()}"]
    hypercorn = importlib.import_module(f"hypercorn.{backend}")
    _until_sigterm(lambda: hypercorn.serve(app, config, shutdown_trigger=anyio.sleep_forever), backend, options)


def _event_loop(name: str) -> tuple[str, dict[str, Any]]:
    """The backend and its options for `anyio.run`."""
    if name != "uvloop":
        return name, {}
    import uvloop

    return "asyncio", {"loop_factory": uvloop.new_event_loop}


def _until_sigterm(serve: Callable[[], Coroutine[Any, Any, None]], backend: str, options: dict[str, Any]) -> None:
    """Serve until the process receives SIGTERM, then cancel the server and wait for it."""

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            with anyio.open_signal_receiver(signal.SIGTERM) as signals:
                tasks.start_soon(serve)
                await anext(signals)
            tasks.cancel_scope.cancel()

    anyio.run(main, backend=backend, backend_options=options)


if __name__ == "__main__":
    main(*sys.argv[1:])
