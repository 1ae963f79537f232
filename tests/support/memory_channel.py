"""A peer in memory: the `Channel` that the runtime's tests talk through."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager

import anyio
import anyio.lowlevel

from poeproto import Event, HttpResponse, Limits, RequestHead, ResponseHead
from poeproto_runtime import BotService, ClientDisconnected, Route

from .bots import FunctionBot, Respond, events_in, query_body


class MemoryChannel:
    """One request and its response, in memory.

    It asserts what the runtime promises: never two writers at once, and nothing after the end.

    Attributes:
        open: what every write waits for; set at first. Replace it to simulate a client that does not read.
        head_open: the same for the head alone.
        gone: set it to disconnect the client.
        break_writes: let every further write fail, as it does when the client has disconnected.
        suspends: whether a write lets other tasks run, which a server's own need not.
        attempts: how many writes were begun.
        writes: what was written, the end's included.
        writers: the task that made each write.
    """

    def __init__(self, body: bytes | None = None) -> None:
        self.head: ResponseHead | None = None
        self.response: HttpResponse | None = None
        self.open = anyio.Event()
        self.open.set()
        self.head_open = anyio.Event()
        self.head_open.set()
        self.gone = anyio.Event()
        self.break_writes = False
        self.suspends = True
        self.attempts = 0
        self.writes: list[bytes] = []
        self.writers: list[int] = []
        self.ended = False
        self._parts = [query_body() if body is None else body]
        self._writing = False
        self._changed = anyio.Event()

    @property
    def stream(self) -> bytes:
        """All that was written so far."""
        return b"".join(self.writes)

    @property
    def events(self) -> list[Event]:
        """The events written so far."""
        return events_in(self.stream)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that a write brings about."""
        while not condition():
            await self._changed.wait()

    async def receive(self) -> bytes | None:
        await anyio.lowlevel.checkpoint()
        return self._parts.pop(0) if self._parts else None

    async def wait_disconnected(self) -> None:
        await self.gone.wait()

    async def respond(self, response: HttpResponse) -> None:
        with self._exclusively():
            assert self.head is None
            assert self.response is None
            self.response = response
            await anyio.lowlevel.checkpoint()

    async def start(self, head: ResponseHead) -> None:
        with self._exclusively():
            assert self.head is None
            self.head = head
            self._notify()
            await anyio.lowlevel.checkpoint()
            await self.head_open.wait()

    def send(self, data: bytes) -> Awaitable[None] | None:
        assert data, "an empty part would end a chunked body in a careless server"
        return self._send(data)

    async def _send(self, data: bytes) -> None:
        with self._exclusively():
            await self._write(data)

    async def finish(self, data: bytes) -> None:
        with self._exclusively():
            await self._write(data)
            self.ended = True

    async def _write(self, data: bytes) -> None:
        assert self.head is not None
        self.attempts += 1
        self._notify()
        if self.suspends or not self.open.is_set():
            await self.open.wait()
        if self.break_writes:
            raise ClientDisconnected("the client disconnected")
        self.writes.append(data)
        self.writers.append(anyio.get_current_task().id)
        self._notify()

    @contextmanager
    def _exclusively(self) -> Generator[None]:
        assert not self._writing, "two writers at once"
        assert not self.ended, "a write after the end"
        self._writing = True
        try:
            yield
        finally:
            self._writing = False

    def _notify(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


def service_of(respond: Respond, limits: Limits | None = None) -> BotService:
    """A service with one bot, which answers anyone."""
    return BotService({"/": Route(FunctionBot(respond), allow_without_key=True)}, limits)


async def answer(respond: Respond, channel: MemoryChannel | None = None, limits: Limits | None = None) -> MemoryChannel:
    """Let the bot answer a query through the channel."""
    channel = channel or MemoryChannel()
    await service_of(respond, limits).handle(RequestHead("POST", "/"), "/", channel)
    return channel
