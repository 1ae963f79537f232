"""Scenario: thousands of clients that connect at once, and more clients than the embedded server may serve at once."""

from __future__ import annotations

import resource
import subprocess
import sys
from contextlib import AbstractContextManager
from typing import cast

import anyio

from benchmarks.apps import LIMITS, OurBot, ours
from benchmarks.flood_clients import Outcomes, clients, outcomes
from benchmarks.processes import ACCESS_KEY, Server, allow_files, end_with_standard_input, running, serving
from benchmarks.soak.findings import Findings
from poeproto import Message, QueryRequest
from poeproto_asgi import run
from poeproto_asgi.server import WorkerClass
from poeproto_cli.load_query import write_query
from poeproto_h11 import ServerLimits, serve
from poeproto_runtime.listen import address_of, listen
from poeproto_simulator import Simulator

HOSTS = ("hypercorn-asyncio", "hypercorn-uvloop", "hypercorn-trio", "h11-asyncio", "h11-uvloop", "h11-trio")
WORKER_CLASSES = ("asyncio", "uvloop", "trio")
PROGRAMS = (*(f"workers-{loop}" for loop in WORKER_CLASSES), *(f"simulator-{loop}" for loop in WORKER_CLASSES))
LOOPS = ("asyncio", "trio")
BIND = "127.0.0.1:0"
BOT_NAME = "Flood"
EVENTS = 10
TIMEOUT = 120.0  # far longer than any reply, so that it is never reached
NO_BOUND = 10_000
NEVER = 3600.0
_FILES_BESIDE = 200  # files that a server itself has open

app = ours(OurBot(anyio.sleep))  # the workers import it by this name


def main(findings: Findings, smallest: bool) -> None:
    few = ("hypercorn-asyncio", "hypercorn-trio", "h11-trio", "workers-uvloop", "simulator-asyncio")
    _flood(findings, few if smallest else HOSTS + PROGRAMS, 60 if smallest else 8000)
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
        with _program(host) if host in PROGRAMS else serving(f"poeproto {host}") as server:
            path = f"bot/{BOT_NAME}" if host.startswith("simulator") else ""
            outcome = _outcomes(server, count, f"{'paced' if count < 1000 else 'steady'} {EVENTS}", path=path)
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


def _program(host: str) -> AbstractContextManager[Server]:
    program, _, loop = host.partition("-")
    # The log is expected to say that the parent process was killed.
    return running("benchmarks.soak.floods", program, loop, log=subprocess.DEVNULL)


def _outcomes(server: Server, count: int, wish: str, seconds: float = TIMEOUT, *, path: str = "") -> Outcomes:
    query = write_query(f"{server.url}{path}", QueryRequest([Message("user", wish)]), ACCESS_KEY)
    with clients(server.port, count, query.data, seconds) as processes:
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


def _run(program: str, worker_class: WorkerClass) -> None:
    end_with_standard_input()
    if program == "workers":
        run("benchmarks.soak.floods:app", bind=BIND, worker_class=worker_class, workers=2, on_ready=_print_port)
    else:
        simulator = Simulator(strict=False)
        simulator.register(BOT_NAME, OurBot(anyio.sleep), access_key=ACCESS_KEY)
        run(simulator, bind=BIND, worker_class=worker_class, on_ready=_print_port)


def _print_port(address: str) -> None:
    print(address.rpartition(":")[2].strip("/"), flush=True)


if __name__ == "__main__" and len(sys.argv) == len(("", "program", "worker class")):
    _run(sys.argv[1], cast("WorkerClass", sys.argv[2]))
elif __name__ == "__main__":
    _serve(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
