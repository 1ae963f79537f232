"""The client's streams on each event loop: deadlines, cancellation, bounded buffers, and the end of a connection."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel
import pytest

from poeproto import ConnectionLost, LocalProtocolError
from poeproto_h11.client.anyio_backend import AnyioConnector, byte_stream
from poeproto_h11.client.anyio_stream import AnyioStream
from poeproto_h11.client.backend import ByteStream
from poeproto_runtime.client.urls import Origin

pytestmark = pytest.mark.anyio


class ReadAhead(anyio.abc.ByteStream):
    """A stream whose event loop has read all of this from the socket already, as asyncio does."""

    def __init__(self, data: bytes, connection: socket.socket) -> None:
        self._data = data
        self._socket = connection

    async def receive(self, max_bytes: int = 65536) -> bytes:
        await anyio.lowlevel.checkpoint()
        taken, self._data = self._data[:max_bytes], self._data[max_bytes:]
        return taken

    async def send(self, item: bytes) -> None:
        await anyio.lowlevel.checkpoint()

    async def send_eof(self) -> None:
        await anyio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        await anyio.lowlevel.checkpoint()

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        return {anyio.abc.SocketAttribute.raw_socket: lambda: self._socket}


async def test_data_read_ahead_by_the_loop_is_not_idle_time() -> None:
    here, there = socket.socketpair()
    with here, there:
        stream = AnyioStream(ReadAhead(bytes(100_000), here))
        assert stream.is_idle()
        first = await stream.receive(5)
        assert not stream.is_idle()
        assert len(first + await stream.receive(5)) == 100_000
        assert stream.is_idle()
        there.send(b"x")
        assert not stream.is_idle()


# --- the streams that the client makes, on real sockets


@pytest.fixture(params=["asyncio", "uvloop", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """The event loop: streams of asyncio and of uvloop are the same class over different transports."""
    if request.param == "uvloop":
        return "asyncio", {"use_uvloop": True}
    return request.param, {}


@asynccontextmanager
async def connected() -> AsyncGenerator[tuple[ByteStream, socket.socket]]:
    """A stream, and the peer's socket, which does not block."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stream = await AnyioConnector()(Origin("http", "127.0.0.1", listener.getsockname()[1]), 5)
        peer, _ = listener.accept()
    peer.setblocking(False)
    with peer:
        try:
            yield stream, peer
        finally:
            await stream.aclose()


async def read(stream: ByteStream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = await stream.receive(5)
        assert 0 < len(part) <= 64 * 1024
        data += part
    return data


async def test_which_stream_it_is() -> None:
    async with connected() as (stream, _):
        on_asyncio = anyio.get_cancelled_exc_class() is asyncio.CancelledError
        assert type(stream).__name__ == ("AsyncioStream" if on_asyncio else "TrioStream")


async def test_data_and_end() -> None:
    async with connected() as (stream, peer):
        await stream.send(b"question", 5)
        assert peer.recv(100) == b"question"
        peer.send(b"answer")
        assert await stream.receive(5) == b"answer"
        peer.send(b"more")
        peer.close()
        assert await stream.receive(5) == b"more"
        assert await stream.receive(5) == b""
        assert await stream.receive(5) == b""
        assert not stream.is_idle()
        assert await stream.is_answering()


async def test_half_a_connection_can_still_be_written() -> None:
    async with connected() as (stream, peer):
        peer.shutdown(socket.SHUT_WR)
        assert await stream.receive(5) == b""
        await stream.send(b"question", 5)
        assert peer.recv(100) == b"question"


async def test_a_reset() -> None:
    async with connected() as (stream, peer):
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
        with pytest.raises(ConnectionLost):
            await stream.receive(5)
        with pytest.raises(ConnectionLost):
            await stream.send(b"x", 5)
        assert not stream.is_idle()


async def test_a_read_that_times_out_loses_nothing() -> None:
    async with connected() as (stream, peer):
        for number in range(3):
            with pytest.raises(TimeoutError):
                await stream.receive(0.01)
            assert stream.is_idle()
            peer.send(b"%d" % number)
            assert await stream.receive(5) == b"%d" % number
        peer.send(b"x")
        with pytest.raises(TimeoutError):
            await stream.receive(0)


async def test_each_read_has_a_deadline_of_its_own() -> None:
    async with connected() as (stream, peer):
        for timeout in (100, 0.05):  # the second must not wait for the first one's timer
            peer.send(b"x")
            assert await stream.receive(timeout) == b"x"
        # The timer of the read before ends in this one, and must not end it.
        with pytest.raises(TimeoutError):
            await stream.receive(0.1)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stream.receive, 100)
            await anyio.wait_all_tasks_blocked()
            async with connected() as (other, _):
                with pytest.raises(TimeoutError):
                    await other.receive(0.01)
            peer.send(b"x")


