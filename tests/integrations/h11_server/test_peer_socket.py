"""A client's socket: sends that are cancelled, a stop between requests, an event loop without readiness."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Generator

import anyio
import pytest

from poeproto import HttpResponse, ResponseHead
from poeproto_h11 import ServerLimits, serve
from poeproto_h11.server.peer_socket import PeerSocket
from poeproto_h11.server.server_connection import ServerConnection
from poeproto_runtime import ClientDisconnected

from ...support.bots import query_body
from ...support.raw_http import http_request

pytestmark = pytest.mark.anyio

SOON = 0.002
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
MANY = bytes(10_000_000)  # more than the kernel buffers


@pytest.fixture
def pair() -> Generator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def fill(connection: socket.socket) -> None:
    connection.setblocking(False)
    with pytest.raises(BlockingIOError):
        while True:
            connection.send(MANY)


async def test_a_send_cancelled_before_its_first_byte_is_not_partly_sent(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, _ = pair
    fill(ours)
    connection = PeerSocket(ours)
    rest = connection.send(b"hello")
    assert rest is not None
    with anyio.move_on_after(SOON):
        await rest
    assert not connection.partly_sent


async def test_a_send_cancelled_after_its_first_byte_is_partly_sent(pair: tuple[socket.socket, socket.socket]) -> None:
    connection = PeerSocket(pair[0])
    assert connection.send(b"hello") is None, "the kernel has accepted it"
    assert not connection.partly_sent
    rest = connection.send(MANY)
    assert rest is not None
    assert connection.partly_sent
    with anyio.move_on_after(SOON):
        await rest
    assert connection.partly_sent


async def test_a_send_continues_as_the_client_reads(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    theirs.setblocking(False)
    connection = PeerSocket(ours)
    received = 0

    async def read() -> None:
        nonlocal received
        while received < len(MANY):
            await anyio.wait_readable(theirs)
            received += len(theirs.recv(len(MANY)))

    rest = connection.send(MANY)
    assert rest is not None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await rest
    assert received == len(MANY)
    assert not connection.partly_sent


async def test_a_send_on_a_broken_connection(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    connection = PeerSocket(ours)
    rest = connection.send(MANY)
    assert rest is not None
    theirs.close()
    with pytest.raises(ClientDisconnected):
        await rest
    with pytest.raises(ClientDisconnected):
        connection.send(b"hello")


async def test_a_connection_stopped_between_two_requests_does_not_wait_for_the_second(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    theirs.sendall(http_request(query_body()) + b"POST / HT")
    connection = ServerConnection(ours, None, ServerLimits(), 5, lambda: False)
    assert await connection.next_head() is not None
    while await connection.receive() is not None:
        pass
    await connection.start(ResponseHead(200))
    await connection.finish(b"hello")
    assert await connection.ready_for_next()
    connection.stop()
    with anyio.fail_after(5):
        assert await connection.next_head() is None


async def test_only_an_idle_connection_closes_for_others(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    connection = ServerConnection(ours, None, ServerLimits(), 5, lambda: False)
    assert not connection.stop_if_idle(3600)
    theirs.sendall(GET)
    assert await connection.next_head() is not None
    await connection.respond(HttpResponse.of(200, "text/plain", b"hello"))
    assert await connection.ready_for_next()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(connection.next_head)
        await anyio.wait_all_tasks_blocked()
        theirs.sendall(GET)
        assert not connection.stop_if_idle(0)
    await connection.respond(HttpResponse.of(200, "text/plain", b"hello"))
    assert await connection.ready_for_next()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(connection.next_head)
        await anyio.wait_all_tasks_blocked()
        assert connection.stop_if_idle(3600)
        assert connection.stop_if_idle(3600)
    assert not connection.is_refused


async def test_a_connection_without_a_request_is_refused_for_others(pair: tuple[socket.socket, socket.socket]) -> None:
    connection = ServerConnection(pair[0], None, ServerLimits(), 5, lambda: False)
    assert connection.stop_if_idle(0)
    assert await connection.next_head() is None
    assert connection.is_refused


async def test_how_long_bytes_have_waited() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as peer:
        peer.sendall(b"a")
        with listener.accept()[0] as accepted:
            connection = PeerSocket(accepted)
            assert 0 <= connection.seconds_unread() < 60
            connection.close(reset=False)
            assert connection.seconds_unread() == 0
            assert not connection.is_readable()


async def test_a_socket_that_is_not_tcp_does_not_say_how_long_bytes_have_waited(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    assert PeerSocket(pair[0]).seconds_unread() == 0


def test_an_event_loop_that_does_not_report_when_a_socket_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    class Proactor(asyncio.SelectorEventLoop):
        """Stands in for the loop that only Windows has."""

    monkeypatch.setattr(asyncio, "ProactorEventLoop", Proactor, raising=False)
    with asyncio.Runner(loop_factory=Proactor) as runner, pytest.raises(RuntimeError, match="ProactorEventLoop"):
        runner.run(serve({}, bind="127.0.0.1:0"))
