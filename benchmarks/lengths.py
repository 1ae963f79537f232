"""Suite: replies of 1,000 to 100,000 events; an event should cost the same in each."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from benchmarks.checking import TIMEOUT, Expected
from benchmarks.measure import Figure, goal, in_turn, report
from benchmarks.processes import serving
from benchmarks.sizes import Sizes
from poeproto_cli.load import LoadConnection

SERVERS = {
    "fastapi_poe on uvicorn": "fastapi_poe uvicorn",
    "bare ASGI in blocks on Hypercorn, asyncio": "bare-blocks hypercorn-asyncio",
    "poeproto on Hypercorn, asyncio": "poeproto hypercorn-asyncio",
    "poeproto on Hypercorn, trio": "poeproto hypercorn-trio",
}
ROUNDS = 3


def main(sizes: Sizes) -> None:
    with ExitStack() as stack:
        for name, server in SERVERS.items():
            running = stack.enter_context(serving(server))
            # A sample of each length has the same number of events, so noise affects all lengths equally.
            cases = {
                f"{name}, {events:,} events": _streaming(
                    Expected(name, running, f"burst {events}", events), max(1, sizes.replies[-1] // events // 2)
                )
                for events in sizes.replies
            }
            figures = in_turn(cases, ROUNDS)
            report(f"cost against length: {name}", figures, "µs an event", 1e6)
            if name.startswith("poeproto"):
                _goal(figures)


def _goal(figures: list[Figure]) -> None:
    goal("cost of an event in a long reply against a short one", figures[-1], figures[0], at_most=1.1)


def _streaming(expected: Expected, replies: int) -> Callable[[], float]:
    """A case: seconds an event."""

    def sample() -> float:
        connection = LoadConnection(expected.query, TIMEOUT)
        received = [connection.exchange() for _ in range(replies)]
        connection.close()
        expected.confirm(*received)
        return sum(reply.whole for reply in received) / (replies * expected.events)

    return sample
