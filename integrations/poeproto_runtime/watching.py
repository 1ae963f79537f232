"""Looking after the streams that wait: one task for all of a server's, since a task and a timer for each takes memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import anyio

# How often a stream is looked at, in parts of the shortest time that matters to it.
_LOOKS = 16


class Watched(Protocol):
    """A stream that is under way, within a task group of its own."""

    def start_soon(self, run: Callable[[Any], Awaitable[None]], argument: Any, /) -> None:
        """Start a task, which is cancelled when the stream ends."""
        ...

    def look(self, now: float, pause: float, /) -> None:
        """Do what is due by now, or before the next look; the pause until then is given. It must neither wait nor fail."""
        ...


class Watch:
    """Looks at each stream every so often, from a task of one of them; when that one ends, another takes over.

    A stream is added when it waits for the first time, so most replies that never wait need no task but the bot's.

    Args:
        shortest: the shortest time, in seconds, that a stream wants something done after.
    """

    def __init__(self, shortest: float) -> None:
        self._pause = shortest / _LOOKS
        self._streams: dict[Watched, None] = {}
        self._host: Watched | None = None

    def add(self, stream: Watched) -> None:
        """Look after this stream, until it is discarded."""
        self._streams[stream] = None
        if self._host is None:
            self._live_with(stream)

    def discard(self, stream: Watched) -> None:
        """Look after this stream no more; it must be said before its task group is left, and does no harm twice."""
        self._streams.pop(stream, None)
        if self._host is stream:
            self._host = None
            for other in self._streams:
                self._live_with(other)
                break

    def _live_with(self, host: Watched) -> None:
        self._host = host
        host.start_soon(self._run, host)

    async def _run(self, host: Watched) -> None:
        try:
            while host is self._host:
                await anyio.sleep(self._pause)
                now = anyio.current_time()
                for stream in tuple(self._streams):
                    stream.look(now, self._pause)
        finally:
            self.discard(host)
