"""Suite: replies of a thousand text events, sent as fast as the server can, on one connection and on many."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack

from benchmarks.checking import TIMEOUT, Expected
from benchmarks.measure import Figure, cost, goal, goal_of_layer, in_turn, named, note, report, report_servers
from benchmarks.processes import serving
from benchmarks.sizes import Sizes
from poeproto_cli.load import Load, LoadConnection, Received

THEIRS = "fastapi_poe on uvicorn"
GENERATOR = "ready bytes on bare sockets"  # the rate that the load generator can receive
SERVERS = {
    THEIRS: "fastapi_poe uvicorn",
    "fastapi_poe on uvicorn, httptools and uvloop": "fastapi_poe uvicorn-httptools",
    "fastapi_poe on Hypercorn, asyncio": "fastapi_poe hypercorn-asyncio",
    "sse-starlette on uvicorn": "sse-starlette uvicorn",
    "aiohttp": "aiohttp aiohttp",
    "bare ASGI on uvicorn": "bare uvicorn",
    "bare ASGI on uvicorn, httptools and uvloop": "bare uvicorn-httptools",
    "bare ASGI on Hypercorn, asyncio": "bare hypercorn-asyncio",
    "bare ASGI on Hypercorn, uvloop": "bare hypercorn-uvloop",
    "bare ASGI on Hypercorn, trio": "bare hypercorn-trio",
    "bare ASGI in blocks on Hypercorn, asyncio": "bare-blocks hypercorn-asyncio",
    "bare ASGI in blocks on Hypercorn, trio": "bare-blocks hypercorn-trio",
    "poeproto on uvicorn": "poeproto uvicorn",
    "poeproto on uvicorn, httptools and uvloop": "poeproto uvicorn-httptools",
    "poeproto on Hypercorn, asyncio": "poeproto hypercorn-asyncio",
    "poeproto on Hypercorn, uvloop": "poeproto hypercorn-uvloop",
    "poeproto on Hypercorn, trio": "poeproto hypercorn-trio",
    "poeproto, Text objects, on Hypercorn, asyncio": "poeproto-events hypercorn-asyncio",
    "poeproto, Text objects, on Hypercorn, trio": "poeproto-events hypercorn-trio",
    "poeproto_compat on Hypercorn, asyncio": "poeproto_compat hypercorn-asyncio",
    "poeproto_compat on uvicorn": "poeproto_compat uvicorn",
    "poeproto_compat on poeproto_h11, asyncio": "poeproto_compat h11-asyncio",
    "poeproto_h11, asyncio": "poeproto h11-asyncio",
    "poeproto_h11, trio": "poeproto h11-trio",
    GENERATOR: "sockets sockets",
}
AT_LEAST = {
    "poeproto on Hypercorn, asyncio": 25,
    "poeproto, Text objects, on Hypercorn, asyncio": 25,
    "poeproto on Hypercorn, trio": 20,
    "poeproto, Text objects, on Hypercorn, trio": 20,
}
ROUNDS_ALONE = 11
ROUNDS_TOGETHER = 7
REPLIES = 4  # one after the other on one connection, for each sample


def main(sizes: Sizes) -> None:
    with ExitStack() as stack:
        servers = {name: stack.enter_context(serving(server)) for name, server in SERVERS.items()}
        bursts = {name: Expected(name, server, f"burst {sizes.burst}", sizes.burst) for name, server in servers.items()}
        alone = {
            name: replies_in_turn(expected, REPLIES, lambda reply: reply.whole / sizes.burst)
            for name, expected in bursts.items()
        }
        _throughput(in_turn(alone, ROUNDS_ALONE), sizes.burst, 1)
        busy = dict.fromkeys(bursts, 0.0)
        together = {name: _together(expected, sizes.connections, busy) for name, expected in bursts.items()}
        _throughput(in_turn(together, ROUNDS_TOGETHER), sizes.burst, sizes.connections)
        busiest = max(busy, key=busy.__getitem__)
        note(f"The load generator is busy for at most {busy[busiest]:.0%} of the time, when it measures {busiest}.")
        cases = {
            name: replies_in_turn(expected, REPLIES, lambda reply: reply.first) for name, expected in bursts.items()
        }
        figures = in_turn(cases, ROUNDS_ALONE)
        figures = [figure for figure in figures if figure.name != GENERATOR]
        report("time to the first event of such a reply, one connection", figures, "ms", 1e3)
        for host in ("Hypercorn, asyncio", "Hypercorn, trio", "uvicorn"):
            ours, bare = named(figures, f"poeproto on {host}"), named(figures, f"bare ASGI on {host}")
            goal("time to the first event, c=1", ours, bare, at_most=1.5)
        short = {name: Expected(name, server, "burst 1", 1) for name, server in servers.items()}
        cases = {
            name: replies_in_turn(expected, 5 * REPLIES, lambda reply: reply.whole) for name, expected in short.items()
        }
        figures = in_turn(cases, ROUNDS_ALONE)
        figures = [figure for figure in figures if figure.name != GENERATOR]
        report("a whole reply of one event, one connection", figures, "ms", 1e3)
        cost("a request, on Hypercorn with asyncio", named(figures, "poeproto on Hypercorn, asyncio"), "µs", 1e6)


def _throughput(figures: list[Figure], events: int, connections: int) -> None:
    report_servers(f"server, an event in replies of {events}, c={connections}", figures, "events", GENERATOR)
    for name, wanted in AT_LEAST.items():
        goal(f"server burst, c={connections}", named(figures, name), named(figures, THEIRS), at_least=wanted)
    ours = named(figures, "poeproto on Hypercorn, asyncio")
    goal_of_layer(f"server burst, c={connections}", named(figures, "poeproto_compat on Hypercorn, asyncio"), ours)
    cost(f"an event of a burst, on Hypercorn with asyncio, c={connections}", ours, "µs", 1e6)


def replies_in_turn(expected: Expected, count: int, seconds: Callable[[Received], float]) -> Callable[[], float]:
    """A case: the mean of `seconds` over `count` replies, one after the other on one connection."""

    def sample() -> float:
        connection = LoadConnection(expected.query, TIMEOUT)
        connection.exchange()  # the server accepts the connection during this exchange
        replies = [connection.exchange() for _ in range(count)]
        connection.close()
        expected.confirm(*replies)
        return sum(map(seconds, replies)) / count

    return sample


def _together(expected: Expected, connections: int, busy: dict[str, float]) -> Callable[[], float]:
    """A case: seconds an event on many connections at once. Keeps the load generator's highest CPU share in `busy`."""

    def sample() -> float:
        load = Load(expected.server.query("burst 1"), connections, TIMEOUT)
        load.replies(connections)
        for connection in load.connections:
            connection.query = expected.query
        start, our_start = time.perf_counter(), time.process_time()
        replies = load.replies(connections)
        seconds, ours = time.perf_counter() - start, time.process_time() - our_start
        if expected.name != GENERATOR:
            busy[expected.name] = max(busy[expected.name], ours / seconds)
        load.close()
        expected.confirm(*replies)
        return seconds / (connections * expected.events)

    return sample
