"""The client's stream on asyncio and uvloop: a protocol of its own on the transport of a connected anyio stream.

anyio's stream pauses and resumes reading around each `receive`, which takes two system calls, and its deadlines are
cancel scopes. For an event that arrives alone, that costs more than everything else the event loop does. Here the
transport keeps reading until `_READ_SIZE` bytes wait, and a connection has one timer, which later deadlines postpone.

Connecting stays with anyio (name resolution, happy eyeballs), so this file uses its internals: the attributes
`_transport` and `_protocol` of its stream, and `read_queue` and `is_at_eof` of that protocol. `take_over` returns None
if one is missing, and the client then uses anyio's stream, which costs about 40 µs more CPU time for each such event
(``python -m benchmarks lone``). tests/integrations/h11_client/test_streams.py would notice.

Of asyncio it uses two attributes of a transport. `max_size` is how much it reads at once, by default 256 KiB. asyncio
allocates as much for each read, and glibc may get it from the kernel each time: three system calls and a page fault for
each event that arrives alone, a quarter of a relay's CPU time. Without the attribute it is so again, and
test_streams.py would notice.

The other is `_sock`, to close a connection whose event loop is closed. Without it, such a socket stays open until it is
collected as garbage, and test_event_loops.py would notice.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any, cast

import anyio
import anyio.abc
import anyio.lowlevel
import attrs

from poeproto import ConnectionLost, LocalProtocolError
from poeproto_h11.client.asyncio_waiter import Waiter
from poeproto_h11.client.backend import OTHER_LOOP, readable_now
from poeproto_runtime.client.transport import OTHER_READER

# The most bytes that one `receive` returns. Reading pauses when more than this is buffered; the event loop may exceed
# it by one read of its own, of the same size on asyncio, and of up to 256 KiB on uvloop.
_READ_SIZE = 64 * 1024


@attrs.frozen
class AsyncioLoop:
    """An `EventLoop` of asyncio or uvloop."""

    _loop: asyncio.AbstractEventLoop

    def is_over(self) -> bool:
        """Whether the loop is closed."""
        return self._loop.is_closed()

    def call_soon(self, function: Callable[[], object]) -> None:
        """Call the function in that loop; not at all if the loop is being closed, which closes its connections."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function)


def take_over(stream: anyio.abc.ByteStream) -> AsyncioStream | None:
    """A stream on the transport of a connected stream of anyio, which must not be used afterwards.

    None if anyio has changed, or has read something already: then its own stream has to be used.
    """
    inner = cast("Any", stream)
    try:
        transport, protocol = inner._transport, inner._protocol
        unread = protocol.read_queue or protocol.is_at_eof or transport.is_closing()
    except AttributeError:
        return None
    return None if unread else AsyncioStream(transport)


