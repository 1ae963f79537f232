"""The recording proxy and the replay, in the test's own event loop."""

from __future__ import annotations

import io
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.abc

from poeproto_record import (
    RecordedEnd,
    RecordedExchange,
    Recording,
    RecordingReader,
    RecordingWriter,
    read_exchanges,
)
from poeproto_record.server import record, replay


class Tape(io.BytesIO):
    """A recording in memory, which says when an exchange has ended."""

    def __init__(self) -> None:
        super().__init__()
        self._written = anyio.Event()

    def flush(self) -> None:
        super().flush()
        self._written.set()
        self._written = anyio.Event()

    def recording(self) -> Recording:
        """The recording so far."""
        reader = RecordingReader(io.BytesIO(self.getvalue()))
        exchanges = sorted(read_exchanges(reader), key=lambda exchange: exchange.number)
        return Recording(reader.header, tuple(exchanges))

    async def ended(self, count: int = 1) -> list[RecordedExchange]:
        """The exchanges, once the given number have ended."""
        while len(found := [each for each in self.recording().exchanges if each.end is not None]) < count:
            await self._written.wait()
        return found

    async def lines(self, count: int) -> None:
        """Return once there are the given number of lines."""
        while self.getvalue().count(b"\n") < count:
            await self._written.wait()


@asynccontextmanager
async def recording(url: str, *, bind: str = "127.0.0.1:0", **options: Any) -> AsyncGenerator[tuple[str, Tape]]:
    """A proxy in front of the server at this URL; yields its address and the recording."""
    tape = Tape()
    async with anyio.create_task_group() as tasks:

        async def run(*, task_status: anyio.abc.TaskStatus[str]) -> None:
            await record(url, tape, bind=bind, task_status=task_status, **options)

        address = await tasks.start(run)
        yield address, tape
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def replaying(recording: Recording, *, speed: float = 0, **options: Any) -> AsyncGenerator[str]:
    """A replay; yields its address."""
    async with anyio.create_task_group() as tasks:

        async def run(*, task_status: anyio.abc.TaskStatus[str]) -> None:
            await replay(recording, bind="127.0.0.1:0", speed=speed, task_status=task_status, **options)

        yield await tasks.start(run)
        tasks.cancel_scope.cancel()


def outcome_of(exchange: RecordedExchange) -> str:
    """How an exchange ended."""
    assert isinstance(exchange.end, RecordedEnd)
    return exchange.end.outcome.value


def tape_writer() -> tuple[RecordingWriter, Tape]:
    """A writer of a recording as it is, with a clock that advances by a millisecond for each line."""
    tape = Tape()
    ticks = iter(range(10**9))
    return RecordingWriter(tape, tool="test", redaction=None, clock=lambda: next(ticks) / 1000), tape
