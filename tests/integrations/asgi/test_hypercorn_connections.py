"""The listener that records accepted connections, and the event loops that call its `accept`."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import socket
from pathlib import Path

import anyio
import pytest
import trio

from poeproto_asgi.hypercorn_connections import RecordingListener, records_accepts

on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])
on_uvloop = pytest.mark.parametrize("anyio_backend", [pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop")])


def recording_listener(queue_size: int = 8) -> RecordingListener:
    return RecordingListener(socket.create_server(("127.0.0.1", 0)), queue_size)


def accepted_by(listener: socket.socket) -> tuple[socket.socket, socket.socket]:
    """A connection: the peer's end, and what the listener accepted."""
    peer = socket.create_connection(listener.getsockname()[:2])
    return peer, listener.accept()[0]


def test_one_connection_is_reset_and_then_all() -> None:
    with recording_listener() as listener:
        one, two = accepted_by(listener), accepted_by(listener)
        listener.reset(one[0].getsockname())
        listener.reset(("127.0.0.1", 1))
        assert one[0].recv(1) == one[1].recv(1) == b""
        two[0].sendall(b"a")
        assert two[1].recv(1) == b"a"
        listener.reset_all()
        assert two[0].recv(1) == two[1].recv(1) == b""
        for end in (*one, *two):
            end.close()


def test_a_closed_connection_is_removed_when_it_is_collected() -> None:
    with recording_listener() as listener:
        peer, connection = accepted_by(listener)
        connection.close()
        listener.reset(peer.getsockname())
        listener.reset_all()
        del connection
        gc.collect()
        listener.reset(peer.getsockname())
        assert peer.recv(1) == b""
        peer.close()


def test_connections_of_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as bound, socket.socket(socket.AF_UNIX) as peer:
        bound.bind(path)
        bound.listen()
        peer.connect(path)
        with RecordingListener(bound, 8) as listener, listener.accept()[0] as ours:
            listener.reset_all()
            assert ours.recv(1) == b""


def test_the_queue_keeps_its_length_whatever_asyncio_asks_for() -> None:
    with recording_listener(queue_size=3) as listener:
        listener.listen(1)
        # Linux queues one more than was asked for; with a queue of one, the third would wait.
        peers = [socket.create_connection(listener.getsockname(), 5) for _ in range(4)]
        accepted = [listener.accept()[0] for _ in range(3)]
        for end in (*peers, *accepted):
            end.close()


@on_asyncio
@pytest.mark.anyio
async def test_a_listener_without_descriptors_is_reported_once_an_iteration(monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context["message"]))
    monkeypatch.setattr("asyncio.constants.ACCEPT_RETRY_DELAY", 0.01)
    accept, calls = socket.socket.accept, 0

    def fail_first(self: socket.socket) -> object:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return accept(self)

    monkeypatch.setattr(socket.socket, "accept", fail_first)
    listener = recording_listener()
    async with (
        await asyncio.start_server(lambda reader, writer: writer.close(), sock=listener, backlog=64),
        await anyio.connect_tcp(*listener.getsockname()) as peer,
    ):
        with pytest.raises(anyio.EndOfStream):
            await peer.receive()
    assert reported == ["socket.accept() out of system resource"]


# If these fail, the event loop has begun to call `accept`, and can do without `descriptor_scan`.


async def calls_accept_of(listener: RecordingListener) -> bool:
    """Whether the running asyncio loop calls the listener's `accept`: then it can reset the connection."""
    accepted: asyncio.Future[asyncio.StreamWriter] = asyncio.get_running_loop().create_future()
    server = await asyncio.start_server(lambda reader, writer: accepted.set_result(writer), sock=listener)
    async with server:
        with socket.create_connection(listener.getsockname()) as peer:
            writer = await accepted
            listener.reset_all()
            writer.write(b"a")
            was_reset = peer.recv(1) == b""
            writer.close()
    return was_reset


@pytest.mark.anyio
@on_asyncio
async def test_asyncio_calls_the_listeners_accept() -> None:
    assert records_accepts()
    assert await calls_accept_of(recording_listener())


@pytest.mark.anyio
@on_uvloop
async def test_uvloop_does_not_call_the_listeners_accept() -> None:
    pytest.importorskip("uvloop")
    assert not records_accepts()
    assert not await calls_accept_of(recording_listener())


def test_trio_takes_no_listener_of_another_class() -> None:
    with recording_listener() as listener, pytest.raises(TypeError, match="RecordingListener"):
        trio.socket.from_stdlib_socket(listener)


@pytest.mark.anyio
async def test_nothing_is_left_to_be_done_until_cancelled() -> None:
    with recording_listener() as listener, anyio.CancelScope() as scope:
        scope.cancel()
        await listener.run()
    assert scope.cancelled_caught
