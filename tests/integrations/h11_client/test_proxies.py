"""Calls through HTTP proxies, with both clients: forwarded for http, in a tunnel for https."""

from __future__ import annotations

import socket
from typing import Any

import anyio.to_thread
import pytest

from poeproto import (
    ConnectFailed,
    DeadlineExceeded,
    Done,
    FetchForbidden,
    InvalidValue,
    Limits,
    RetryPolicy,
    Text,
)
from poeproto_h11 import (
    Client,
    ProxyFailed,
    Timeouts,
    get_bot_response,
    get_bot_response_sync,
    get_final_response,
    get_final_response_sync,
)
from poeproto_h11.client.anyio_backend import anyio_backend
from poeproto_h11.client.outbound import make_outbound
from poeproto_runtime import FetchPolicy
from poeproto_runtime.fetch import fetch

from ...support.both_clients import Query, query, query_blocking
from ...support.calling_bots import CallingBot, Served, forwards, service_of
from ...support.scripted_peer import HELLO, CannedConnector, answering, deaf, response, scripted
from ...support.scripted_proxy import proxying
from ...support.tls_peer import Certificate, certificate, serving_tls

__all__ = ["certificate"]  # a fixture

pytestmark = pytest.mark.anyio

ONCE = RetryPolicy(attempts=1)
WITH_PASSWORD = "Basic dTpwOi9A"  # u, p:/@
both_clients = pytest.mark.parametrize("ask", [query, query_blocking])


def with_password(address: str) -> str:
    return address.replace("://", "://u:p%3A%2F%40@")


@both_clients
async def test_http_is_forwarded_with_an_absolute_url(ask: Query) -> None:
    async with scripted(answering(HELLO)) as server, proxying(server.address) as proxy:
        outcome = await ask("http://bot.invalid:81/a?b=c", proxy=with_password(proxy.address), access_key="k" * 32)
    assert outcome.events == [Text("hello"), Done()]
    assert proxy.lines == ["POST http://bot.invalid:81/a?b=c HTTP/1.1"]
    assert proxy.requests[0].all("host") == ["bot.invalid:81"]
    assert proxy.requests[0].all("proxy-authorization") == [WITH_PASSWORD]


@both_clients
async def test_https_goes_through_a_tunnel(ask: Query, certificate: Certificate) -> None:
    async with serving_tls(certificate.server(), answering(HELLO)) as url, proxying(url) as proxy:
        outcome = await ask(
            "https://files.example/a?b=c",
            proxy=with_password(proxy.address),
            access_key="k" * 32,
            ssl_context=certificate.trusting_client(),
        )
    assert outcome.events == [Text("hello"), Done()]
    assert proxy.lines == ["CONNECT files.example:443 HTTP/1.1"]
    assert proxy.requests[0].all("host") == ["files.example:443"]
    assert proxy.requests[0].all("proxy-authorization") == [WITH_PASSWORD]
    assert proxy.requests[0].all("authorization") == []


@both_clients
async def test_a_proxy_may_speak_tls_itself(ask: Query, certificate: Certificate) -> None:
    async with serving_tls(certificate.server(), answering(HELLO)) as url, proxying(url, certificate) as proxy:
        for _ in range(2):
            outcome = await ask(url, proxy=proxy.address, ssl_context=certificate.trusting_client())
            assert outcome.events == [Text("hello"), Done()]
    assert proxy.lines == [f"CONNECT {url[8:-1]} HTTP/1.1"] * 2


async def test_a_connection_through_a_proxy_is_used_again(certificate: Certificate) -> None:
    trusting = certificate.trusting_client()
    async with (
        serving_tls(certificate.server(), answering(HELLO)) as url,
        scripted(answering(HELLO)) as server,
        proxying(url) as tunnels,
        proxying(server.address) as forwards,
    ):
        for proxy, target in ((tunnels, url), (forwards, server.address)):
            async with Client(proxy=proxy.address, ssl_context=trusting) as client:
                for _ in range(3):
                    async with client.query(target, "hello") as reply:
                        assert await reply.text() == "hello"
                assert client.connections_opened == 1
            assert len(proxy.requests) == 1


@both_clients
async def test_the_certificate_must_be_the_servers_and_not_the_proxys(ask: Query, certificate: Certificate) -> None:
    async with serving_tls(certificate.server(), answering(HELLO)) as url, proxying(url) as proxy:
        outcome = await ask(
            "https://other.example/", proxy=proxy.address, retry=ONCE, ssl_context=certificate.trusting_client()
        )
    assert type(outcome.error) is ConnectFailed
    assert str(outcome.error).startswith("no connection to https://other.example: its certificate is not accepted")


