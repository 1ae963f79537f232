"""Requests on the wire, which key goes to which origin, and settings responses."""

from __future__ import annotations

import socket

import pytest

from poeproto import (
    Endpoints,
    IncompleteReply,
    LimitExceeded,
    Limits,
    LocalProtocolError,
    Message,
    PoeprotoError,
    QueryRequest,
    RemoteProtocolError,
    RequestRefused,
    SettingsRequest,
    SettingsResponse,
    decode_request,
    encode_settings,
)
from poeproto.testing import sample_query
from poeproto_h11 import Client
from poeproto_runtime.client.urls import Origin

from ...support.bots import KEY
from ...support.scripted_peer import HELLO, CannedConnector, Received, answering, parse_request, response, scripted

pytestmark = pytest.mark.anyio

API_KEY = "not-an-api-key-" + "1" * 17
SETTINGS = SettingsResponse(introduction_message="I am a café.", server_bot_dependencies={"Cat": 2})


async def request_of(client: Client, connector: CannedConnector, bot: str, access_key: str | None = None) -> Received:
    """The HTTP request that a query of this bot becomes."""
    async with client.query(bot, "hello", access_key=access_key):
        pass
    return parse_request(connector.streams[-1].written)


def keys_in(request: Received) -> list[str]:
    return request.all("authorization")


# --- the request


async def test_the_request_of_a_query() -> None:
    query = sample_query("how are you?")
    async with scripted(answering(HELLO)) as server, Client() as client:
        async with client.query(server.address + "a/b?c=d", query, access_key=KEY) as answer:
            await answer.text()
        authority = server.address.removeprefix("http://").rstrip("/")
    [request] = server.requests
    assert request.line == "POST /a/b?c=d HTTP/1.1"
    assert [(name.lower(), value) for name, value in request.headers] == [
        ("host", authority),
        ("content-type", "application/json"),
        ("accept", "text/event-stream"),
        ("accept-encoding", "identity"),
        ("authorization", f"Bearer {KEY}"),
        ("content-length", str(len(request.body))),
    ]
    assert decode_request(request.body) == query
    assert KEY.encode() not in request.body


async def test_a_query_without_a_key_has_no_authorization() -> None:
    connector = CannedConnector([HELLO])
    async with Client(connector=connector) as client:
        request = await request_of(client, connector, "http://bot.example/")
    assert [name.lower() for name, _ in request.headers] == [
        "host",
        "content-type",
        "accept",
        "accept-encoding",
        "content-length",
    ]


@pytest.mark.parametrize(
    ("url", "line", "host", "origin"),
    [
        ("http://bot.example", "/", "bot.example", Origin("http", "bot.example", 80)),
        ("http://bot.example:80/x", "/x", "bot.example", Origin("http", "bot.example", 80)),
        ("HTTP://Bot.Example:8080/X", "/X", "bot.example:8080", Origin("http", "bot.example", 8080)),
        ("https://bot.example/?a=b#c", "/?a=b", "bot.example", Origin("https", "bot.example", 443)),
        ("https://bot.example:80/", "/", "bot.example:80", Origin("https", "bot.example", 80)),
        ("http://[::1]:8080/", "/", "[::1]:8080", Origin("http", "::1", 8080)),
        ("http://[::1]/", "/", "[::1]", Origin("http", "::1", 80)),
        ("http://bot.example/a b/ü%2f?q=ä ö", "/a%20b/%C3%BC%2f?q=%C3%A4%20%C3%B6", "bot.example", None),
        ("http://bot.example:0/", "/", "bot.example:0", Origin("http", "bot.example", 0)),
    ],
)
async def test_where_a_url_leads(url: str, line: str, host: str, origin: Origin | None) -> None:
    connector = CannedConnector([HELLO])
    async with Client(connector=connector) as client:
        request = await request_of(client, connector, url)
    assert request.line == f"POST {line} HTTP/1.1"
    assert request.all("host") == [host]
    assert origin in (None, connector.origins[0])


async def test_a_server_on_ipv6() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("there is no IPv6 here")
    async with scripted(answering(HELLO), host="::1") as server, Client() as client:
        async with client.query(server.address, "hello") as answer:
            assert await answer.text() == "hello"
        [host] = server.requests[0].all("host")
        assert f"http://{host}/" == server.address


@pytest.mark.parametrize(
    "url",
    [
        "http://name:swordfish@bot.example/",
        "http://swordfish@bot.example/",
        "https://:swordfish@bot.example/",
        "ftp://name:swordfish@bot.example/",
        "http://name:swordfish/@bot.example/",
        "http://name:swordfish#@bot.example/",
    ],
)
async def test_credentials_in_a_url_are_refused_and_not_shown(url: str) -> None:
    async with Client() as client:
        with pytest.raises(LocalProtocolError) as caught:
            client.query(url, "hello")
    assert "swordfish" not in repr(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "url",
    [
        "ftp://bot.example/",
        "http:///path",
        "http://",
        "http://bot.example:port/",
        "http://bot.example:65536/",
        "http://[::1/",
        "http://bücher.example/",
        "http://bot example/",
        "http://bot\0.example/",
        "http://bot.example/\ud800",
        "://bot",
    ],
)
async def test_a_text_that_is_not_a_url_is_refused(url: str) -> None:
    connector = CannedConnector([])
    async with Client(connector=connector) as client:
        with pytest.raises(LocalProtocolError, match="not a"):
            client.query(url, "hello")
        with pytest.raises(LocalProtocolError, match="not a"):
            await client.settings(url)
    assert not connector.streams


# --- the keys


