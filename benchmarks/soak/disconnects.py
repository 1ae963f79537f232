"""Many clients that disconnect at once: while their bots send, while they are silent, and before the first byte."""

from __future__ import annotations

import time

from benchmarks.processes import Server, allow_files, serving
from benchmarks.soak.counting import connect, counts_of, hosts, open_files, reset, streams, until
from benchmarks.soak.findings import Finding, Findings

# Within this, each handler, task and file must be released.
SECONDS = 1.0
# Hypercorn closes an idle connection only after its keep-alive timeout, even if the peer has disconnected.
IDLE_SECONDS = {"hypercorn": 5.0, "h11": 0.0}


def main(findings: Findings, smallest: bool) -> None:
    many, early = (5, 4) if smallest else (500, 200)
    allow_files(many + 200)
    for host in hosts(smallest):
        for manner, words in (("talk", "reset mid-stream"), ("silent", "reset while the bot is silent")):
            with serving(f"counting {host}") as server:
                _reset_streams(findings, server, f"{many} {words}, {host}", manner, many)
        with serving(f"counting {host}") as server:
            seconds = SECONDS + IDLE_SECONDS[host.partition("-")[0]]
            _disconnect_early(findings, server, f"{early} disconnected before the first byte, {host}", early, seconds)


def _reset_streams(findings: Findings, server: Server, scenario: str, manner: str, count: int) -> None:
    before, files = counts_of(server), open_files(server)
    with streams(server, manner, count) as opened:
        assert counts_of(server).started == count
        for stream in opened:
            reset(stream.connection)
    disconnected = time.perf_counter()
    until(server, lambda counts: min(counts.ended, counts.closed) == count)
    findings.add(
        Finding(scenario, "until all bots had ended", time.perf_counter() - disconnected, "s", at_most=SECONDS)
    )
    time.sleep(max(0.0, disconnected + SECONDS - time.perf_counter()))  # late tasks show in the counts below
    counts = counts_of(server)
    findings.exactly(scenario, "handlers alive", counts.started - counts.ended, "handlers", 0)
    findings.exactly(scenario, "finally blocks that ran", counts.ended, "blocks", count)
    findings.exactly(scenario, "on_close functions that ran", counts.closed, "functions", count)
    findings.exactly(scenario, "tasks more than before", counts.tasks - before.tasks, "tasks", 0)
    findings.exactly(scenario, "open files more than before", open_files(server) - files, "files", 0)


def _disconnect_early(findings: Findings, server: Server, scenario: str, count: int, seconds: float) -> None:
    before, files = counts_of(server), open_files(server)
    request = server.query("silent").data
    head = request.index(b"\r\n\r\n") + 4
    # Sent before the reset: nothing, a part of the head, a part of the body, the whole request.
    lengths = (0, head // 2, (head + len(request)) // 2, len(request))
    connections = [connect(server) for _ in range(count)]
    for number, connection in enumerate(connections):
        connection.sendall(request[: lengths[number % len(lengths)]])
    for connection in connections:
        reset(connection)
    disconnected = time.perf_counter()
    until(server, lambda counts: counts.tasks <= before.tasks and server.open_files() <= files + 1)
    findings.add(
        Finding(scenario, "until all connections were closed", time.perf_counter() - disconnected, "s", at_most=seconds)
    )
    counts = counts_of(server)
    # How many bots had started by then depends on timing.
    findings.exactly(scenario, "handlers alive", counts.started - counts.ended, "handlers", 0)
    findings.exactly(scenario, "handlers without their on_close", counts.started - counts.closed, "handlers", 0)
    findings.exactly(scenario, "tasks more than before", counts.tasks - before.tasks, "tasks", 0)
    findings.exactly(scenario, "open files more than before", open_files(server) - files, "files", 0)