@both_clients
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_requires_authentication(ask: Query, scheme: str) -> None:
    async with proxying("http://127.0.0.1:9/") as proxy:
        for url, offered, reason in (
            (proxy.address, "Basic realm=x", "it requires a user and a password (status 407); put them into its URL"),
            (with_password(proxy.address), "basic", "it does not accept the user and the password in its URL"),
            (proxy.address, "Negotiate", "it requires authentication of another kind than Basic"),
        ):
            proxy.answer = response(407, b"p:/@ dTpwOi9A", f"Proxy-Authenticate: {offered}")
            outcome = await ask(f"{scheme}://bot.example/", proxy=url, retry=ONCE)
            assert type(outcome.error) is ProxyFailed
            start = f"no connection to {scheme}://bot.example through the proxy {proxy.address}: "
            assert str(outcome.error).startswith(start + reason)
            assert "p:/@" not in str(outcome.error)


@both_clients
@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (response(403, b"no"), "it refused the connection with status 403; its configuration decides what it allows"),
        (response(503, b"no"), "it cannot reach the server (status 503)"),
        (b"", "it closed the connection without an answer"),
        (b"SSH-2.0-x\r\n\r\n", "it does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\n\r\nhello", "it sent data into the tunnel before the TLS handshake"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "the peer closed the connection"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + response(502), "it cannot reach the server (status 502)"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"a" * 100_000, "it does not speak HTTP"),
    ],
)
async def test_a_tunnel_that_is_not_opened(ask: Query, answer: bytes, reason: str) -> None:
    async with proxying("http://127.0.0.1:9/") as proxy:
        proxy.answer = answer
        outcome = await ask("https://bot.example/", proxy=with_password(proxy.address), retry=ONCE)
    assert type(outcome.error) is ProxyFailed
    assert str(outcome.error) == f"no connection to https://bot.example through the proxy {proxy.address}: {reason}"


@both_clients
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_is_not_there(ask: Query, scheme: str) -> None:
    with deaf() as server:
        address = server.address
    outcome = await ask(f"{scheme}://bot.example/", proxy=address, retry=ONCE)
    assert type(outcome.error) is ProxyFailed
    assert str(outcome.error) == (
        f"no connection to {scheme}://bot.example through the proxy {address[:-1]}: Connection refused"
    )


@both_clients
async def test_a_proxy_that_does_not_answer(ask: Query) -> None:
    with deaf() as server:
        outcome = await ask("https://bot.example/", proxy=server.address, retry=ONCE, timeouts=Timeouts(connect=0.1))
    assert type(outcome.error) is DeadlineExceeded
    assert str(outcome.error) == "the connect timeout of 0.1 s passed"


@both_clients
async def test_the_environment_names_the_proxy(ask: Query, monkeypatch: pytest.MonkeyPatch) -> None:
    async with scripted(answering(HELLO)) as server, proxying(server.address) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.address)
        assert (await ask("http://bot.invalid/")).events == [Text("hello"), Done()]
        assert len(proxy.requests) == 1
        assert (await ask(server.address, proxy=False)).events == [Text("hello"), Done()]
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert (await ask(server.address)).events == [Text("hello"), Done()]
        assert len(proxy.requests) == 1


