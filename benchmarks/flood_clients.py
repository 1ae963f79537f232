"""Command: a process of clients that connect at once, `python -m benchmarks.flood_clients PORT COUNT SECONDS < QUERY`.

It sends the query that it reads from standard input on each connection, counts what comes back, and prints the counts
as JSON. A thousand clients take a fraction of the CPU time of a server, since they parse nothing.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager

import attrs

from benchmarks.processes import allow_files

PROCESSES = 2
_EVENT = b"event: text"
_DONE = b"event: done"
_FILES_BESIDE = 100  # files that the process itself has open


@attrs.frozen(kw_only=True)
class Outcomes:
    """How many clients ended in which way, and how many events they have received.

    Attributes:
        complete: replies to their end.
        unavailable: refusals with status 503 and `Retry-After`.
        broken: connections that ended within an answer, or that were reset.
        unanswered: connections that ended without a byte, or were not made.
        hanging: connections whose answer was not complete when the time had passed.
        events: `text` events of all of them.
    """

    complete: int = 0
    unavailable: int = 0
    broken: int = 0
    unanswered: int = 0
    hanging: int = 0
    events: int = 0

    def __add__(self, other: Outcomes) -> Outcomes:
        mine, theirs = attrs.asdict(self), attrs.asdict(other)
        return Outcomes(**{name: mine[name] + theirs[name] for name in mine})


@contextmanager
def clients(port: int, count: int, query: bytes, seconds: float) -> Generator[list[subprocess.Popen[bytes]]]:
    """Start processes of clients that connect once standard input has ended; `outcomes` waits for them."""
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for number in range(PROCESSES):
            part = count // PROCESSES + (number < count % PROCESSES)
            command = [sys.executable, "-m", "benchmarks.flood_clients", str(port), str(part), str(seconds)]
            processes.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(query)
            process.stdin.close()
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


def outcomes(processes: list[subprocess.Popen[bytes]]) -> Outcomes:
    """Wait for the clients to end."""
    total = Outcomes()
    for process in processes:
        assert process.stdout is not None
        total += Outcomes(**json.loads(process.stdout.read()))
    return total


class _Client(asyncio.Protocol):
    def __init__(self, query: bytes) -> None:
        self._query = query
        self._received: list[bytes] = []
        self.ended = asyncio.get_running_loop().create_future()
        self._is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._is_open = True
        transport.write(self._query)

    def data_received(self, data: bytes) -> None:
        self._received.append(data)
        if b"0\r\n\r\n" in data and _DONE in (response := b"".join(self._received)) and response.endswith(b"0\r\n\r\n"):
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_open = False
        if not self.ended.done():
            self.ended.set_result(None)

    def outcome(self) -> Outcomes:
        response = b"".join(self._received)
        events = response.count(_EVENT)
        if response.startswith(b"HTTP/1.1 503") and b"\r\nretry-after:" in response.lower():
            return Outcomes(unavailable=1)
        if _DONE in response:
            return Outcomes(complete=1, events=events)
        if self._is_open:
            return Outcomes(hanging=1, events=events)
        return Outcomes(broken=1, events=events) if response else Outcomes(unanswered=1)


async def _connect_all(port: int, count: int, query: bytes, seconds: float) -> Outcomes:
    loop = asyncio.get_running_loop()

    async def connect() -> Outcomes:
        client = _Client(query)
        try:
            async with asyncio.timeout(seconds):
                await loop.create_connection(lambda: client, "127.0.0.1", port)
                await client.ended
        except TimeoutError:
            return client.outcome()
        except OSError:
            return Outcomes(unanswered=1)
        return client.outcome()

    total = Outcomes()
    for outcome in await asyncio.gather(*(connect() for _ in range(count))):
        total += outcome
    return total


def main(port: str, count: str, seconds: str) -> None:
    allow_files(int(count) + _FILES_BESIDE)
    query = sys.stdin.buffer.read()
    print(json.dumps(attrs.asdict(asyncio.run(_connect_all(int(port), int(count), query, float(seconds))))))


if __name__ == "__main__":
    main(*sys.argv[1:])
