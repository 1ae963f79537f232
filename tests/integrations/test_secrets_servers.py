"""Keys in requests to servers: which are accepted, how others are logged, and that no server starts without one."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.abc
import h2.config
import h2.connection
import h2.events
import pytest
from hypercorn.config import Config

import poeproto_h11
from poeproto import Bot, BotExchange, Context, Error, Limits, QueryRequest, RequestHead, Text
from poeproto_asgi import BotApp, TargetError, load_app, run
from poeproto_runtime import AccessKeyMissing, BotService, Route

from ..support.bots import KEY, FunctionBot, query_body
from ..support.canary import BEARER_CANARY, CANARY, all_logged, assert_hidden
from ..support.hypercorn_servers import quick_config, serving
from ..support.memory_channel import MemoryChannel
from ..support.raw_http import Response, connect

pytestmark = pytest.mark.anyio

QUERY = query_body()


async def echo(request: QueryRequest, context: Context) -> str:
    return request.query[-1].content


async def leak(request: QueryRequest, context: Context) -> str:
    key = context.access_key  # a traceback with local variables would show it
    raise LookupError(f"no such key, of {len(key or '')} characters")


@asynccontextmanager
async def embedded(app: BotApp) -> AsyncGenerator[str]:
    async with anyio.create_task_group() as tasks:

        async def serve(*, task_status: anyio.abc.TaskStatus[str]) -> None:
            await poeproto_h11.serve(app, bind="127.0.0.1:0", task_status=task_status)

        yield await tasks.start(serve)
        tasks.cancel_scope.cancel()


def chatty_config() -> Config:
    """Hypercorn's configuration for debugging; its records go to the same log as all others."""
    config = quick_config()
    config.loglevel = "DEBUG"
    config.errorlog = logging.getLogger("hypercorn.error")
    return config


SERVERS: dict[str, Callable[[BotApp], Any]] = {
    "hypercorn": lambda app: serving(app, chatty_config()),
    "embedded": embedded,
}


def raw_request(*authorization: bytes, target: bytes = b"/") -> bytes:
    lines = [b"POST %b HTTP/1.1" % target, b"Host: localhost", b"Content-Length: %d" % len(QUERY)]
    return b"\r\n".join([*lines, *authorization, b"", b""]) + QUERY


async def exchange(address: str, request: bytes) -> Response:
    async with connect(address) as connection:
        await connection.send(request)
        return await connection.read_response()


# --- which headers are taken

NAME = b"Authorization: "
TAKEN = [
    NAME + b"Bearer " + KEY.encode(),
    b"authorization: bearer " + KEY.encode(),
    b"AUTHORIZATION: BEARER " + KEY.encode(),
    NAME + b"bEaReR   " + KEY.encode() + b" \t",
]
REFUSED = [
    [],
    [NAME],
    [NAME + b"Bearer"],
    [NAME + b"Bearer "],
    [NAME + KEY.encode()],
    [NAME + b"Basic " + KEY.encode()],
    [NAME + b"Bearer" + KEY.encode()],
    [NAME + b"Bearer\t" + KEY.encode()],
    [NAME + b"Bearer " + KEY[:-1].encode()],
    [NAME + b"Bearer " + KEY.encode() + b"x"],
    [NAME + b"Bearer " + KEY.swapcase().encode()],
    [NAME + b"Bearer " + KEY.encode() + b" " + KEY.encode()],
    [NAME + b"Bearer " + KEY.encode() + b"," + KEY.encode()],
    [NAME + b'Bearer "' + KEY.encode() + b'"'],
    # not ASCII: Latin-1, UTF-8, and bytes that are neither
    [NAME + b"Bearer " + KEY.encode() + b"\xe9"],
    [NAME + b"Bearer \xa0" + KEY.encode()],
    [NAME + "Bearer é🐈".encode()],
    [NAME + "Веarer ".encode() + KEY.encode()],
    [NAME + b"Bearer \xff\xfe\x80"],
    [NAME + b"\xc3\x28"],
    # two of them, whichever is good
    [NAME + b"Bearer " + KEY.encode(), NAME + b"Bearer wrong"],
    [NAME + b"Bearer wrong", NAME + b"Bearer " + KEY.encode()],
    [NAME + b"Bearer " + KEY.encode(), NAME + b"Bearer " + KEY.encode()],
    # elsewhere
    [b"X-Api-Key: " + KEY.encode()],
    [b"Proxy-Authorization: Bearer " + KEY.encode()],
    [b"Cookie: authorization=Bearer " + KEY.encode()],
]
# Characters that HTTP does not allow in a header (RFC 9110, 5.5) are refused before the key is compared.
NO_HEADERS = [[NAME + b"Bearer " + KEY.encode() + control] for control in (b"\0", b"\0x", b"\x0b", b"\x7f\x00")]