@both_clients
async def test_a_proxy_of_the_environment_that_cannot_be_used(ask: Query, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://u:secret@127.0.0.1:1080")
    async with scripted(answering(HELLO)) as server:
        outcome = await ask(server.address)
        assert type(outcome.error) is InvalidValue
        assert str(outcome.error).startswith("ALL_PROXY: SOCKS proxies are not supported; expected a URL as http://")
        assert (await ask(server.address, proxy=False)).error is None


async def test_the_shortcuts_accept_a_proxy() -> None:
    async with scripted(answering(HELLO)) as server, proxying(server.address) as proxy:
        url, more = "http://bot.invalid/", {"proxy": proxy.address, "headers": {"x-a": "1"}}
        assert await get_final_response("hello", url, **more) == "hello"  # pyright: ignore[reportArgumentType]
        reply: Any = get_bot_response("hello", url, **more)  # pyright: ignore[reportArgumentType]
        assert [event async for event in reply] == [Text("hello"), Done()]

        def ask() -> None:
            assert get_final_response_sync("hello", url, **more) == "hello"  # pyright: ignore[reportArgumentType]
            events = get_bot_response_sync("hello", url, **more)  # pyright: ignore[reportArgumentType]
            assert list(events) == [Text("hello"), Done()]

        await anyio.to_thread.run_sync(ask)
    assert [request.all("x-a") for request in proxy.requests] == [["1"]] * 4


async def test_the_calls_of_a_bot_go_through_the_proxy() -> None:
    async with scripted(answering(HELLO)) as poe, proxying(poe.address) as proxy:
        service = service_of(CallingBot(forwards, Cat=1), "http://poe.invalid", proxy=proxy.address)
        async with service.running():
            assert await Served(service, poe).answer() == [Text("hello"), Done()]
    assert proxy.lines == ["POST http://poe.invalid/bot/Cat HTTP/1.1"]


# --- files at URLs of users


def naming(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Resolve the names in this domain to these addresses."""
    resolve = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *more: Any, **options: Any) -> list[Any]:
        if host != "files.example" and host != b"files.example":
            return resolve(host, port, *more, **options)
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (each, port)) for each in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


async def test_a_file_is_fetched_from_the_address_that_was_checked(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    naming(monkeypatch, "9.9.9.9")
    file = answering(response(200, b"a file"))
    async with serving_tls(certificate.server(), file) as url, proxying(url) as proxy:
        outbound = make_outbound(
            Limits(), fetch_policy=FetchPolicy(), proxy=proxy.address, ssl_context=certificate.trusting_client()
        )
        assert (await fetch("https://files.example/a", outbound, Limits())).body == b"a file"
    assert proxy.lines == ["CONNECT 9.9.9.9:443 HTTP/1.1"]


async def test_the_next_address_is_used_if_the_proxy_cannot_reach_one(monkeypatch: pytest.MonkeyPatch) -> None:
    naming(monkeypatch, "9.9.9.9", "9.9.9.10")
    async with proxying("http://127.0.0.1:9/") as proxy:
        proxy.answer = response(503)
        outbound = make_outbound(Limits(), fetch_policy=FetchPolicy(), proxy=proxy.address, retry=ONCE)
        with pytest.raises(ConnectFailed, match="cannot reach the server"):
            await fetch("https://files.example/a", outbound, Limits())
    assert proxy.lines == ["CONNECT 9.9.9.9:443 HTTP/1.1", "CONNECT 9.9.9.10:443 HTTP/1.1"]


@pytest.mark.parametrize("url", ["https://files.example/a", "https://127.0.0.1/a", "http://files.example/a"])
async def test_a_proxy_gets_no_request_that_the_policy_forbids(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    naming(monkeypatch, "9.9.9.9", "10.0.0.1")
    async with proxying("http://127.0.0.1:9/") as proxy:
        outbound = make_outbound(Limits(), fetch_policy=FetchPolicy(), proxy=proxy.address)
        with pytest.raises(FetchForbidden):
            await fetch(url, outbound, Limits())
    assert proxy.lines == []


async def test_a_name_without_addresses_reaches_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    naming(monkeypatch)
    async with proxying("http://127.0.0.1:9/") as proxy:
        outbound = make_outbound(Limits(), fetch_policy=FetchPolicy(), proxy=proxy.address, retry=ONCE)
        with pytest.raises(ConnectFailed, match="the name has no address"):
            await fetch("https://files.example/a", outbound, Limits())
    assert proxy.lines == []


async def test_the_proxy_resolves_the_names_of_listed_origins() -> None:
    async with scripted(answering(response(200, b"a file"))) as server, proxying(server.address) as proxy:
        policy = FetchPolicy(origins=["http://files.invalid"])
        outbound = make_outbound(Limits(), fetch_policy=policy, proxy=proxy.address)
        assert (await fetch("http://files.invalid/a", outbound, Limits())).body == b"a file"
    assert proxy.lines == ["GET http://files.invalid/a HTTP/1.1"]


async def test_a_connector_of_the_callers_uses_no_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    connector = CannedConnector([HELLO])
    for client in (Client(connector=connector), Client(backend=anyio_backend(connector=connector))):
        async with client, client.query("http://bot.example/", "hello") as reply:
            assert await reply.text() == "hello"
    assert [str(origin) for origin in connector.origins] == ["http://bot.example"] * 2
    assert all(b"POST / HTTP/1.1" in stream.written for stream in connector.streams)


def test_the_ways_to_connect_exclude_each_other() -> None:
    for options in (
        {"proxy": "http://127.0.0.1:3128", "unix_socket": "/run/bot"},
        {"proxy": "http://127.0.0.1:3128", "connector": object()},
        {"unix_socket": "/run/bot", "connector": object()},
    ):
        with pytest.raises(TypeError, match=" and ".join(sorted(options, key="unix_socketconnectorproxy".index))):
            Client(**options)  # type: ignore[arg-type]