async def test_a_cancelled_read_loses_nothing() -> None:
    async with connected() as (stream, peer):
        for send_before in (True, False):
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(stream.receive, 5)
                    await anyio.wait_all_tasks_blocked()
                    if send_before:
                        peer.send(b"x")
                    scope.cancel()
            if not send_before:
                peer.send(b"x")
            assert await stream.receive(5) == b"x"
        received = b""
        with anyio.CancelScope() as scope:
            scope.cancel()
            peer.send(b"y")
            received = await stream.receive(5)
        assert received + (b"" if received else await stream.receive(5)) == b"y"


async def test_unread_data_stays_with_the_peer() -> None:
    async with connected() as (stream, peer):
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
        sent, refused = 0, 0
        while refused < 20:
            try:
                sent += peer.send(bytes(64 * 1024))
                refused = 0
            except BlockingIOError:
                refused += 1
            await anyio.lowlevel.checkpoint()
            assert sent < 100_000_000, "the stream buffers without a bound"
        assert await stream.is_answering()
        assert await read(stream, sent) == bytes(sent)
        peer.send(b"x")
        assert await stream.receive(5) == b"x"


async def test_a_write_waits_for_a_peer_that_does_not_read() -> None:
    async with connected() as (stream, peer):
        with pytest.raises(TimeoutError):
            while True:
                await stream.send(bytes(1024 * 1024), 0.05)
        assert peer.recv(10) == bytes(10)


async def test_a_write_ends_with_its_connection() -> None:
    async with connected() as (stream, peer):

        async def write() -> None:
            with pytest.raises(ConnectionLost):
                while True:
                    await stream.send(bytes(1024 * 1024), 5)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(write)
            await anyio.wait_all_tasks_blocked()
            peer.close()


async def test_two_readers() -> None:
    async with connected() as (stream, peer), anyio.create_task_group() as tasks:
        tasks.start_soon(stream.receive, 5)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(LocalProtocolError, match="another task"):
            await stream.receive(5)
        peer.send(b"x")


async def test_closing_ends_a_read() -> None:
    async with connected() as (stream, _):

        async def receive() -> None:
            with pytest.raises(ConnectionLost):
                await stream.receive(5)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(receive)
            await anyio.wait_all_tasks_blocked()
            await stream.aclose()
        await stream.aclose()
        assert not stream.is_idle()


async def test_data_that_anyio_has_read_is_not_lost() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stream = await anyio.connect_tcp("127.0.0.1", listener.getsockname()[1])
        peer, _ = listener.accept()
    with peer:
        peer.sendall(bytes(100_000))
        first = await stream.receive(1)
        ours = byte_stream(stream)
        rest = await read(ours, 99_999)
        assert len(first + rest) == 100_000
        await ours.aclose()


async def test_a_stream_of_another_kind() -> None:
    here, there = socket.socketpair()
    with here, there:
        there.send(b"x")  # on trio, the socket itself is read
        stream = byte_stream(ReadAhead(b"x", here))
        assert await stream.receive(5) == b"x"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_asyncio_allocates_no_more_for_a_read_than_the_stream_returns() -> None:
    """For asyncio's default of 256 KiB the kernel would map and unmap memory for each event."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connected = await anyio.connect_tcp("127.0.0.1", listener.getsockname()[1])
        transport = connected._transport  # type: ignore[attr-defined]
        await byte_stream(connected).aclose()
        assert transport.max_size == 64 * 1024
