"""A bot that counts what becomes of its replies, and clients that misbehave towards it."""

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
# For what never comes.
TIMEOUT = 60.0
# Far more than a server may hold whose bots are held back.
MOST_MEMORY = 1 << 30
_RESET = struct.pack("ii", 1, 0)

Sleep = Callable[[float], object]


@attrs.frozen
class Counts:
    """What has become of replies so far.

    Attributes:
        started: the bot's, those that ask for counts apart.
        ended: `finally` blocks that ran.
        closed: `on_close` functions that ran.
        made: events of those that flood.
        tasks: of the whole process, those of the event loop's own apart.
    """

    started: int
    ended: int
    closed: int
    made: int
    tasks: int


class CountingBot(Bot):
    """Answers "counts" with them, and otherwise talks, is silent or floods, as the message says, without end."""

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
    """All hosts, or one of each event loop."""
    return ("hypercorn-asyncio", "h11-trio") if smallest else HOSTS


def counts_of(server: Server) -> Counts:
    """Ask the server's bot for its counts."""
    with closing(connect(server)) as connection:
        connection.sendall(server.query("counts").data.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n", 1))
        response = b"".join(iter(lambda: connection.recv(65536), b""))
    [text, _] = events_of(response)
    assert isinstance(text, Text)
    return Counts(*json.loads(text.text))


def until(server: Server, condition: Callable[[Counts], bool], seconds: float = TIMEOUT) -> Counts:
    """Ask for the counts until they are as wanted, or for so long."""
    deadline = time.perf_counter() + seconds
    while not condition(counts := counts_of(server)) and time.perf_counter() < deadline:
        time.sleep(0.02)
    return counts


def standstill(server: Server) -> Counts:
    """Wait until bots that flood are held back, because all buffers are full, the system's too."""
    counts = counts_of(server)
    same = 0
    deadline = time.perf_counter() + TIMEOUT
    while same < 3:
        if server.memory() > MOST_MEMORY or time.perf_counter() > deadline:
            raise RuntimeError("bots that flood are not held back")
        time.sleep(0.1)
        later = counts_of(server)
        same = same + 1 if later.made == counts.made else 0
        counts = later
    return counts


def open_files(server: Server) -> int:
    """The files that the server has open, when the connections that were closed last are not among them any more."""
    files = server.open_files()
    while (later := _a_little_later(server)) != files:
        files = later
    return files


def _a_little_later(server: Server) -> int:
    time.sleep(0.1)
    return server.open_files()


def connect(server: Server, receive_buffer: int | None = None) -> socket.socket:
    """A connection to the server."""
    connection = socket.socket()
    if receive_buffer is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.settimeout(TIMEOUT)
    connection.connect(("127.0.0.1", server.port))
    return connection


def reset(connection: socket.socket) -> None:
    """Leave at once, with a reset, whatever was on its way."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    connection.close()


class Stream:
    """A stream that was begun: what has been read of it, and the connection that brings the rest."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.received = b""

    def read_first(self) -> None:
        """Read its first event."""
        while b"hello" not in self.received:
            data = self.connection.recv(1000)
            assert data, "the server closed a stream that had hardly begun"
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
    """So many streams, each of which has brought its first event."""
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
