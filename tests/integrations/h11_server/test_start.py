"""How the embedded server begins, or fails to: whose the listening socket is then."""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

import anyio.abc
import pytest

import poeproto_h11.server.server
from poeproto import Bot
from poeproto_h11 import serve
from poeproto_runtime import BotService, Route
from poeproto_runtime.listen import listening

from ...support.bots import KEY
from ...support.embedded_servers import AppOf

pytestmark = pytest.mark.anyio


class CannotBegin(BotService):
    """A service that fails before it serves."""

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        raise LookupError("it cannot begin")
        yield


async def test_a_server_that_cannot_start_closes_its_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[socket.socket] = []

    @contextmanager
    def watched(bind: str) -> Generator[socket.socket]:
        with listening(bind) as listener:
            opened.append(listener)
            yield listener

    monkeypatch.setattr(poeproto_h11.server.server, "listening", watched)
    app = AppOf(CannotBegin({"/": Route(Bot(), access_key=KEY)}))
    with pytest.raises(LookupError, match="cannot begin"):
        await serve(app, bind="127.0.0.1:0")
    assert [listener.fileno() for listener in opened] == [-1]


async def test_a_server_that_cannot_start_does_not_close_the_callers_socket() -> None:
    app = AppOf(CannotBegin({"/": Route(Bot(), access_key=KEY)}))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for _ in range(2):
            with pytest.raises(LookupError, match="cannot begin"):
                await serve(app, bind=listener)
        assert listener.getblocking()
        socket.create_connection(listener.getsockname()).close()


async def test_a_caller_that_fails_when_it_receives_the_address() -> None:
    class Fails(anyio.abc.TaskStatus[str]):
        def started(self, value: str | None = None) -> None:
            raise LookupError("not now")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        with pytest.raises(ExceptionGroup) as raised:
            await serve(Bot(), bind=listener, access_key=KEY, task_status=Fails())
        assert raised.group_contains(LookupError)
        assert listener.fileno() == -1
