"""Suite: many connections, each opened for one short reply and closed after it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack

from benchmarks.checking import TIMEOUT, Expected
from benchmarks.measure import in_turn, report_servers
from benchmarks.processes import allow_files, serving
from benchmarks.sizes import Sizes
from poeproto_cli.load import Load

GENERATOR = "ready bytes on bare sockets"
SERVERS = {
    "fastapi_poe on uvicorn": "fastapi_poe uvicorn",
    "fastapi_poe on Hypercorn, asyncio": "fastapi_poe hypercorn-asyncio",
    "sse-starlette on uvicorn": "sse-starlette uvicorn",
    "aiohttp": "aiohttp aiohttp",
    "bare ASGI on Hypercorn, asyncio": "bare hypercorn-asyncio",
    "bare ASGI on Hypercorn, trio": "bare hypercorn-trio",
    "poeproto on uvicorn": "poeproto uvicorn",
    "poeproto on Hypercorn, asyncio": "poeproto hypercorn-asyncio",
    "poeproto on Hypercorn, trio": "poeproto hypercorn-trio",
    "poeproto_h11, asyncio": "poeproto h11-asyncio",
    GENERATOR: "sockets sockets",
}
EVENTS = 10
ROUNDS = 3


def main(sizes: Sizes) -> None:
    allow_files(sizes.visits + 100)
    with ExitStack() as stack:
        cases: dict[str, Callable[[], float]] = {}
        for name, server in SERVERS.items():
            expected = Expected(name, stack.enter_context(serving(server)), f"burst {EVENTS}", EVENTS)
            cases[name] = _visiting(expected, sizes.visits)
        figures = in_turn(cases, ROUNDS)
    title = f"{sizes.visits} connections at once, each for a reply of {EVENTS} events"
    report_servers(title, figures, "connections", GENERATOR)


def _visiting(expected: Expected, connections: int) -> Callable[[], float]:
    """A case: seconds a connection, from before the first is opened until the last reply is complete."""

    def sample() -> float:
        start = time.perf_counter()
        load = Load(expected.query, connections, TIMEOUT)
        replies = load.replies(connections)
        seconds = time.perf_counter() - start
        load.close()
        expected.confirm(*replies)
        return seconds / connections

    return sample
