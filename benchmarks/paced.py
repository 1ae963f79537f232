"""Many streams at once with a pause after every event, as a model's words come: what a lone event costs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack

from benchmarks.apps import PACE_SECONDS
from benchmarks.checking import TIMEOUT, Expected
from benchmarks.measure import cost, goal, in_turn, named, report
from benchmarks.processes import allow_files, serving
from benchmarks.sizes import Sizes
from poeproto_cli.load import Load, LoadConnection, Received
from poeproto_cli.load_query import Query

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
ROUNDS = 3
ATTEMPTS = 5  # for a machine that is too busy to see all streams at once


def main(sizes: Sizes) -> None:
    allow_files(sizes.paced_streams + 100)
    with ExitStack() as stack:
        cases: dict[str, Callable[[], float]] = {}
        for name, server in SERVERS.items():
            running = stack.enter_context(serving(server))
            # What is sent is that of a burst, which takes less time to look at.
            expected = Expected(name, running, f"burst {sizes.paced}", sizes.paced)
            cases[name] = _streaming(expected, running.query(f"paced {sizes.paced}"), sizes.paced_streams)
        figures = in_turn(cases, ROUNDS, warm_up=False)
    title = f"paced: {sizes.paced_streams} streams, an event every {PACE_SECONDS * 1e3:g} ms, server CPU an event"
    report(title, figures, "µs", 1e6)
    ours = named(figures, "poeproto on Hypercorn, asyncio")
    goal("paced, server CPU an event", ours, named(figures, "fastapi_poe on Hypercorn, asyncio"), at_most=0.7)
    goal("paced, server CPU an event", ours, named(figures, "bare ASGI on Hypercorn, asyncio"), at_most=1.3)
    cost("an event of a paced stream, on Hypercorn with asyncio (CPU time)", ours, "µs", 1e6)


def _streaming(expected: Expected, query: Query, streams: int) -> Callable[[], float]:
    """Seconds of the server's processor an event, while all streams are under way."""

    def sample() -> float:
        for _ in range(ATTEMPTS):
            load = Load(query, streams, TIMEOUT)
            try:
                seconds = _while_all_stream(expected, load)
            finally:
                load.close()
            if seconds is not None:
                return seconds
        sys.exit(f"{expected.name}: each time a stream is over before the last one has begun")

    return sample


def _while_all_stream(expected: Expected, load: Load) -> float | None:
    replies: list[Received] = []

    def ended(connection: LoadConnection, reply: Received) -> None:
        replies.append(reply)

    for connection in load.connections:
        load.begin(connection)
    # Requests and ends are no part of it: the clock is read when the last stream has begun, and when one ends.
    load.run(lambda: bool(replies) or all(connection.first for connection in load.connections), ended)
    if replies:
        return None
    events, seconds = _events(load), expected.server.cpu_seconds()
    load.run(lambda: bool(replies), ended)
    events, seconds = _events(load) - events, expected.server.cpu_seconds() - seconds
    load.run(lambda: len(replies) == len(load.connections), ended)
    expected.confirm(*replies)
    return seconds / events if events else None


def _events(load: Load) -> int:
    return sum(connection.received.count(b"event: text") for connection in load.connections)