@pytest.mark.parametrize("server", SERVERS)
async def test_which_headers_hold_the_key(server: str) -> None:
    async with SERVERS[server](BotApp(FunctionBot(echo), access_key=[KEY, "another"])) as address:
        for header in TAKEN:
            response = await exchange(address, raw_request(header))
            assert (response.status, response.events[0]) == (200, Text("hello")), header
        for headers in REFUSED:
            response = await exchange(address, raw_request(*headers))
            assert response.status == 401, headers
            assert response.headers["www-authenticate"] == "Bearer"
            assert KEY.encode() not in response.body
        for headers in NO_HEADERS:
            response = await exchange(address, raw_request(*headers))
            assert response.status == 400, headers


@pytest.mark.parametrize("value", [bytes([byte]) for byte in range(256)])
def test_any_byte_beside_the_key_but_white_space_makes_it_another(value: bytes) -> None:
    """Whichever bytes a server accepts in a header."""
    for header in (b"Bearer " + KEY.encode() + value, b"Bearer " + value + KEY.encode()):
        exchange = BotExchange({KEY})
        head = RequestHead("POST", "/", [(b"authorization", header)])
        if value in (b" ", b"\t"):
            exchange.receive_head(head)
        else:
            with pytest.raises(Exception, match="the access key is missing or wrong"):
                exchange.receive_head(head)


# --- log records


@pytest.mark.parametrize("server", SERVERS)
async def test_nothing_that_is_logged_shows_a_key(server: str, caplog: pytest.LogCaptureFixture) -> None:
    """With everything logged that anything logs."""
    caplog.set_level(logging.DEBUG)
    bearer = NAME + BEARER_CANARY.encode()
    path = b"/bot/update_settings/Bot/" + CANARY.replace("/", "%2F").encode() + b"/1.2"
    for bot, target, headers, status in (
        (echo, b"/", [bearer], 200),
        (leak, b"/", [bearer], 200),
        (echo, b"/?access_key=" + CANARY.encode(), [bearer], 200),
        (echo, b"/", [NAME + b"Bearer x" + CANARY.encode()], 401),
        (echo, b"/", [NAME + CANARY.encode()], 401),
        (echo, b"/nowhere?access_key=" + CANARY.encode(), [bearer], 404),
        (echo, path, [bearer], 404),  # as a client does that takes a bot's server for Poe
        (echo, b"http://h" + path + b"?x", [bearer], 404),
        (echo, b"/", [bearer + b"\0"], 400),
        (echo, b"/", [CANARY.encode()], 400),
    ):
        async with SERVERS[server](BotApp(FunctionBot(bot), access_key=CANARY)) as address:
            response = await exchange(address, raw_request(*headers, target=target))
        assert response.status == status, (target, headers)
        assert_hidden(response.body, response.headers)
    assert "update_settings/Bot/… refused: 404" in caplog.text
    assert "LookupError: no such key" in caplog.text
    assert_hidden(*all_logged(caplog))


