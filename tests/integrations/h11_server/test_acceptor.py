"""The embedded server's accept loop: errors that it survives, and what it does at the bound of connections."""

from __future__ import annotations

import errno
import logging
import os
import socket
from contextlib import AsyncExitStack
from typing import Any

import anyio
import pytest

from poeproto import Text
from poeproto_h11 import ServerLimits, serve
from poeproto_h11.server import acceptor
from poeproto_runtime import BotService

from ...support.bots import KEY
from ...support.embedded_servers import EchoBot, WaitingBot, serving
from ...support.raw_http import connect, fetch, http_request

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


@pytest.mark.parametrize("first", [b"", b"POST / HTTP/1.1\r\nHo", REQUEST], ids=["idle", "within a head", "kept"])
async def test_an_idle_connection_is_closed_for_a_new_one(first: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with (
        serving(server_limits=ServerLimits(connections=3)) as address,
        connect(address) as oldest,
        connect(address) as second,
        connect(address) as third,
    ):
        for connection in (oldest, second, third):
            await connection.send(first)
            await anyio.wait_all_tasks_blocked()
            if first == REQUEST:
                await connection.read_response()
        assert (await fetch(address, REQUEST)).status == 200
        assert await oldest.read_to_end() == b""
        if first == REQUEST:
            await third.send(REQUEST)
            assert (await third.read_response()).status == 200
    assert errors_in(caplog) == [
        "new connections must wait until one closes: 3 are open, as many as ServerLimits.connections allows"
    ]


async def test_a_connection_waits_until_a_request_is_over() -> None:
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
            raise ExceptionGroup("faults of ours", [RuntimeError("one"), OSError("another")])
        if path == "/late":
            await handle(self, head, "/", *others)
            raise RuntimeError("a fault of ours")
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