async def test_the_api_key_is_sent_to_poe_only() -> None:
    connector = CannedConnector([HELLO])
    poe = Endpoints.at("http://poe.example:8080/")
    async with Client(API_KEY, endpoints=poe, connector=connector) as client:
        named = await request_of(client, connector, "Ünï/Bot?")
        assert named.line == "POST /bot/%C3%9Cn%C3%AF%2FBot%3F HTTP/1.1"
        assert connector.origins == [Origin("http", "poe.example", 8080)]
        assert keys_in(named) == [f"Bearer {API_KEY}"]
        assert keys_in(await request_of(client, connector, "http://POE.example:8080/bot/x")) == [f"Bearer {API_KEY}"]
        for elsewhere in (
            "http://poe.example/bot/x",
            "https://poe.example:8080/bot/x",
            "http://poe.example.evil.example:8080/bot/x",
            "http://bot.example:8080/http://poe.example:8080/",
        ):
            assert keys_in(await request_of(client, connector, elsewhere)) == []


async def test_by_default_poe_is_where_it_is() -> None:
    connector = CannedConnector([HELLO])
    async with Client(API_KEY, access_key=KEY, connector=connector) as client:
        request = await request_of(client, connector, "CatBot")
    assert connector.origins == [Origin("https", "api.poe.com", 443)]
    assert (request.line, keys_in(request)) == ("POST /bot/CatBot HTTP/1.1", [f"Bearer {API_KEY}"])


async def test_the_access_key_is_sent_to_urls() -> None:
    connector = CannedConnector([HELLO])
    poe = Endpoints.at("http://poe.example")
    async with Client(API_KEY, access_key=KEY, endpoints=poe, connector=connector) as client:
        assert keys_in(await request_of(client, connector, "http://bot.example/")) == [f"Bearer {KEY}"]
        assert keys_in(await request_of(client, connector, "http://bot.example/", "another")) == ["Bearer another"]
        assert keys_in(await request_of(client, connector, "Cat")) == [f"Bearer {API_KEY}"]
    async with Client(access_key=KEY, endpoints=poe, connector=connector) as client:
        assert keys_in(await request_of(client, connector, "Cat")) == []


@pytest.mark.parametrize("key", ["two words", "kléf", "swordfish\r\nx: y", "\x00"])
async def test_a_key_that_a_header_cannot_carry_is_refused_and_not_shown(key: str) -> None:
    connector = CannedConnector([])
    async with Client(connector=connector) as client:
        with pytest.raises(LocalProtocolError, match="visible ASCII") as caught:
            client.query("http://bot.example/", "hello", access_key=key)
    assert key not in str(caught.value)
    assert not connector.streams


async def test_no_key_is_in_a_repr() -> None:
    async with scripted(answering(HELLO)) as server, Client(API_KEY, access_key=KEY) as client:
        query = client.query(server.address, "hello")
        async with query as answer:
            await answer.text()
            shown = f"{client!r} {query!r} {answer.fold!r} {query._runner!r}"
    assert KEY not in shown
    assert API_KEY not in shown


# --- settings


async def test_settings() -> None:
    async with (
        scripted(answering(response(200, encode_settings(SETTINGS)))) as server,
        Client(access_key=KEY) as client,
    ):
        assert await client.settings(server.address) == SETTINGS
        assert await client.settings(server.address, access_key="another") == SETTINGS
        assert client.connections_opened == 1
    assert [keys_in(request) for request in server.requests] == [[f"Bearer {KEY}"], ["Bearer another"]]
    for request in server.requests:
        assert request.all("accept") == ["application/json"]
        assert decode_request(request.body) == SettingsRequest()


async def test_settings_in_pieces() -> None:
    pieces = [bytes([byte]) for byte in response(200, encode_settings(SETTINGS))]
    async with Client(connector=CannedConnector(pieces)) as client:
        assert await client.settings("http://bot.example/") == SETTINGS


async def test_settings_of_a_bot_on_poe() -> None:
    connector = CannedConnector([response(200, b"{}")])
    async with Client(API_KEY, connector=connector) as client:
        assert (await client.settings("Cat Bot")).response_version == 0
    assert parse_request(connector.streams[0].written).line == "POST /bot/Cat%20Bot HTTP/1.1"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (response(401, b'{"error": "no"}'), RequestRefused),
        (response(200, encode_settings(SETTINGS), "Content-Encoding: gzip"), RequestRefused),
        (response(200, b"<html>"), RemoteProtocolError),
        (response(200, b"[]"), RemoteProtocolError),
        (response(200), RemoteProtocolError),
        (response(200, b'{"allow_attachments": "yes"}'), RemoteProtocolError),
    ],
    ids=["refused", "encoded", "no JSON", "no object", "empty", "wrong type"],
)
async def test_malformed_settings(answer: bytes, error: type[PoeprotoError]) -> None:
    async with scripted(answering(answer)) as server, Client() as client:
        with pytest.raises(error) as caught:
            await client.settings(server.address)
        assert not isinstance(caught.value, IncompleteReply)
        with pytest.raises(error):
            await client.settings(server.address)


async def test_settings_that_are_too_large() -> None:
    async with scripted(answering(response(200, bytes(2000)))) as server:
        async with Client(limits=Limits(answer_size=1000)) as client:
            with pytest.raises(LimitExceeded, match="1000 bytes"):
                await client.settings(server.address)
        await server.until_closed(1)


async def test_a_large_query_is_sent_completely() -> None:
    query = QueryRequest([Message("user", "a" * 5_000_000)])
    async with scripted(answering(HELLO)) as server, Client() as client, client.query(server.address, query) as answer:
        assert await answer.text() == "hello"
    assert decode_request(server.requests[0].body) == query