async def test_nothing_that_http_2_logs_shows_a_key(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    app = BotApp(FunctionBot(echo), access_key=CANARY)
    async with serving(app, chatty_config()) as address, connect(address) as connection:
        client = h2.connection.H2Connection(h2.config.H2Configuration())
        client.initiate_connection()
        head = [(":method", "POST"), (":path", "/"), (":scheme", "http"), (":authority", "h")]
        client.send_headers(1, [*head, ("authorization", BEARER_CANARY)])
        client.send_data(1, QUERY, end_stream=True)
        await connection.send(client.data_to_send())
        headers: list[Any] = []
        while not headers:
            for event in client.receive_data(await connection.stream.receive()):
                if isinstance(event, h2.events.ResponseReceived):
                    headers += [value for _, value in event.headers]
    assert b"200" in headers or "200" in headers
    assert_hidden(*all_logged(caplog))


async def test_the_error_that_a_peer_receives_shows_nothing_of_the_bots(caplog: pytest.LogCaptureFixture) -> None:
    async def bot(request: QueryRequest, context: Context) -> str:
        raise LookupError(f"the bot's own words, with {context.access_key}")

    for events_before in (0, 1):
        channel = MemoryChannel()
        service = BotService({"/": Route(FunctionBot(bot), access_key=CANARY)}, Limits())
        await service.handle(RequestHead("POST", "/", [("authorization", BEARER_CANARY)]), "/", channel)
        assert isinstance(channel.events[-2], Error)
        assert_hidden(channel.stream, events_before)


# --- without a key

UNSET: dict[str, Callable[[], object]] = {
    "BotApp": lambda: BotApp(Bot()),
    "Route": lambda: Route(Bot()),
    "None": lambda: BotApp(Bot(), access_key=None, allow_without_key=False),
    "load_app": lambda: load_app("poeproto:Bot"),
    "run": lambda: run("poeproto:Bot", bind="127.0.0.1:0"),
    "workers": lambda: run("poeproto:Bot", bind="127.0.0.1:0", workers=2),
}
TAKE_KEYS: dict[str, Callable[[Any], object]] = {
    "BotApp": lambda keys: BotApp(Bot(), access_key=keys),
    "Route": lambda keys: Route(Bot(), access_key=keys),
    "BotExchange": lambda keys: BotExchange(keys),
}
EMPTY: list[Any] = ["", " ", "\t", "\n", [], (), [""], ["fine", ""], ["fine", " "], {}]


@pytest.mark.parametrize("name", UNSET)
def test_no_server_is_made_without_a_key(name: str) -> None:
    with pytest.raises(AccessKeyMissing, match="allow_without_key=True to answer anyone"):
        UNSET[name]()


@pytest.mark.parametrize("name", TAKE_KEYS)
@pytest.mark.parametrize("keys", EMPTY)
def test_no_server_is_made_with_an_empty_key(name: str, keys: Any) -> None:
    with pytest.raises(ValueError, match="access key"):
        TAKE_KEYS[name](keys)


def test_a_key_and_the_permission_to_do_without_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="exclude each other"):
        BotApp(Bot(), access_key=KEY, allow_without_key=True)


@pytest.mark.parametrize("keys", [None, "", [""], []])
async def test_the_embedded_server_does_not_start_without_a_key(keys: Any) -> None:
    with pytest.raises(ValueError, match="key"):
        await poeproto_h11.serve(Bot(), bind="127.0.0.1:0", access_key=keys)


@pytest.mark.parametrize(("key", "allow"), [("another", False), (None, True)])
def test_options_for_an_application_that_was_made_already_are_an_error(key: str | None, allow: bool) -> None:
    with pytest.raises(TargetError):
        run(BotApp(Bot(), access_key=KEY), access_key=key, allow_without_key=allow)


async def test_settings_are_not_answered_without_the_key_either() -> None:
    body = json.dumps({"version": "1.2", "type": "settings"}).encode()
    channel = MemoryChannel(body)
    await BotService({"/": Route(Bot(), access_key=KEY)}).handle(RequestHead("POST", "/"), "/", channel)
    assert channel.response is not None
    assert channel.response.status == 401
