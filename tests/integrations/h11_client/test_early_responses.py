"""Responses that arrive while the request cannot be written, because the peer has stopped reading it."""

from __future__ import annotations

import contextlib
import fcntl
import re
import socket
import struct
import termios
import threading
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.to_thread
import pytest

from poeproto import ConnectionLost, DeadlineExceeded, RemoteProtocolError, RequestRefused, RetryPolicy, Text
from poeproto_h11 import Timeouts

from ...support.both_clients import Query, query, query_blocking
from ...support.scripted_peer import HELLO, response
from ...support.tls_peer import Certificate, certificate

__all__ = ["certificate"]  # a fixture

CLIENTS = {
    "asyncio": ("asyncio", query),
    "uvloop": (("asyncio", {"use_uvloop": True}), query),
    "trio": ("trio", query),
    "blocking": ("asyncio", query_blocking),
}
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize(("anyio_backend", "ask"), CLIENTS.values(), ids=CLIENTS),
]

REFUSAL = response(413, b"too large", "Connection: close")
LARGE = "x" * 6_000_000  # more than the buffers of both ends
# Long enough that a client which waits for it fails the test, short enough not to hang it.
TIMEOUTS = Timeouts(idle=30, header=30)
ONCE = RetryPolicy(attempts=1)
Script = Callable[[socket.socket], object]


@pytest.fixture(params=["plain", "tls"])
def server_tls(request: pytest.FixtureRequest) -> Certificate | None:
    return request.getfixturevalue("certificate") if request.param == "tls" else None


def wait_until_blocked(connection: socket.socket) -> None:
    """Read the start of the request, and wait until no more of it arrives: the client's write is blocked.

    Should it not be yet, on a slow machine, the test is an easier one.
    """
    connection.recv(1)
    before, now = -1, 0
    while now != before or not now:
        time.sleep(0.02)
        before, now = now, struct.unpack("i", fcntl.ioctl(connection, termios.FIONREAD, bytes(4)))[0]


def refuse_and_wait(connection: socket.socket) -> None:
    """Refuse the request, and neither read nor close until the client has closed."""
    wait_until_blocked(connection)
    connection.sendall(REFUSAL)
    while connection.recv(65536):
        pass


def refuse_and_reset(connection: socket.socket) -> None:
    """Refuse the request, and close without reading it, so that a reset follows the answer."""
    wait_until_blocked(connection)
    connection.sendall(REFUSAL)


@asynccontextmanager
async def serving(script: Script, certificate: Certificate | None = None) -> AsyncGenerator[str]:
    """The URL of a server with blocking sockets, which runs the script on one connection, in a thread."""

    def serve() -> None:
        connection, _ = listener.accept()
        with contextlib.ExitStack() as stack:
            stack.callback(lambda: connection.close())
            stack.enter_context(contextlib.suppress(OSError))
            connection.settimeout(30)
            # Otherwise Nagle's algorithm may hold the answer back, and the reset then discards it.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if certificate is not None:
                connection = certificate.server().wrap_socket(connection, server_side=True, suppress_ragged_eofs=True)
            script(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.to_thread.run_sync, serve)
            yield f"{'https' if certificate else 'http'}://127.0.0.1:{listener.getsockname()[1]}/"


def options(certificate: Certificate | None) -> dict[str, Any]:
    trusting = {"ssl_context": certificate.trusting_client()} if certificate else {}
    return {"timeouts": TIMEOUTS, "retry": ONCE, **trusting}


@pytest.mark.parametrize("script", [refuse_and_wait, refuse_and_reset])
async def test_a_refusal_is_raised_though_the_write_is_blocked(
    ask: Query, server_tls: Certificate | None, script: Script
) -> None:
    async with serving(script, server_tls) as url:
        outcome = await ask(url, LARGE, **options(server_tls))
    assert isinstance(outcome.error, RequestRefused)
    assert (outcome.error.status, outcome.error.body_start) == (413, b"too large")


async def test_interim_responses_do_not_stop_the_request(ask: Query, server_tls: Certificate | None) -> None:
    received: list[int] = []

    def script(connection: socket.socket) -> None:
        wait_until_blocked(connection)
        for part in (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early", b" Hints\r\nLink: </a>\r\n\r\n"):
            connection.sendall(part)
        while sum(received) < len(LARGE):
            received.append(len(connection.recv(1_000_000)))
        connection.sendall(HELLO)
        connection.recv(1000)

    async with serving(script, server_tls) as url:
        outcome = await ask(url, LARGE, **options(server_tls))
    assert outcome.error is None
    assert outcome.events[0] == Text("hello")


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (b"", ConnectionLost, "without an answer|broke"),
        (b"HTTP/1.1 413 ", ConnectionLost, "without an answer|broke"),
        (b"HTP/1.1 413 Too Large\r\n\r\n", RemoteProtocolError, "invalid"),
    ],
)
async def test_no_response_while_the_write_is_blocked(
    ask: Query, answer: bytes, error: type[Exception], message: str
) -> None:
    def script(connection: socket.socket) -> None:
        wait_until_blocked(connection)
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass

    async with serving(script) as url:
        outcome = await ask(url, LARGE, **options(None))
    assert type(outcome.error) is error
    assert re.search(message, str(outcome.error))


async def test_a_write_that_stays_blocked_times_out(ask: Query, server_tls: Certificate | None) -> None:
    def script(connection: socket.socket) -> None:
        wait_until_blocked(connection)
        is_over.wait(30)

    is_over = threading.Event()
    async with serving(script, server_tls) as url:
        outcome = await ask(url, LARGE, **options(server_tls) | {"timeouts": Timeouts(idle=0.3)})
        is_over.set()
    assert isinstance(outcome.error, DeadlineExceeded)
    assert "idle" in str(outcome.error)
