"""Failed connects: both clients give the same reason, and a timeout of the system is not a deadline of the client."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

import pytest

from poeproto import ConnectFailed, ConnectionLost, RetryPolicy
from poeproto_h11.client.sync_backend import SocketStream, run_sync

from ...support.both_clients import Query, query, query_blocking
from ...support.reserved_port import reserved_port

pytestmark = pytest.mark.anyio

ONCE = RetryPolicy(attempts=1)
TIMED_OUT = OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
both_clients = pytest.mark.parametrize("ask", [query, query_blocking])


def time_out(*_: object) -> None:
    raise TIMED_OUT


def return_time_out(*_: object) -> int:
    return errno.ETIMEDOUT


def naming(monkeypatch: pytest.MonkeyPatch, *ports: int) -> None:
    """Resolve every name to these ports of the loopback interface."""

    def getaddrinfo(host: Any, port: Any, *more: Any, **options: Any) -> list[Any]:
        kind = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
        return [(*kind, (f"127.0.0.{number + 1}", port)) for number, port in enumerate(ports)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@both_clients
async def test_the_operating_system_times_out_connecting(ask: Query, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "connect", time_out)
    monkeypatch.setattr(socket.socket, "connect_ex", return_time_out)
    outcome = await ask("http://127.0.0.1:8080/", retry=ONCE)
    assert type(outcome.error) is ConnectFailed
    assert str(outcome.error) == "no connection to http://127.0.0.1:8080: Connection timed out"


@both_clients
async def test_the_operating_system_times_out_name_resolution(ask: Query, monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*_: object, flags: int = 0, **more: object) -> None:
        raise socket.gaierror if flags else TIMED_OUT  # with flags, only numeric addresses are resolved

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    outcome = await ask("http://bot.example/", retry=ONCE)
    assert type(outcome.error) is ConnectFailed
    assert str(outcome.error) == "no connection to http://bot.example: Connection timed out"


@both_clients
async def test_the_last_address_says_why_where_there_are_several(ask: Query, monkeypatch: pytest.MonkeyPatch) -> None:
    with reserved_port() as one, reserved_port() as other:
        naming(monkeypatch, one, other)
        outcome = await ask("http://bot.example/", retry=ONCE)
    assert type(outcome.error) is ConnectFailed
    assert str(outcome.error) == "no connection to http://bot.example: Connection refused"


async def test_the_operating_system_times_out_a_connection() -> None:
    class GivenUp(socket.socket):
        def recv(self, *_: Any) -> bytes:
            raise TIMED_OUT

        def sendall(self, *_: Any) -> None:
            raise TIMED_OUT

    with GivenUp() as connection:
        stream = SocketStream(connection)
        with pytest.raises(ConnectionLost, match="read"):
            run_sync(stream.receive(1))
        with pytest.raises(ConnectionLost, match="written"):
            run_sync(stream.send(b"x", 1))
