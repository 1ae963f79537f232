"""The embedded server's accept loop: errors that it survives, and what it does at the bound of connections."""

from __future__ import annotations

import errno
import logging
import os
import socket
import struct
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import pytest

from poeproto import Text
from poeproto_h11 import ServerLimits, serve
from poeproto_h11.server import acceptor
from poeproto_runtime import BotService
from poeproto_runtime.listen import LISTEN_QUEUE

from ...support.bots import KEY
from ...support.embedded_servers import EchoBot, WaitingBot, serving, stopping
from ...support.raw_http import Connection, Response, connect, fetch, http_request

pytestmark = pytest.mark.anyio

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class FailingListener(socket.socket):
    """A listening socket whose `accept` raises these errors first."""

    def __init__(self, *errors: int) -> None:
        super().__init__(fileno=socket.create_server(("127.0.0.1", 0)).detach())
        self.errors = list(errors)

    def accept(self) -> tuple[socket.socket, Any]:
        if self.errors:
            number = self.errors.pop(0)
            raise OSError(number, os.strerror(number))
        return super().accept()


@pytest.fixture(autouse=True)
def short_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptor, "_RETRY_SECONDS", 0.01)


def errors_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


# --- the listener fails


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
async def test_exhaustion_does_not_end_the_server(number: int, caplog: pytest.LogCaptureFixture) -> None:
    listener = FailingListener(*[number] * 5)
    async with serving(bind=listener) as address:
        assert (await fetch(address, REQUEST)).status == 200
        assert not listener.errors
        assert errors_in(caplog) == [f"new connections must wait until one closes: {os.strerror(number)}"]
        listener.errors = [number] * 5
        assert (await fetch(address, REQUEST)).status == 200
        assert len(errors_in(caplog)) == 1


@pytest.mark.parametrize("number", [errno.ECONNABORTED, errno.EPROTO, errno.EPERM, errno.ENETDOWN])
async def test_a_connection_that_ended_before_it_was_accepted(number: int, caplog: pytest.LogCaptureFixture) -> None:
    listener = FailingListener(*[number] * 5)
    async with serving(bind=listener) as address:
        assert (await fetch(address, REQUEST)).status == 200
        assert not listener.errors
    assert not errors_in(caplog)


async def test_a_connection_that_ended_before_it_was_served(caplog: pytest.LogCaptureFixture) -> None:
    class Disconnecting(FailingListener):
        def accept(self) -> tuple[socket.socket, Any]:
            accepted, address = super().accept()
            if not self.errors:
                accepted.close()
                accepted = socket.socket()
                self.errors = [errno.ECONNABORTED]
            return accepted, address

    async with serving(bind=Disconnecting()) as address:
        async with connect(address) as connection:
            assert await connection.read_to_end() == b""
        async with connect(address) as connection:
            assert await connection.read_to_end() == b""
    assert not errors_in(caplog)


@pytest.mark.parametrize("number", [errno.EBADF, errno.EINVAL, errno.ENOTSOCK, errno.EOPNOTSUPP])
async def test_an_unusable_listener_ends_the_server(number: int) -> None:
    listener = FailingListener(number)
    with pytest.raises(OSError, match=os.strerror(number)):
        await serve(EchoBot(), bind=listener, access_key=KEY)
    assert listener.fileno() == -1


# --- at the bound


async def test_an_idle_connection_is_closed_for_a_new_one(caplog: pytest.LogCaptureFixture) -> None:
    async with (
        serving(server_limits=ServerLimits(connections=3)) as address,
        connect(address) as oldest,
        connect(address) as second,
        connect(address) as third,
    ):
        for connection in (oldest, second, third):
            await connection.send(REQUEST)
            await connection.read_response()
        assert (await fetch(address, REQUEST)).status == 200
        assert await oldest.read_to_end() == b""
        await third.send(REQUEST)
        assert (await third.read_response()).status == 200
    assert errors_in(caplog) == [
        "new connections must wait until one closes: 3 are open, as many as ServerLimits.connections allows"
    ]


@pytest.mark.parametrize("first", [b"", b"POST / HTTP/1.1\r\nHo"], ids=["nothing", "part of a head"])
async def test_a_connection_without_a_request_makes_way_for_a_new_one(first: bytes) -> None:
    limits = ServerLimits(connections=2, queue_seconds=2)
    async with serving(server_limits=limits) as address, connect(address) as slow, connect(address) as slower:
        for connection in (slow, slower):
            await connection.send(first)
        assert (await fetch(address, REQUEST)).status == 200
        responses: list[Response] = []

        # Either of them: which one the server accepted first is not known here.
        async def read(connection: Connection, reading: anyio.CancelScope) -> None:
            responses.append(await connection.read_response())
            reading.cancel()

        async with anyio.create_task_group() as tasks:
            for connection in (slow, slower):
                tasks.start_soon(read, connection, tasks.cancel_scope)
        [refused] = responses
        assert refused.status == 503
        assert refused.headers["retry-after"] == "2"
        assert refused.headers["connection"] == "close"


