"""The client's stream on trio: reads from the socket itself, with one timer for all streams of an event loop.

anyio's stream first fails to read, and then waits; its deadlines are cancel scopes. Entering and exiting a scope for
each event that arrives alone takes a sixth of all the CPU time that such an event takes. Here one system task has the
only scope, and wakes the streams whose deadlines have passed by `trio.lowlevel.notify_closing`, which makes their
`wait_readable` raise `ClosedResourceError`; their sockets stay open.
"""

from __future__ import annotations

import math
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio
import anyio.abc
import attrs
import trio

from poeproto import ConnectionLost, LocalProtocolError
from poeproto_h11.client.anyio_stream import READ_SIZE, AnyioStream
from poeproto_h11.client.backend import OTHER_LOOP, is_deadline, readable_now
from poeproto_runtime.client.transport import OTHER_READER


class TrioStream(AnyioStream):
    """A `ByteStream` over a stream of anyio, whose socket it reads from.

    Args:
        stream: a connected stream; it writes and closes.
        connection: the socket of that stream.

    Attributes:
        connection: the socket.
        deadline: of the read that waits, on trio's clock; in the past as soon as the read has timed out.
    """

    def __init__(self, stream: anyio.abc.ByteStream, connection: socket.socket) -> None:
        super().__init__(stream)
        self.connection = connection
        self.deadline = math.inf
        self._deadlines = _deadlines_here()
        self._unsent = memoryview(b"")

    async def receive(self, timeout: float) -> bytes:
        """The next bytes; empty at the end."""
        if timeout <= 0:
            raise TimeoutError
        deadlines = self._deadlines
        if self in deadlines.waiting:
            raise LocalProtocolError(OTHER_READER)
        if deadlines.has_ended:
            raise LocalProtocolError(OTHER_LOOP)
        self.deadline = trio.current_time() + timeout
        deadlines.add(self)
        try:
            while True:
                await trio.lowlevel.wait_readable(self.connection)
                try:
                    return self.connection.recv(READ_SIZE)
                except BlockingIOError:
                    pass  # a spurious wakeup
        except trio.ClosedResourceError as exc:
            if self not in deadlines.waiting:
                raise TimeoutError from None
            raise ConnectionLost("the connection broke while it was read") from exc
        except OSError as exc:
            raise ConnectionLost("the connection broke while it was read") from exc
        finally:
            deadlines.waiting.discard(self)

    async def send_until_answered(self, data: bytes, timeout: float) -> bool:
        """Send all of the data, or stop when there is something to read. Returns whether all was sent."""
        self._unsent = memoryview(bytes(self._unsent) + data)
        try:
            with anyio.fail_after(timeout):
                await trio.lowlevel.checkpoint()
                while self._unsent:
                    try:
                        self._unsent = self._unsent[self.connection.send(self._unsent) :]
                    except BlockingIOError:
                        if readable_now(self.connection):
                            return False
                        await self._wait_readable_or_writable()
        except OSError as exc:
            if is_deadline(exc):
                raise
            raise ConnectionLost("the connection broke while it was written") from exc
        return True

    async def aclose(self) -> None:
        """Close at once."""
        if self._deadlines.has_ended:
            self.connection.close()
        else:
            await super().aclose()

    async def _wait_readable_or_writable(self) -> None:
        async def wait(ready: Callable[[socket.socket], Awaitable[None]]) -> None:
            with suppress(trio.ClosedResourceError):  # the next `send` raises OSError
                await ready(self.connection)
            nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait, trio.lowlevel.wait_readable)
            nursery.start_soon(wait, trio.lowlevel.wait_writable)


@attrs.frozen
class TrioLoop:
    """An `EventLoop` of trio."""

    _token: trio.lowlevel.TrioToken

    def is_over(self) -> bool:
        """Whether the run has ended."""
        try:
            self._token.run_sync_soon(_do_nothing, idempotent=True)
        except trio.RunFinishedError:
            return True
        return False

    def call_soon(self, function: Callable[[], object]) -> None:
        """Call the function in that loop, or directly if the loop has ended."""
        try:
            self._token.run_sync_soon(function)
        except trio.RunFinishedError:
            function()


def _do_nothing() -> None:
    pass


class _Deadlines:
    """The deadlines of all streams of an event loop.

    The task sleeps in a scope that ends at the earliest known deadline. A later one does not wake it, so streams
    that are read again and again cost nothing: it looks through those that wait once in a timeout.

    Attributes:
        waiting: the streams that wait for data. One that has timed out is removed.
        has_ended: whether the event loop has ended.
    """

    def __init__(self) -> None:
        self.waiting: set[TrioStream] = set()
        self.has_ended = False
        self._scope = trio.CancelScope()

    def add(self, stream: TrioStream) -> None:
        """Wake this stream at its deadline, unless it is removed from `waiting` before."""
        self.waiting.add(stream)
        if stream.deadline < self._scope.deadline:
            self._scope.deadline = stream.deadline

    async def run(self) -> None:
        """Wake the streams that time out. A system task."""
        try:
            await self._run()
        finally:
            self.has_ended = True

    async def _run(self) -> None:
        while True:
            with self._scope:
                await trio.sleep_forever()
            now = trio.current_time()
            for stream in [stream for stream in self.waiting if stream.deadline <= now]:
                self.waiting.remove(stream)
                trio.lowlevel.notify_closing(stream.connection)
            self._scope = trio.CancelScope(deadline=min((stream.deadline for stream in self.waiting), default=math.inf))


_deadlines: trio.lowlevel.RunVar[_Deadlines] = trio.lowlevel.RunVar("poeproto_h11_deadlines")


def _deadlines_here() -> _Deadlines:
    try:
        return _deadlines.get()
    except LookupError:
        _deadlines.set(deadlines := _Deadlines())
        trio.lowlevel.spawn_system_task(deadlines.run)
        return deadlines
