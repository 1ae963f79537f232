"""Scenario: clients that do not read: the memory for them, backpressure on their bots, and their disconnect."""

from __future__ import annotations

import time

from benchmarks.processes import Server, serving
from benchmarks.soak.counting import (
    IMPATIENT_SECONDS,
    SEND_SECONDS,
    counts_of,
    hosts,
    open_files,
    standstill,
    streams,
    until,
)
from benchmarks.soak.findings import Finding, Findings

# The receive buffer of the clients' sockets.
RECEIVE_BUFFER = 64 * 1024
HELD_KIB = 256


def main(findings: Findings, smallest: bool) -> None:
    count = 4 if smallest else 100
    app, seconds = ("counting-impatient", IMPATIENT_SECONDS) if smallest else ("counting", SEND_SECONDS)
    for host in hosts(smallest):
        with serving(f"{app} {host}") as server:
            _not_reading(findings, server, f"{count} that do not read, {host}", count, seconds)


def _not_reading(findings: Findings, server: Server, scenario: str, count: int, send_seconds: float) -> None:
    # The first client loads modules and fills caches, which do not count.
    with streams(server, "flood", 1, RECEIVE_BUFFER):
        standstill(server)
    until(server, lambda counts: counts.closed == counts.started)
    files = open_files(server)
    memory = server.memory()
    with streams(server, "flood", count, RECEIVE_BUFFER):
        begun = time.perf_counter()
        counts = standstill(server)
        blocked = time.perf_counter()
        held = (server.memory() - memory) / count / 1024
        findings.add(Finding(scenario, "memory of the process for each", held, "KiB", at_most=HELD_KIB))
        time.sleep(send_seconds / 5)
        more = counts_of(server).made - counts.made
        findings.exactly(scenario, "events made by bots under backpressure", more, "events", 0)
        until(server, lambda counts: counts.closed == counts.started)
        # The first write may have been blocked long before the last was.
        seconds = time.perf_counter() - blocked
        bounds = (send_seconds - (blocked - begun) - 0.5, send_seconds + 1)
        findings.add(Finding(scenario, "until all bots had ended", seconds, "s", at_least=bounds[0], at_most=bounds[1]))
        while server.open_files() > files and time.perf_counter() < blocked + 3 * send_seconds:
            time.sleep(0.02)
        seconds = time.perf_counter() - blocked
        findings.add(Finding(scenario, "until all connections were closed", seconds, "s", at_most=send_seconds + 2))
        counts = counts_of(server)
        findings.exactly(scenario, "finally blocks that ran", counts.ended, "blocks", 1 + count)
        findings.exactly(scenario, "open files more than before", open_files(server) - files, "files", 0)
