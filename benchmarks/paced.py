"""Suite: many streams with a pause after every event, like a model's output; the server's CPU time of a lone event."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack

from benchmarks.apps import PACE_SECONDS
from benchmarks.checking import TIMEOUT, Expected
from benchmarks.measure import cost, goal, in_turn, named, note, report
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
    "poeproto_compat on Hypercorn, asyncio": "poeproto_compat hypercorn-asyncio",
    "poeproto_compat on poeproto_h11, asyncio": "poeproto_compat h11-asyncio",
    "poeproto_h11, asyncio": "poeproto h11-asyncio",
}
ROUNDS = 3
ATTEMPTS = 5  # a busy machine may not get all streams open at the same time


def main(sizes: Sizes) -> None:
    allow_files(sizes.paced_streams + 100)
    with ExitStack() as stack:
        cases: dict[str, Callable[[], float]] = {}
        for name, server in SERVERS.items():
            running = stack.enter_context(serving(server))
            # The body is that of a burst, which is checked in less time.
            expected = Expected(name, running, f"burst {sizes.paced}", sizes.paced)
            cases[name] = streaming(expected, running.query(f"paced {sizes.paced}"), sizes.paced_streams)
        figures = in_turn(cases, ROUNDS, warm_up=False)
    title = f"paced: {sizes.paced_streams} streams, an event every {PACE_SECONDS * 1e3:g} ms, server CPU an event"
    report(title, figures, "µs", 1e6)
    ours = named(figures, "poeproto on Hypercorn, asyncio")
    goal("paced, server CPU an event", ours, named(figures, "fastapi_poe on Hypercorn, asyncio"), at_most=0.7)
    goal("paced, server CPU an event", ours, named(figures, "bare ASGI on Hypercorn, asyncio"), at_most=1.2)
    embedded = named(figures, "poeproto_h11, asyncio")
    goal("paced, server CPU an event", embedded, named(figures, "bare ASGI on uvicorn"), at_most=1.0)
    note("bare ASGI passes constant bytes, encoded once, to `send`; poeproto encodes each event that its bot yields.")
    cost("an event of a paced stream, on Hypercorn with asyncio (CPU time)", ours, "µs", 1e6)


def streaming(expected: Expected, query: Query, streams: int) -> Callable[[], float]:
    """A case: the server's CPU seconds an event, while all streams are open."""

    def sample() -> float:
        for _ in range(ATTEMPTS):
            load = Load(query, streams, TIMEOUT)
            try:
                seconds = _while_all_stream(expected, load)
            finally:
                load.close()
            if seconds is not None:
                return seconds
        sys.exit(
            f"{expected.name}: in each attempt, a stream ended before the last one had started; use a less busy machine"
        )

    return sample


def _while_all_stream(expected: Expected, load: Load) -> float | None:
    replies: list[Received] = []

    def ended(connection: LoadConnection, reply: Received) -> None:
        replies.append(reply)

    for connection in load.connections:
        load.begin(connection)
    # This excludes requests and ends: the time runs from the start of the last stream to the first end of a stream.
    load.run(lambda: bool(replies) or all(connection.first for connection in load.connections), ended)
    if replies:
        return None
    events, seconds = _events(load, expected.EVENT), expected.server.cpu_seconds()
    load.run(lambda: bool(replies), ended)
    events, seconds = _events(load, expected.EVENT) - events, expected.server.cpu_seconds() - seconds
    load.run(lambda: len(replies) == len(load.connections), ended)
    expected.confirm(*replies)
    return seconds / events if events else None


def _events(load: Load, mark: bytes) -> int:
    return sum(connection.received.count(mark) for connection in load.connections)