async def test_a_connection_that_has_just_connected_is_not_closed_for_a_new_one() -> None:
    limits = ServerLimits(connections=1, queue_seconds=3600)
    async with serving(server_limits=limits) as address, connect(address) as first, connect(address) as second:
        await second.send(REQUEST)
        await anyio.wait_all_tasks_blocked()
        await first.send(REQUEST)
        response = await first.read_response()
        assert response.status == 200
        assert response.headers["connection"] == "close"
        assert (await second.read_response()).status == 200


async def test_a_connection_that_has_waited_for_too_long_is_refused() -> None:
    bot = WaitingBot()
    limits = ServerLimits(connections=1, queue_seconds=0.05)
    async with serving(bot, access_key=KEY, server_limits=limits) as address, connect(address) as stream:
        await stream.send(http_request())
        assert (await stream.read_head())[0] == 200
        for _ in range(3):
            async with connect(address) as late:
                await late.send(http_request(b" " * 100_000))
                response = await late.read_response()
                assert response.status == 503
                assert response.headers["retry-after"] == "1"
                assert b"too many connections" in response.body
        assert not bot.ended.is_set()


async def test_four_times_as_many_clients_as_places_are_all_answered() -> None:
    statuses: list[int] = []

    async def query(address: str) -> None:
        async with connect(address) as connection:
            await connection.send(http_request())
            statuses.append((await connection.read_head())[0])
            await connection.read_events()

    limits = ServerLimits(connections=10, queue_seconds=3600)
    async with serving(server_limits=limits) as address, anyio.create_task_group() as clients:
        for _ in range(40):
            clients.start_soon(query, address)
    assert statuses == [200] * 40


async def test_a_connection_that_waits_is_refused_when_the_server_stops() -> None:
    async with (
        stopping(WaitingBot(), ServerLimits(connections=1, grace_seconds=3600)) as server,
        connect(server.address) as stream,
        connect(server.address) as waiting,
    ):
        await stream.send(http_request())
        assert (await stream.read_head())[0] == 200
        await waiting.send(http_request())
        await anyio.wait_all_tasks_blocked()
        server.stop()
        assert (await waiting.read_response()).status == 503


def longest_queue() -> int:
    return int(Path("/proc/sys/net/core/somaxconn").read_text())


@pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="only Linux says how long a listener's queue is")
async def test_the_queue_of_a_callers_socket_is_lengthened() -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=1)
    async with serving(bind=listener):
        # Of a listener, tcpi_sacked is the bound of its queue.
        information = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        assert struct.unpack_from("I", information, 28) == (min(LISTEN_QUEUE, longest_queue()),)


async def test_a_connection_waits_until_a_request_has_ended() -> None:
    bot = WaitingBot()
    two = ServerLimits(connections=2)
    async with serving(bot, access_key=KEY, server_limits=two) as address, AsyncExitStack() as stack:
        async with connect(address) as first, connect(address) as second:
            for connection in (first, second):
                await connection.send(http_request())
                assert (await connection.read_head())[0] == 200
                assert await connection.read_events() == [Text("hello")]
            third = await stack.enter_async_context(connect(address))
            await third.send(http_request())
            await anyio.wait_all_tasks_blocked()
            # Neither is closed for this one.
            assert not bot.ended.is_set()
        assert (await third.read_head())[0] == 200
        assert await third.read_events() == [Text("hello")]


async def test_an_idle_connection_is_closed_for_a_descriptor() -> None:
    listener = FailingListener()
    async with serving(bind=listener) as address, connect(address) as idle:
        await idle.send(REQUEST)
        await idle.read_response()
        listener.errors = [errno.EMFILE]
        assert (await fetch(address, REQUEST)).status == 200
        assert await idle.read_to_end() == b""


async def test_a_handler_that_fails_ends_its_connection_alone(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = BotService.handle

    async def faulty(self: BotService, head: Any, path: str, *others: Any) -> None:
        if path == "/fault":
            raise ExceptionGroup("internal faults", [RuntimeError("one"), OSError("another")])
        if path == "/late":
            await handle(self, head, "/", *others)
            raise RuntimeError("an internal fault")
        await handle(self, head, path, *others)

    monkeypatch.setattr(BotService, "handle", faulty)
    async with serving(server_limits=ServerLimits(connections=2)) as address:
        for _ in range(5):  # more than the bound, if one were not released
            async with connect(address) as connection:
                await connection.send(REQUEST.replace(b" / ", b" /fault "))
                assert await connection.read_to_end() == b""
            async with connect(address) as connection:
                await connection.send(REQUEST.replace(b" / ", b" /late "))
                assert (await connection.read_response()).status == 200
                assert await connection.read_to_end() == b""
        assert (await fetch(address, REQUEST)).status == 200
    assert errors_in(caplog) == ["a connection was closed because of an internal error"] * 10
