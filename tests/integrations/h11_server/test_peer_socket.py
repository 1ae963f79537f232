"""A client's socket: sends that are cancelled, a stop between requests, an event loop without readiness."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Generator

import anyio
import pytest

from poeproto import ResponseHead
from poeproto_h11 import ServerLimits, serve
from poeproto_h11.server.peer_socket import PeerSocket
from poeproto_h11.server.server_connection import ServerConnection

from ...support.bots import query_body
from ...support.raw_http import http_request

pytestmark = pytest.mark.anyio

SOON = 0.002
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
    with anyio.move_on_after(SOON):
        await connection.send(b"hello")
    assert not connection.partly_sent


async def test_a_send_cancelled_after_its_first_byte_is_partly_sent(pair: tuple[socket.socket, socket.socket]) -> None:
    connection = PeerSocket(pair[0])
    await connection.send(b"hello")
    assert not connection.partly_sent
    with anyio.move_on_after(SOON):
        await connection.send(MANY)
    assert connection.partly_sent


async def test_a_connection_stopped_between_two_requests_does_not_wait_for_the_second(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    theirs.sendall(http_request(query_body()) + b"POST / HT")
    connection = ServerConnection(ours, None, ServerLimits(), 5)
    assert await connection.next_head() is not None
    while await connection.receive() is not None:
        pass
    await connection.start(ResponseHead(200))
    await connection.finish(b"hello")
    assert await connection.ready_for_next()
    connection.stop()
    with anyio.fail_after(5):
        assert await connection.next_head() is None


def test_an_event_loop_that_does_not_report_when_a_socket_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    class Proactor(asyncio.SelectorEventLoop):
        """Stands in for the loop that only Windows has."""

    monkeypatch.setattr(asyncio, "ProactorEventLoop", Proactor, raising=False)
    with asyncio.Runner(loop_factory=Proactor) as runner, pytest.raises(RuntimeError, match="ProactorEventLoop"):
        runner.run(serve({}, bind="127.0.0.1:0"))
