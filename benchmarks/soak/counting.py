"""A bot that counts how its replies end, and clients that disconnect or do not read."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import sys
import time
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import closing, contextmanager

import attrs

from benchmarks.processes import Server
from poeproto import Bot, Context, Limits, QueryRequest, Text
from poeproto_asgi import BotApp
from poeproto_cli.load_query import events_of

HOSTS = ("hypercorn-asyncio", "hypercorn-trio", "h11-asyncio", "h11-trio")
SEND_SECONDS = 5.0
IMPATIENT_SECONDS = 1.0
TALK_SECONDS = 0.1
# A limit that is never reached.
TIMEOUT = 60.0
# Far more memory than a server needs if backpressure works.
MOST_MEMORY = 1 << 30
_RESET = struct.pack("ii", 1, 0)

Sleep = Callable[[float], object]


@attrs.frozen
class Counts:
    """The counts of replies so far.

    Attributes:
        started: replies that started, without those that return counts.
        ended: `finally` blocks that ran.
        closed: `on_close` functions that ran.
        made: events of replies that flood.
        tasks: tasks of the process, without the event loop's own.
    """

    started: int
    ended: int
    closed: int
    made: int
    tasks: int


class CountingBot(Bot):
    """Answers "counts" with the counts. For "talk", "silent" and "flood", it answers without end."""

    def __init__(self, sleep: Sleep) -> None:
        self._sleep = sleep
        self._started = self._ended = self._closed = self._made = 0

    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[Text]:
        manner = request.query[-1].content
        if manner == "counts":
            counts = Counts(self._started, self._ended, self._closed, self._made, _tasks())
            yield Text(json.dumps(attrs.astuple(counts)))
            return
        self._started += 1
        context.on_close(self._close)
        try:
            yield Text("hello")
            while manner == "flood":
                self._made += 1
                yield Text("a" * 1000)
            while manner == "talk":
                await self._pause(TALK_SECONDS)
                yield Text("and on")
            await self._pause(3600)
        finally:
            self._ended += 1

    async def _pause(self, seconds: float) -> None:
        await self._sleep(seconds)  # type: ignore[misc]

    async def _close(self) -> None:
        await self._pause(0)
        self._closed += 1


def _tasks() -> int:
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_task():
        return trio.lowlevel.current_statistics().tasks_living
    return len(asyncio.all_tasks())


def counting(sleep: Sleep, send_seconds: float) -> BotApp:
    limits = Limits(events=10**9, text_length=10**12, send_seconds=send_seconds)
    return BotApp(CountingBot(sleep), allow_without_key=True, limits=limits)


def hosts(smallest: bool) -> tuple[str, ...]:
    """All hosts, or one for each event loop."""
    return ("hypercorn-asyncio", "h11-trio") if smallest else HOSTS


def counts_of(server: Server) -> Counts:
    """Query the server's bot for its counts."""
    with closing(connect(server)) as connection:
        connection.sendall(server.query("counts").data.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n", 1))
        response = b"".join(iter(lambda: connection.recv(65536), b""))
    [text, _] = events_of(response)
    assert isinstance(text, Text)
    return Counts(*json.loads(text.text))


def until(server: Server, condition: Callable[[Counts], bool], seconds: float = TIMEOUT) -> Counts:
    """Poll the counts until the condition holds or the time has passed."""
    deadline = time.perf_counter() + seconds
    while not condition(counts := counts_of(server)) and time.perf_counter() < deadline:
        time.sleep(0.02)
    return counts


def standstill(server: Server) -> Counts:
    """Wait until backpressure stops the bots that flood: all buffers are full, the kernel's included."""
    counts = counts_of(server)
    same = 0
    deadline = time.perf_counter() + TIMEOUT
    while same < 3:
        if server.memory() > MOST_MEMORY or time.perf_counter() > deadline:
            raise RuntimeError("bots that flood are not stopped by backpressure")
        time.sleep(0.1)
        later = counts_of(server)
        same = same + 1 if later.made == counts.made else 0
        counts = later
    return counts


def open_files(server: Server) -> int:
    """The number of open files of the server, once it no longer changes."""
    files = server.open_files()
    while (later := _a_little_later(server)) != files:
        files = later
    return files


def _a_little_later(server: Server) -> int:
    time.sleep(0.1)
    return server.open_files()


def connect(server: Server, receive_buffer: int | None = None) -> socket.socket:
    """Connect to the server."""
    connection = socket.socket()
    if receive_buffer is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.settimeout(TIMEOUT)
    connection.connect(("127.0.0.1", server.port))
    return connection


def reset(connection: socket.socket) -> None:
    """Close the connection with a reset, whatever is in flight."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    connection.close()


class Stream:
    """A stream whose first event has been read, or is being waited for.

    Attributes:
        connection: its connection.
        received: what has been read.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.received = b""

    def read_first(self) -> None:
        """Read its first event."""
        while b"hello" not in self.received:
            data = self.connection.recv(1000)
            assert data, "the server closed a stream before its first event"
            self.received += data

    def read_to_end(self) -> None:
        """Read until the server closes or resets the connection."""
        try:
            while data := self.connection.recv(65536):
                self.received += data
        except ConnectionError:
            pass


@contextmanager
def streams(server: Server, manner: str, count: int, receive_buffer: int | None = None) -> Generator[list[Stream]]:
    """Open `count` streams, and wait for the first event of each."""
    opened = [Stream(connect(server, receive_buffer)) for _ in range(count)]
    try:
        for stream in opened:
            stream.connection.sendall(server.query(manner).data)
        for stream in opened:
            stream.read_first()
        yield opened
    finally:
        for stream in opened:
            stream.connection.close()
