"""Scenario: thousands of clients that connect at once, and more clients than the embedded server may serve at once."""

from __future__ import annotations

import resource
import subprocess
import sys
from contextlib import AbstractContextManager

import anyio

from benchmarks.apps import LIMITS, OurBot
from benchmarks.flood_clients import Outcomes, clients, outcomes
from benchmarks.processes import Server, allow_files, end_with_standard_input, running, serving
from benchmarks.soak.findings import Findings
from poeproto_h11 import ServerLimits, serve
from poeproto_runtime.listen import address_of, listen

HOSTS = ("hypercorn-asyncio", "hypercorn-uvloop", "hypercorn-trio", "h11-asyncio", "h11-uvloop", "h11-trio")
LOOPS = ("asyncio", "trio")
EVENTS = 10
TIMEOUT = 120.0  # for what never happens
NO_BOUND = 10_000
NEVER = 3600.0
_FILES_BESIDE = 200  # a server's own


def main(findings: Findings, smallest: bool) -> None:
    _flood(findings, ("hypercorn-asyncio", "h11-trio") if smallest else HOSTS, 60 if smallest else 8000)
    if smallest:
        _bound(findings, places=10, count=40, files=0, seconds=3)
        _bound(findings, places=NO_BOUND, count=80, files=50, seconds=3)
    else:
        _bound(findings, places=100, count=400, files=0, seconds=20)
        _bound(findings, places=NO_BOUND, count=400, files=100, seconds=20)


def _flood(findings: Findings, hosts: tuple[str, ...], count: int) -> None:
    allow_files(count + _FILES_BESIDE)
    for host in hosts:
        scenario = f"{host}: {count} clients connect at once"
        with serving(f"poeproto {host}") as server:
            outcome = _outcomes(server, count, f"{'paced' if count < 1000 else 'steady'} {EVENTS}")
        findings.exactly(scenario, "complete replies", outcome.complete, "", count)
        findings.exactly(scenario, "their events", outcome.events, "", count * EVENTS)


def _bound(findings: Findings, *, places: int, count: int, files: int, seconds: float) -> None:
    bound = f"{files} descriptors" if files else f"{places} places"
    for loop in LOOPS:
        scenario = f"embedded, {loop}: {bound}, {count} clients connect at once"
        with _serving(loop, NEVER, places, files) as server:
            outcome = _outcomes(server, count, f"burst {EVENTS}")
        findings.exactly(f"{scenario} for short replies", "complete replies", outcome.complete, "", count)
        scenario = f"{scenario} for endless replies"
        with _serving(loop, seconds / 6, places, files) as server:
            outcome = _outcomes(server, count, "silent", seconds)
        findings.exactly(scenario, "closed without an answer, or cut off", outcome.unanswered + outcome.broken, "", 0)
        if not files:
            findings.exactly(scenario, "open streams", outcome.hanging, "", places)
        findings.exactly(scenario, "answered with 503", outcome.unavailable, "", count - outcome.hanging)


def _serving(loop: str, seconds: float, places: int, files: int) -> AbstractContextManager[Server]:
    # The log is expected to say that connections wait.
    arguments = (loop, str(seconds), str(places), str(files))
    return running("benchmarks.soak.floods", *arguments, log=subprocess.DEVNULL)


def _outcomes(server: Server, count: int, wish: str, seconds: float = TIMEOUT) -> Outcomes:
    with clients(server.port, count, server.query(wish).data, seconds) as processes:
        return outcomes(processes)


def _serve(loop: str, seconds: float, places: int, files: int) -> None:
    end_with_standard_input()
    listener = listen("127.0.0.1:0")
    print(address_of(listener).rpartition(":")[2].strip("/"), flush=True)

    async def run() -> None:
        if files:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
        limits = ServerLimits(connections=places, queue_seconds=seconds)
        await serve(OurBot(anyio.sleep), bind=listener, allow_without_key=True, limits=LIMITS, server_limits=limits)

    anyio.run(run, backend=loop)


if __name__ == "__main__":
    _serve(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
