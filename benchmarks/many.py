"""Suite: thousands of streams with an event a second each; the server's CPU time of an event, connections included."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.checking import Expected
from benchmarks.flood_clients import clients, outcomes
from benchmarks.measure import Figure, goal, in_turn, named, note, report
from benchmarks.processes import allow_files, serving
from benchmarks.sizes import Sizes

LOOPS = ("asyncio", "uvloop", "trio")
# As Python collects garbage by default, and rarely, as `poeproto serve` and `run` have it.
COLLECTED_RARELY = ", garbage collected rarely"
THEIRS = "fastapi_poe on uvicorn"
SERVERS = {THEIRS: "fastapi_poe uvicorn"} | {
    f"{name}, {loop}{collected}": f"{server}-{loop}{suffix}"
    for name, server, collected, suffix in (
        ("bare ASGI on Hypercorn", "bare hypercorn", "", ""),
        ("bare ASGI on Hypercorn", "bare hypercorn", COLLECTED_RARELY, "-rare"),
        ("poeproto on Hypercorn", "poeproto hypercorn", COLLECTED_RARELY, "-rare"),
        ("poeproto_h11", "poeproto h11", COLLECTED_RARELY, "-rare"),
    )
    for loop in LOOPS
}
TIMEOUT = 300.0
_FILES_BESIDE = 200


def main(sizes: Sizes) -> None:
    allow_files(sizes.many + _FILES_BESIDE)
    few = _measure(sizes.paced_streams, sizes.many_events)
    many = _measure(sizes.many, sizes.many_events)
    for loop in LOOPS:
        bare = named(many, f"bare ASGI on Hypercorn, {loop}")
        for ours in ("poeproto on Hypercorn", "poeproto_h11"):
            as_served = named(many, f"{ours}, {loop}{COLLECTED_RARELY}")
            goal(f"{sizes.many} streams, server CPU an event", as_served, bare, at_most=1.3)
    growth = ", ".join(f"{name} {named(many, name).seconds / named(few, name).seconds:.2f}" for name in SERVERS)
    note(f"CPU an event of {sizes.many} streams, beside {sizes.paced_streams} streams: {growth}.")


def _measure(streams: int, events: int) -> list[Figure]:
    cases = {name: _streaming(name, server, streams, events) for name, server in SERVERS.items()}
    figures = in_turn(cases, 1, warm_up=False)
    report(f"many: {streams} streams, an event a second, server CPU an event", figures, "µs", 1e6)
    return figures


def _streaming(name: str, server: str, streams: int, events: int) -> Callable[[], float]:
    """A case: the server's CPU seconds an event, while all clients connect, and receive their replies."""

    def sample() -> float:
        with serving(server) as running:
            # The first request loads modules and fills caches, which are not part of an event.
            Expected(name, running, "burst 10", 10)
            before = running.cpu_seconds()
            with clients(running.port, streams, running.query(f"steady {events}").data, TIMEOUT) as processes:
                outcome = outcomes(processes)
            seconds = running.cpu_seconds() - before
        if outcome.events != streams * events:
            note(f"{name}: of {streams} streams, {outcome.complete} were whole: {outcome}.")
        return seconds / max(1, outcome.events)

    return sample