class AsyncioStream(asyncio.Protocol):
    """A `ByteStream` on a transport of asyncio or uvloop, which this takes over.

    Args:
        transport: a connected transport whose reading is paused.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._socket: socket.socket = transport.get_extra_info("socket")
        self._chunks: list[bytes] = []
        self._size = 0  # the sum of the sizes of the chunks
        self._paused = False
        self._at_eof = False
        self._lost = False
        self._reader = Waiter(self._loop)  # resumed when there is something to read, or at a deadline
        self._is_read = False  # whether a task waits for that
        self._must_wait = False  # whether the kernel has not taken all data yet
        self._writer: asyncio.Future[None] | None = None  # resolved when it has, or the connection is lost
        self._stops_for_answer = False  # whether the writer is also resolved when there is something to read
        self._deadline = 0.0  # the deadline of the pending read
        self._timer: asyncio.TimerHandle | None = None
        self._timer_end = 0.0
        if hasattr(transport, "max_size"):  # uvloop's transports have a buffer of their own
            cast("Any", transport).max_size = _READ_SIZE
        transport.set_protocol(self)
        transport.set_write_buffer_limits(0)
        transport.resume_reading()

    async def receive(self, timeout: float) -> bytes:
        """The next bytes; empty at the end."""
        if timeout <= 0:
            raise TimeoutError
        if self._chunks or self._at_eof or self._lost:
            await anyio.lowlevel.checkpoint()
        else:
            if self._is_read:
                raise LocalProtocolError(OTHER_READER)
            if self._loop.is_closed():
                raise LocalProtocolError(OTHER_LOOP)
            self._is_read = True
            try:
                self._deadline = end = self._loop.time() + timeout
                if self._timer is None or self._timer_end > end:
                    self._start_timer(end)
                await self._reader
            except RuntimeError:  # a future of another loop cannot be awaited
                self._check_loop()
                raise
            finally:
                self._is_read = False
            # As in `_take`: one chunk, as for an event that arrives alone, and no other is held back.
            if len(self._chunks) == 1 and self._size <= _READ_SIZE:
                self._size = 0
                return self._chunks.pop()
        return self._take()

    async def send(self, data: bytes, timeout: float) -> None:
        """Send all of the data."""
        with anyio.fail_after(timeout):
            await self._send(data)

    async def send_until_answered(self, data: bytes, timeout: float) -> bool:
        """Send all of the data, or stop when there is something to read. Returns whether all was sent."""
        self._stops_for_answer = True
        try:
            with anyio.fail_after(timeout):
                await self._send(data)
        finally:
            self._stops_for_answer = False
        return not self._must_wait

    async def _send(self, data: bytes) -> None:
        self._check_loop()
        await anyio.lowlevel.checkpoint_if_cancelled()
        if data and not self._lost:
            self._transport.write(data)
        if self._must_wait and not self._lost and not (self._stops_for_answer and self._has_input()):
            self._writer = self._loop.create_future()
            try:
                await self._writer
            finally:
                self._writer = None
        else:
            await anyio.lowlevel.cancel_shielded_checkpoint()
        if self._lost:
            raise ConnectionLost("the connection broke while it was written")

    async def aclose(self) -> None:
        """Close at once."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.close_socket()
        self._lost = True
        self._reader.resume_soon()
        await anyio.lowlevel.cancel_shielded_checkpoint()  # in which the event loop closes the socket

    def close_socket(self) -> None:
        """Close without waiting."""
        if not self._loop.is_closed():
            self._transport.abort()
            return
        # A transport cannot be closed without its loop; asyncio leaves the socket open. uvloop has closed it.
        transport = cast("Any", self._transport)
        connection: socket.socket | None = getattr(transport, "_sock", None)
        if connection is not None:
            connection.close()
            transport._sock = None

    def is_idle(self) -> bool:
        """Whether there is nothing to read."""
        if self._has_input() or self._socket.fileno() < 0:
            return False
        return not readable_now(self._socket)

    async def is_answering(self) -> bool:
        """Whether the peer has sent something, or disconnected. Does not wait."""
        return not self.is_idle()

    def _has_input(self) -> bool:
        return bool(self._chunks) or self._at_eof or self._lost

    def _check_loop(self) -> None:
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:  # there is no asyncio loop, so this is trio
            running = None
        if running is not self._loop:
            raise LocalProtocolError(OTHER_LOOP)

    def _take(self) -> bytes:
        chunks = self._chunks
        if chunks:
            data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
            if self._size > _READ_SIZE:
                chunks[:] = [data[_READ_SIZE:]]
                data = data[:_READ_SIZE]
            else:
                chunks.clear()
            self._size -= len(data)
            if self._paused and self._size <= _READ_SIZE:
                self._paused = False
                if not self._transport.is_closing():
                    self._transport.resume_reading()
            return data
        if self._lost:
            raise ConnectionLost("the connection broke while it was read")
        if self._at_eof:
            return b""
        raise TimeoutError

    # --- the one timer of the connection

    def _start_timer(self, end: float) -> None:
        """Call `_on_timer` then. A timer that ends before finds the later deadline, and is not replaced for it."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer_end = end
        self._timer = self._loop.call_at(end, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if not self._is_read:
            return
        if self._loop.time() >= self._deadline:
            self._reader.resume_soon()
        else:
            self._start_timer(self._deadline)

    # --- called by the transport

    def data_received(self, data: bytes) -> None:
        """Keep the data for `receive`."""
        self._chunks.append(data)
        self._size += len(data)
        if self._size > _READ_SIZE and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        if self._stops_for_answer:
            self._wake_writer()
        self._reader.resume()

    def eof_received(self) -> bool:
        """Keep the transport open: the peer may still read."""
        self._at_eof = True
        self._reader.resume_soon()
        if self._stops_for_answer:
            self._wake_writer()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Read the data that arrived before the connection broke, and wake the waiting task."""
        if exc is not None and not self._lost:
            self._read_rest()
        self._lost = True
        self._reader.resume_soon()
        self._wake_writer()

    def pause_writing(self) -> None:
        """Make the writer wait."""
        self._must_wait = True

    def resume_writing(self) -> None:
        """Wake the writer."""
        self._must_wait = False
        self._wake_writer()

    def _read_rest(self) -> None:
        """Read from the socket itself, which the event loop closes next.

        A write that fails ends the transport, although an answer may have arrived just before: a server that rejects a
        request closes without reading the rest of it, so that its answer is followed by a reset.
        """
        with contextlib.suppress(OSError):
            reader = socket.socket(fileno=self._socket.fileno())
            try:
                while self._size <= _READ_SIZE and (data := reader.recv(_READ_SIZE)):
                    self._chunks.append(data)
                    self._size += len(data)
            finally:
                reader.detach()

    def _wake_writer(self) -> None:
        if self._writer is not None and not self._writer.done():
            self._writer.set_result(None)
