"""The embedded server and its bots: which of them answers, and what becomes of them."""

from __future__ import annotations

import errno
import logging
import socket
import struct
from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.abc
import pytest

from poeproto import (
    Bot,
    ConnectionLost,
    Context,
    Done,
    Error,
    Limits,
    QueryRequest,
    RequestRefused,
    Text,
)
from poeproto_asgi import BotApp
from poeproto_h11 import Client, serve
from poeproto_runtime import BotService, Route

from ...support.bots import KEY, SECRET, FunctionBot
from ...support.embedded_servers import TalkingBot, WaitingBot, serving
from ...support.raw_http import connect, http_request

pytestmark = pytest.mark.anyio


async def echo(request: QueryRequest, context: Context) -> str:
    return request.query[-1].content


class NamedBot(Bot):
    def __init__(self, name: str) -> None:
        self.name = name

    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield f"{self.name}, {context.bot_name}, {context.http_request.target}"


async def text_of(client: Client, url: str, access_key: str | None = None) -> str:
    async with client.query(url, "hello", access_key=access_key) as answer:
        return await answer.text()


# --- which bot answers


async def test_routes() -> None:
    routes = {
        "/": Route(NamedBot("root"), allow_without_key=True),
        "/a": Route(NamedBot("a"), access_key=[KEY, "rotated"], bot_name="Anna"),
        "/ä b": Route(NamedBot("other"), access_key="another"),
    }
    async with serving(routes, sync_settings=False) as address, Client() as client:
        assert await text_of(client, address) == "root, None, /"
        assert await text_of(client, address + "a?x=%20", KEY) == "a, Anna, /a?x=%20"
        assert await text_of(client, address + "a", "rotated") == "a, Anna, /a"
        assert await text_of(client, address + "ä b", "another") == "other, None, /%C3%A4%20b"
        for path, key, status in (("a", "another", 401), ("a", None, 401), ("a/", KEY, 404), ("A", KEY, 404)):
            with pytest.raises(RequestRefused) as caught:
                await text_of(client, address + path, key)
            assert caught.value.status == status


async def test_an_application() -> None:
    app = BotApp(NamedBot("app"), access_key=KEY, bot_name="Anna", limits=Limits(request_body=500), sync_settings=False)
    async with serving(app) as address, Client(access_key=KEY) as client:
        assert await text_of(client, address) == "app, Anna, /"
        with pytest.raises(RequestRefused, match="413"):
            async with client.query(address, "a" * 500):
                pass


async def test_limits() -> None:
    bot, limits = FunctionBot(echo), Limits(request_body=500)
    async with serving(bot, allow_without_key=True, limits=limits) as address, Client() as client:
        assert await text_of(client, address) == "hello"
        with pytest.raises(RequestRefused, match="413"):
            async with client.query(address, "a" * 500):
                pass


async def test_a_listening_socket_is_taken_over() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    async with serving(FunctionBot(echo), bind=listener, allow_without_key=True) as address, Client() as client:
        assert address == f"http://127.0.0.1:{listener.getsockname()[1]}/"
        assert await text_of(client, address) == "hello"
    assert listener.fileno() == -1


BOT = FunctionBot(echo)
ROUTES = {"/": Route(BOT, allow_without_key=True)}
BAD_ARGUMENTS = [
    pytest.param(BOT, {}, ValueError, "access_key", id="no key"),
    pytest.param(BOT, {"access_key": KEY, "allow_without_key": True}, ValueError, "exclude each other", id="both"),
    pytest.param(BOT, {"access_key": []}, ValueError, "no access key", id="no keys"),
    pytest.param(BOT, {"access_key": ["a b"]}, ValueError, "visible ASCII", id="a key that cannot be"),
    pytest.param(ROUTES, {"access_key": KEY}, TypeError, "each Route", id="a key beside routes"),
    pytest.param(ROUTES, {"allow_without_key": True}, TypeError, "each Route", id="permission beside routes"),
    pytest.param(BotApp(ROUTES), {"access_key": KEY}, TypeError, "each Route", id="a key beside an application"),
    pytest.param(BotApp(ROUTES), {"limits": Limits()}, TypeError, "own limits", id="limits beside an application"),
    pytest.param({}, {}, ValueError, "no route", id="no routes"),
    pytest.param({"a": ROUTES["/"]}, {}, ValueError, "slash", id="a path without a slash"),
    pytest.param({"/": BOT}, {}, ValueError, "^the bot at '/': pass access_key", id="a bot without a key"),
    pytest.param({"/": 5}, {}, TypeError, "must be given as a Route", id="a number in place of a route"),
    pytest.param("bots:bot", {}, TypeError, "bot must be a Bot, or a dict", id="a name"),
    pytest.param(Bot, {}, TypeError, r"pass an instance: Bot\(\)", id="a class"),
    pytest.param(BOT, {"allow_without_key": True, "bind": "localhost"}, ValueError, "HOST:PORT", id="no port"),
    pytest.param(BOT, {"allow_without_key": True, "bind": "127.0.0.1:65536"}, ValueError, "HOST:PORT", id="port"),
]


