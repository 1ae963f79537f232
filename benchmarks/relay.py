"""Suite: bots that pass another bot's reply on, from a source that writes as sse-starlette does.

Most bots are relays, and most of what they relay arrives one event at a time. So the first figure is the relay's CPU
time of an event that arrives alone, the last the time of an event of a burst.

With few streams, the process sleeps between nearly all events, and begins each with cold caches. With more streams, one
iteration of the event loop handles several events. fastapi_poe saturates a core at about 50 streams, so the table of
more streams is without it. A relay that only copies bytes shows the limit.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from benchmarks.apps import PACE_SECONDS
from benchmarks.burst import replies_in_turn
from benchmarks.checking import Expected
from benchmarks.measure import cost, goal, goal_of_layer, in_turn, named, report
from benchmarks.paced import streaming
from benchmarks.processes import allow_files, serving
from benchmarks.sizes import Sizes

THEIRS = "fastapi_poe on uvicorn"
OURS = "poeproto on Hypercorn, asyncio"
COMPAT = "poeproto_compat on Hypercorn, asyncio"
SERVERS = {
    THEIRS: "fastapi_poe-relay uvicorn",
    OURS: "poeproto-relay hypercorn-asyncio",
    COMPAT: "poeproto_compat-relay hypercorn-asyncio",
    "poeproto on Hypercorn, uvloop": "poeproto-relay hypercorn-uvloop",
    "poeproto on Hypercorn, trio": "poeproto-relay hypercorn-trio",
    "poeproto_h11, asyncio": "poeproto-relay h11-asyncio",
    "poeproto_h11, trio": "poeproto-relay h11-trio",
}
COPY = "bare asyncio.Protocol, bytes only"
AT_LEAST = {OURS: 25, "poeproto on Hypercorn, trio": 20}
ROUNDS = 5
REPLIES = 4


def main(sizes: Sizes) -> None:
    allow_files(2 * max(sizes.relayed_streams, sizes.many_relayed_streams) + 100)
    with ExitStack() as stack:
        source = stack.enter_context(serving("sockets sockets"))
        servers = {name: stack.enter_context(serving(f"{app} {source.url}")) for name, app in SERVERS.items()}
        servers[COPY] = stack.enter_context(serving(f"copying sockets {source.url}"))
        lone: dict[str, Callable[[], float]] = {}
        many: dict[str, Callable[[], float]] = {}
        bursts: dict[str, Callable[[], float]] = {}
        for name, server in servers.items():
            expected = Expected(name, server, f"crlf {sizes.paced}", sizes.paced)
            paced = server.query(f"paced {sizes.paced}")
            if name != THEIRS:
                many[name] = streaming(expected, paced, sizes.many_relayed_streams)
            lone[name] = streaming(expected, paced, sizes.relayed_streams)
            burst = Expected(name, server, f"crlf {sizes.burst}", sizes.burst)
            bursts[name] = replies_in_turn(burst, REPLIES, lambda reply: reply.whole / sizes.burst)
        figures = in_turn(lone, ROUNDS, warm_up=False)
        title = f"relay: {sizes.relayed_streams} streams, an event every {PACE_SECONDS * 1e3:g} ms, CPU an event"
        report(title, figures, "µs", 1e6)
        ours = named(figures, OURS)
        goal("relay, lone event, CPU", ours, named(figures, THEIRS), at_most=0.28)
        goal_of_layer("relay, lone event, CPU", named(figures, COMPAT), ours)
        cost("a relayed event that arrives alone, on Hypercorn with asyncio (CPU time)", ours, "µs", 1e6)
        figures = in_turn(many, ROUNDS, warm_up=False)
        title = f"relay: {sizes.many_relayed_streams} streams, an event every {PACE_SECONDS * 1e3:g} ms, CPU an event"
        report(title, figures, "µs", 1e6)
        figures = in_turn(bursts, ROUNDS)
        report(f"relay: a burst of {sizes.burst} events", figures, "µs", 1e6, rate="events a second")
        for name, at_least in AT_LEAST.items():
            goal("relay, burst", named(figures, name), named(figures, THEIRS), at_least=at_least)
        goal_of_layer("relay, burst", named(figures, COMPAT), named(figures, OURS))
