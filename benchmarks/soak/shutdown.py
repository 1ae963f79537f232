"""Scenario: graceful shutdown of servers with open streams, while one peer does not read."""

from __future__ import annotations

import signal
import time

from benchmarks.processes import Server, allow_files, serving
from benchmarks.soak.counting import TIMEOUT, Stream, hosts, standstill, streams
from benchmarks.soak.findings import Finding, Findings
from poeproto import Error, IncompleteReply
from poeproto_cli.load_query import events_of

# The graceful timeout of Hypercorn and of the embedded server.
GRACE_SECONDS = 3.0
# A stream whose peer reads must end within this.
SOON_SECONDS = 1.0


def main(findings: Findings, smallest: bool) -> None:
    count = 5 if smallest else 100
    allow_files(count + 200)
    for host in hosts(smallest):
        with serving(f"counting {host}") as server:
            _stop(findings, server, host, count)


def _stop(findings: Findings, server: Server, host: str, count: int) -> None:
    scenario = f"stopped with {count} open streams and one that is not read, {host}"
    with streams(server, "flood", 1), streams(server, "silent", count) as opened:
        standstill(server)
        server.process.send_signal(signal.SIGTERM)
        signalled = time.perf_counter()
        endings = [_ending(stream) for stream in opened]
        seconds = time.perf_counter() - signalled
        findings.add(Finding(scenario, "until all streams had ended", seconds, "s", at_most=SOON_SECONDS))
        findings.exactly(scenario, "ended with an error that allows a retry", endings.count("error"), "streams", count)
        findings.exactly(scenario, "clean ends without `done`", endings.count("incomplete"), "streams", 0)
        findings.exactly(scenario, "exit status", server.process.wait(TIMEOUT), "", 0)
        seconds = time.perf_counter() - signalled
        findings.add(Finding(scenario, "until the process had ended", seconds, "s", at_most=GRACE_SECONDS + 1))


def _ending(stream: Stream) -> str:
    stream.read_to_end()
    if not stream.received.endswith(b"\r\n0\r\n\r\n"):
        return "broken off"
    try:
        last = events_of(stream.received)[-1]
    except IncompleteReply:
        return "incomplete"
    # A reader stops at `error`, so this searches the bytes for `done`.
    done = b"event: done\ndata: {}\n\n" in stream.received
    return "error" if isinstance(last, Error) and last.allow_retry and done else "incomplete"
