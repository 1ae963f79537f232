"""How the embedded server ends: what becomes of replies and connections, and that nothing keeps it."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack
from typing import Any

import anyio
import anyio.abc
import pytest

from poeproto import (
    Bot,
    ConnectFailed,
    Context,
    Done,
    Error,
    Limits,
    RequestHead,
    SettingsRequest,
    SettingsResponse,
    Text,
    encode_request,
    encode_settings,
)
from poeproto_h11 import Client, ServerLimits, serve
from poeproto_runtime import BotService, Channel, Route
from poeproto_runtime.reply.shutdown import ActiveReplies

from ...support.bots import KEY, query_body
from ...support.embedded_servers import SETTINGS, AppOf, TalkingBot, WaitingBot, small_listener, stopping, take_little
from ...support.raw_http import Connection, connect, http_request

pytestmark = pytest.mark.anyio

QUICK = ServerLimits(grace_seconds=0.05)
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def greeted(connection: Connection, request: bytes | None = None) -> Connection:
    """The connection, on which a bot has said hello."""
    await connection.send(request or http_request())
    assert (await connection.read_head())[0] == 200
    assert await connection.read_events() == [Text("hello")]
    return connection


def is_retryable_end(events: list[Any]) -> bool:
    error, done = events
    return isinstance(error, Error) and error.allow_retry and done == Done()


async def test_the_end_of_everything() -> None:
    bot = WaitingBot()
    async with stopping(bot) as server:
        async with Client(access_key=KEY) as client, client.query(server.address, "hello") as answer:
            assert await anext(answer) == Text("hello")
            server.stop()
            await server.over.wait()
            assert bot.ended.is_set()
            assert bot.closed.is_set()
            error = await anext(answer)
            assert isinstance(error, Error)
            assert error.allow_retry
            with pytest.raises(ConnectFailed):
                async with client.query(server.address, "hello"):
                    pass
        # The port is free again.
        socket.create_server(("127.0.0.1", int(server.address.rstrip("/").rpartition(":")[2]))).close()


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
async def test_many_streams_and_one_that_is_not_read(version: bytes) -> None:
    talking = TalkingBot()
    bots = {"/": Route(WaitingBot(), access_key=KEY), "/talk": Route(talking, access_key=KEY)}
    limits = Limits(events=10**9, text_length=10**12)
    async with (
        stopping(bots, QUICK, bind=small_listener(), access_key=None, limits=limits) as server,
        connect(server.address) as unread,
        AsyncExitStack() as stack,
    ):
        take_little(unread)
        await unread.send(http_request(path="/talk").replace(b"1.1", version))
        await unread.read_head()
        readers = [await greeted(await stack.enter_async_context(connect(server.address))) for _ in range(20)]
        await talking.until_held_back()
        server.stop()
        for reader in readers:
            assert is_retryable_end(await reader.read_rest())
        await server.over.wait()
        assert talking.ended.is_set()
        # By a reset, since in HTTP/1.0 the end of the connection would be the end of the reply.
        with pytest.raises(anyio.BrokenResourceError):
            while True:
                assert not (await unread.stream.receive()).endswith(b"0\r\n\r\n")


async def test_a_call_that_outlives_the_grace_is_cut_off() -> None:
    class StuckBot(Bot):
        async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
            asked.set()
            await anyio.sleep_forever()
            return SETTINGS

    asked = anyio.Event()
    async with stopping(StuckBot(), QUICK) as server, connect(server.address) as connection:
        await connection.send(http_request(encode_request(SettingsRequest())))
        await asked.wait()
        server.stop()
        await server.over.wait()
        assert await connection.read_to_end() == b""


async def test_connections_without_a_request_are_closed_at_once() -> None:
    async with (
        stopping(WaitingBot()) as server,
        connect(server.address) as new,
        connect(server.address) as partial,
        connect(server.address) as kept,
    ):
        await partial.send(REQUEST[:5])
        await kept.send(REQUEST)
        await kept.read_response()
        await anyio.wait_all_tasks_blocked()
        server.stop()
        await server.over.wait()
        for connection in (new, partial, kept):
            assert await connection.read_to_end() == b""


async def test_a_request_that_is_still_arriving_is_refused() -> None:
    async with stopping(WaitingBot()) as server, connect(server.address) as connection:
        body = query_body()
        await connection.send(http_request(body, headers=["Expect: 100-continue"])[: -len(body)])
        assert (await connection.read_head())[0] == 100
        server.stop()
        response = await connection.read_response()
        assert (response.status, response.headers["connection"]) == (503, "close")
        assert await connection.read_to_end() == b""
        await connection.stream.aclose()
        await server.over.wait()


async def test_a_call_under_way_is_answered_and_no_other() -> None:
    class SlowBot(Bot):
        async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
            asked.set()
            await go.wait()
            return SETTINGS

    asked, go = anyio.Event(), anyio.Event()
    request = http_request(encode_request(SettingsRequest()))
    async with stopping(SlowBot()) as server, connect(server.address) as connection:
        await connection.send(request + request)
        await asked.wait()
        server.stop()
        await anyio.wait_all_tasks_blocked()
        go.set()
        response = await connection.read_response()
        assert (response.body, response.headers["connection"]) == (encode_settings(SETTINGS), "close")
        assert await connection.read_to_end() == b""
        await server.over.wait()


async def test_a_client_that_does_not_leave_is_not_waited_for() -> None:
    server_limits = ServerLimits(linger_seconds=3600.0, grace_seconds=3600.0)
    async with stopping(WaitingBot(), server_limits) as server, connect(server.address) as connection:
        await connection.send(http_request(key=None))
        assert (await connection.read_response()).status == 401
        with pytest.raises(anyio.EndOfStream):
            await connection.stream.receive()
        server.stop()
        await server.over.wait()


def test_a_task_that_is_cancelled_by_asyncio_ends_in_the_same_way() -> None:
    async def main() -> list[Any]:
        address: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        class Started(anyio.abc.TaskStatus[str]):
            def started(self, value: str | None = None) -> None:
                address.set_result(value or "")

        bot = WaitingBot()
        serving = asyncio.create_task(serve(bot, bind="127.0.0.1:0", access_key=KEY, task_status=Started()))
        async with connect(await address) as connection:
            await greeted(connection)
            serving.cancel()
            events = await connection.read_rest()
        with pytest.raises(asyncio.CancelledError):
            await serving
        assert bot.closed.is_set()
        return events

    assert is_retryable_end(asyncio.run(main()))


async def test_one_of_two_servers_of_an_application() -> None:
    """The requests of the other server continue, and so do later ones."""
    app = AppOf(BotService({"/": Route(WaitingBot(), access_key=KEY)}))
    async with (
        stopping(app, access_key=None) as one,
        stopping(app, access_key=None) as two,
        connect(one.address) as of_one,
        connect(two.address) as of_two,
        connect(two.address) as later,
    ):
        await greeted(of_one)
        await greeted(of_two)
        one.stop()
        assert is_retryable_end(await of_one.read_rest())
        await one.over.wait()
        await greeted(later)
        two.stop()
        for connection in (of_two, later):
            assert is_retryable_end(await connection.read_rest())


async def test_a_query_that_has_arrived_and_is_not_yet_answered() -> None:
    heard, go = anyio.Event(), anyio.Event()

    class Slow(BotService):
        async def handle(
            self, head: RequestHead, path: str, channel: Channel, active_replies: ActiveReplies | None = None
        ) -> None:
            heard.set()
            await go.wait()
            await super().handle(head, path, channel, active_replies)

    app = AppOf(Slow({"/": Route(WaitingBot(), access_key=KEY)}))
    async with stopping(app, access_key=None) as server, connect(server.address) as connection:
        await connection.send(http_request())
        await heard.wait()
        server.stop()
        await anyio.wait_all_tasks_blocked()
        go.set()
        assert is_retryable_end((await connection.read_response()).events)
        await server.over.wait()
