"""Suite: many open streams without events; the memory of each."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.checking import TIMEOUT, Expected
from benchmarks.measure import cost, goal, in_turn, named, report
from benchmarks.processes import allow_files, serving
from benchmarks.sizes import Sizes
from poeproto_cli.load import Load, LoadConnection, Received

SERVERS = {
    "fastapi_poe on Hypercorn, asyncio": "fastapi_poe hypercorn-asyncio",
    "fastapi_poe on uvicorn": "fastapi_poe uvicorn",
    "sse-starlette on uvicorn": "sse-starlette uvicorn",
    "aiohttp": "aiohttp aiohttp",
    "bare ASGI on Hypercorn, asyncio": "bare hypercorn-asyncio",
    "bare ASGI on Hypercorn, trio": "bare hypercorn-trio",
    "bare ASGI on uvicorn": "bare uvicorn",
    "poeproto on Hypercorn, asyncio": "poeproto hypercorn-asyncio",
    "poeproto on Hypercorn, trio": "poeproto hypercorn-trio",
    "poeproto on uvicorn": "poeproto uvicorn",
    "poeproto_h11, asyncio": "poeproto h11-asyncio",
}
ROUNDS = 2


def main(sizes: Sizes) -> None:
    allow_files(sizes.silent + 100)
    cases = {name: _open(name, server, sizes.silent) for name, server in SERVERS.items()}
    figures = in_turn(cases, ROUNDS, warm_up=False)
    report(f"memory of a silent stream, {sizes.silent} open", figures, "kB", 1e-3)
    ours = named(figures, "poeproto on Hypercorn, asyncio")
    goal("memory of a silent stream", ours, named(figures, "fastapi_poe on Hypercorn, asyncio"), at_most=0.45)
    cost("a silent stream, on Hypercorn with asyncio (memory)", ours, "kB", 1e-3)


def _open(name: str, server: str, streams: int) -> Callable[[], float]:
    """A case: bytes a stream. Each sample starts a new server, because freed memory is not returned to the system."""

    def sample() -> float:
        with serving(server) as running:
            # The first request loads modules and fills caches, which are not part of a stream.
            Expected(name, running, "burst 10", 10)
            before = running.memory()
            load = Load(running.query("silent"), streams, TIMEOUT)
            for connection in load.connections:
                load.begin(connection)
            load.run(lambda: all(connection.first for connection in load.connections), _has_ended)
            after = running.memory()
            load.close()
        return (after - before) / streams

    return sample


def _has_ended(connection: LoadConnection, reply: Received) -> None:
    raise RuntimeError("an idle stream has ended; it should have stayed open until the end of the measurement")
