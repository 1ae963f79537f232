"""Scenario: the embedded server with slow or too many clients: when it disconnects them, and that it answers others."""

from __future__ import annotations

import resource
import select
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Generator
from contextlib import ExitStack, contextmanager

import anyio

from benchmarks.processes import end_with_standard_input, running
from benchmarks.soak.findings import Finding, Findings
from poeproto import Bot, Context, Message, QueryRequest, encode_request
from poeproto.testing import TEST_ACCESS_KEY
from poeproto_h11 import ServerLimits, serve

BACKENDS = ("asyncio", "trio")
# Short for a fast run, and long enough that a busy system is late by less than a tenth of it.
SECONDS = 3.0
FILES = 64  # the limit of open files of the server, its own included
QUEUE_SECONDS = 2.0
TIMEOUT = 30.0  # far longer than any reply, so that it is never reached
NEVER = 3600.0  # for timeouts of the server that must not pass

PAGE = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
_QUERY = encode_request(QueryRequest([Message("user", "hello")]))
_QUERY_HEAD = (
    f"POST / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TEST_ACCESS_KEY}\r\nContent-Length: {len(_QUERY)}\r\n\r\n"
).encode()
# Bytes that each client sends at once, and bytes that it then sends one at a time until it is disconnected.
SLOW = {
    "connections without a request": (b"", b""),
    "heads, a byte each tenth of a second": (b"", b"POST / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 1000),
    "bodies, a byte each tenth of a second": (_QUERY_HEAD, _QUERY[:-1]),
    "bodies that do not begin": (_QUERY_HEAD, b""),
}


class OpenBot(Bot):
    """Sends one event, then nothing until its peer disconnects."""

    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield "hello"
        await anyio.sleep_forever()


def main(findings: Findings, smallest: bool) -> None:
    clients, flood, answers = (3, 100, 5) if smallest else (40, 200, 200)
    seconds = 0.5 if smallest else SECONDS
    for backend in BACKENDS:
        for name, (first, trickle) in SLOW.items():
            with serving(backend, seconds) as port:
                times = clients_cut(port, clients, first, trickle, seconds)
            _add_deadlines(findings, f"embedded, {backend}: {name}", times, seconds, smallest)
        with serving(backend, NEVER) as port:
            scenario = f"embedded, {backend}: {FILES} descriptors, {flood} idle connections"
            with ExitStack() as stack:
                for _ in range(flood):
                    stack.enter_context(connect(port))
                findings.exactly(
                    scenario, "other requests answered meanwhile", pages_answered(port, answers), "", answers
                )
            findings.exactly(scenario, "answered afterwards", pages_answered(port, answers), "", answers)
        with serving(backend, NEVER) as port:
            scenario = f"embedded, {backend}: {FILES} descriptors, {flood} streams are requested"
            with ExitStack() as stack:
                streams = [stack.enter_context(connect(port)) for _ in range(flood)]
                for stream in streams:
                    stream.sendall(_QUERY_HEAD + _QUERY)
                half = FILES // 2
                findings.add(Finding(scenario, "opened", opened(streams, half), "streams", at_least=half))
            findings.exactly(scenario, "answered after they disconnected", pages_answered(port, answers), "", answers)


def _add_deadlines(findings: Findings, scenario: str, times: list[float], deadline: float, smallest: bool) -> None:
    # A small run is part of the tests, on a busy machine, and has no bounds of time.
    low, high = (None, None) if smallest else (0.9 * deadline, 1.1 * deadline)
    findings.add(
        Finding(scenario, f"first of {len(times)} disconnected, of {deadline:g} s", min(times), "s", at_least=low)
    )
    findings.add(Finding(scenario, f"last of {len(times)} disconnected", max(times), "s", at_most=high))


# --- clients


@contextmanager
def connect(port: int) -> Generator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as connection:
        yield connection


def clients_cut(port: int, count: int, first: bytes, trickle: bytes, seconds: float) -> list[float]:
    """Seconds until the server answers or disconnects each of `count` clients, which send slowly."""
    times: list[float] = []
    with ExitStack() as stack:
        began: dict[socket.socket, float] = {}
        for _ in range(count):
            start = time.perf_counter()
            connection = stack.enter_context(connect(port))
            connection.sendall(first)
            began[connection] = start
        sent = 0
        while began and time.perf_counter() - min(began.values()) < seconds + TIMEOUT:
            for connection in began:
                connection.sendall(trickle[sent : sent + 1])
            sent += 1
            again = time.perf_counter() + 0.1
            while (left := again - time.perf_counter()) > 0 and began:
                for connection in select.select(list(began), [], [], left)[0]:
                    times.append(time.perf_counter() - began.pop(connection))
        # A client that is never disconnected counts with the time that it waited.
        times += [time.perf_counter() - start for start in began.values()]
    return times


def pages_answered(port: int, count: int) -> int:
    """How many requests for a page are answered, each on a connection of its own, until one is not."""
    answered = 0
    for _ in range(count):
        try:
            with connect(port) as connection:
                connection.sendall(PAGE)
                answered += connection.recv(100).startswith(b"HTTP/1.1 200")
        except OSError:
            break
    return answered


def opened(streams: list[socket.socket], enough: int) -> int:
    """How many streams have started, once that is enough or `TIMEOUT` has passed."""
    waiting, count = list(streams), 0
    end = time.perf_counter() + TIMEOUT
    while count < enough and (left := end - time.perf_counter()) > 0:
        ready: list[socket.socket] = select.select(waiting, [], [], left)[0]
        for stream in ready:
            waiting.remove(stream)
        count += sum(map(_begins_with_ok, ready))
    return count


def _begins_with_ok(stream: socket.socket) -> bool:
    try:
        return stream.recv(100).startswith(b"HTTP/1.1 200")
    except ConnectionResetError:
        return False  # the server closed it to accept another


# --- the server


@contextmanager
def serving(backend: str, seconds: float) -> Generator[int]:
    """Run the server in a process of its own until the block exits; yields its port."""
    # The log is expected to say that connections wait.
    with running("benchmarks.soak.embedded_server", backend, str(seconds), log=subprocess.DEVNULL) as server:
        pages_answered(server.port, 1)  # it listens before all modules are loaded
        yield server.port


def _serve(backend: str, seconds: float) -> None:
    end_with_standard_input()
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    print(listener.getsockname()[1], flush=True)
    limits = ServerLimits(head_seconds=seconds, body_seconds=seconds, idle_seconds=seconds, queue_seconds=QUEUE_SECONDS)

    async def run() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))
        await serve(OpenBot(), bind=listener, access_key=TEST_ACCESS_KEY, server_limits=limits)

    anyio.run(run, backend=backend)


if __name__ == "__main__":
    _serve(sys.argv[1], float(sys.argv[2]))