@pytest.mark.parametrize(("app", "options", "error", "message"), BAD_ARGUMENTS)
async def test_bad_arguments(app: Any, options: dict[str, Any], error: type[Exception], message: str) -> None:
    options = {"bind": "127.0.0.1:0", **options}
    with pytest.raises(error, match=message):
        await serve(app, **options)


async def test_an_address_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(OSError, match=f"cannot listen on {address}") as caught:
            await serve(BOT, bind=address, allow_without_key=True)
    assert caught.value.errno == errno.EADDRINUSE


# --- the end of a bot


@pytest.mark.parametrize("reset", [False, True])
async def test_a_disconnect_cancels_the_bot(reset: bool) -> None:
    bot = WaitingBot()
    async with serving(bot, access_key=KEY) as address:
        async with connect(address) as connection:
            await connection.send(http_request())
            await connection.read_head()
            assert await connection.read_events() == [Text("hello")]
            if reset:
                raw = connection.stream.extra(anyio.abc.SocketAttribute.raw_socket)
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await bot.ended.wait()
        await bot.closed.wait()


async def test_a_disconnect_before_the_first_event_cancels_the_bot() -> None:
    started, ended = anyio.Event(), anyio.Event()

    async def respond(request: QueryRequest, context: Context) -> None:
        started.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()

    async with serving(FunctionBot(respond), access_key=KEY) as address:
        async with connect(address) as connection:
            await connection.send(http_request())
            await started.wait()
        await ended.wait()


async def test_a_disconnect_is_noticed_behind_a_pipelined_request() -> None:
    bot = WaitingBot()
    async with serving(bot, access_key=KEY) as address:
        async with connect(address) as connection:
            await connection.send(http_request() + http_request()[:50])
            await connection.read_head()
            assert await connection.read_events() == [Text("hello")]
        await bot.ended.wait()


async def test_a_slow_reader_holds_the_bot_back_until_it_leaves() -> None:
    bot = TalkingBot()
    limits = Limits(events=10**9, text_length=10**12)
    async with serving(bot, access_key=KEY, limits=limits) as address:
        async with connect(address) as connection:
            await connection.send(http_request())
            await connection.read_head()
            await bot.until_held_back()
            assert not bot.ended.is_set()
        await bot.ended.wait()


async def test_a_failing_bot_gives_one_error_and_the_connection_continues(caplog: pytest.LogCaptureFixture) -> None:
    async def respond(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield "a"
        raise RuntimeError(SECRET)

    async with serving(FunctionBot(respond), access_key=KEY) as address, connect(address) as connection:
        for _ in range(2):
            await connection.send(http_request())
            response = await connection.read_response()
            text, error, done = response.events
            assert (text, done) == (Text("a"), Done())
            assert isinstance(error, Error)
            assert SECRET.encode() not in response.body
    assert SECRET in caplog.text


async def test_an_internal_error_ends_one_connection_alone(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = anyio.Event()

    async def respond(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield "a"
        await go.wait()
        yield "b"

    handle = BotService.handle

    async def faulty(self: BotService, head: Any, path: str, *others: Any) -> None:
        if path == "/fault":
            raise RuntimeError("an internal fault")
        await handle(self, head, path, *others)

    monkeypatch.setattr(BotService, "handle", faulty)
    async with serving(FunctionBot(respond), access_key=KEY) as address, Client(access_key=KEY) as client:
        async with client.query(address, "hello") as answer:
            assert await anext(answer) == Text("a")
            with pytest.raises(ConnectionLost):
                await text_of(client, address + "fault")
            go.set()
            assert await answer.text() == "ab"
        assert await text_of(client, address) == "ab"
    [record] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.getMessage() == "a connection was closed because of an internal error"


async def test_two_servers_in_one_loop() -> None:
    async with (
        serving(NamedBot("one"), allow_without_key=True) as one,
        serving(NamedBot("two"), allow_without_key=True) as two,
        Client() as client,
    ):
        assert await text_of(client, one) == "one, None, /"
        assert await text_of(client, two) == "two, None, /"
