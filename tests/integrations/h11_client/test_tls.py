"""The client over TLS, and the load generator, against a server with a certificate of its own."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
import pytest

from poeproto import (
    ConnectFailed,
    ConnectionLost,
    Done,
    Limits,
    Message,
    QueryRequest,
    RequestRefused,
    RetryPolicy,
    Text,
)
from poeproto_cli.load import Load
from poeproto_cli.load_query import write_query
from poeproto_h11 import Client
from poeproto_h11.client.outbound import make_outbound
from poeproto_runtime import FetchPolicy
from poeproto_runtime.fetch import fetch

from ...support.scripted_peer import HELLO, STREAM_HEAD, Peer, answering, refuse_early, reply, response, scripted, sent
from ...support.tls_peer import Certificate, certificate, serving_tls

__all__ = ["certificate"]  # a fixture

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_trusted_server(certificate: Certificate, version: ssl.TLSVersion) -> None:
    context = certificate.server()
    context.maximum_version = version
    async with (
        serving_tls(context, answering(HELLO)) as url,
        Client(ssl_context=certificate.trusting_client()) as client,
    ):
        for _ in range(3):
            async with client.query(url, "hello") as answer:
                assert [event async for event in answer] == [Text("hello"), Done()]
        assert client.connections_opened == 1


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_large_query_is_sent_completely(certificate: Certificate, version: ssl.TLSVersion) -> None:
    # TLS 1.3 servers send session tickets unasked: they are not an early answer.
    context = certificate.server()
    context.maximum_version = version
    trusting = certificate.trusting_client()
    async with serving_tls(context, answering(HELLO)) as url, Client(ssl_context=trusting) as client:
        for _ in range(2):
            async with client.query(url, "a" * 3_000_000) as answer:
                assert [event async for event in answer] == [Text("hello"), Done()]
        assert client.connections_opened == 1


async def test_a_refusal_may_arrive_before_the_request_is_written(certificate: Certificate) -> None:
    trusting = certificate.trusting_client()
    async with serving_tls(certificate.server(), refuse_early) as url, Client(ssl_context=trusting) as client:
        with pytest.raises(RequestRefused) as caught:
            async with client.query(url, "a" * 15_000_000):
                pass
    assert caught.value.status == 413


async def test_load(certificate: Certificate) -> None:
    def replies(url: str) -> list[bytes]:
        query = write_query(url, QueryRequest([Message("user", "hi")]))
        load = Load(query, 3, 20.0, certificate.trusting_client())
        received = load.replies(7)
        load.close()
        with pytest.raises(ConnectFailed, match=r"(?i)certificate"):
            Load(query, 1, 20.0)
        return [each.response for each in received]

    # Longer than a TLS record, so that one read does not return all of it.
    long = reply(*[Text("hello " * 1000)] * 20)
    async with serving_tls(certificate.server(), answering(long)) as url:
        assert await anyio.to_thread.run_sync(replies, url) == [long] * 7


async def test_a_stranger_is_not_trusted(certificate: Certificate) -> None:
    async with serving_tls(certificate.server(), answering(HELLO)) as url, Client() as client:
        with pytest.raises(ConnectFailed, match="its certificate is not accepted: "):
            await client.settings(url)
        assert client.connections_opened == 0


@pytest.mark.parametrize("name", ["files.example", "other.example"])
async def test_a_fetch_asks_the_checked_address_for_the_certificate_of_the_name(
    certificate: Certificate, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def getaddrinfo(host: str, port: int, **more: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(anyio, "getaddrinfo", getaddrinfo)
    async with serving_tls(certificate.server(), answering(response(200, b"content"))) as address:
        url = address.replace("127.0.0.1", name)
        outbound = make_outbound(
            Limits(),
            fetch_policy=FetchPolicy(origins=[url]),
            ssl_context=certificate.trusting_client(),
            retry=RetryPolicy(attempts=1),
        )
        if name == "files.example":
            assert (await fetch(url, outbound, Limits())).body == b"content"
        else:
            with pytest.raises(ConnectFailed, match=r"(?i)certificate"):
                await fetch(url, outbound, Limits())
    assert asked == [name]


async def test_another_name_is_not_trusted(certificate: Certificate) -> None:
    trusting = certificate.trusting_client()
    async with serving_tls(certificate.server(), answering(HELLO)) as url, Client(ssl_context=trusting) as client:
        with pytest.raises(ConnectFailed, match=r"certificate is not accepted: .*localhost"):
            await client.settings(url.replace("127.0.0.1", "localhost"))


async def test_a_connection_that_breaks_off_within_a_reply(certificate: Certificate) -> None:
    breaking = partial(_answer_once, STREAM_HEAD + sent(Text("a")))
    async with (
        serving_tls(certificate.server(), breaking) as url,
        Client(ssl_context=certificate.trusting_client()) as client,
        client.query(url, "hello") as answer,
    ):
        assert await anext(answer) == Text("a")
        with pytest.raises(ConnectionLost):
            await anext(answer)


async def _answer_once(data: bytes, peer: Peer) -> None:
    await peer.answer(data)


async def _close(peer: Peer) -> None:
    await peer.stream.receive(1)


async def _speak_plainly(peer: Peer) -> None:
    await peer.stream.receive(1)
    await peer.send(b"HTTP/1.1 400 This is no TLS\r\n\r\n")
    await peer.until_left()


@pytest.mark.parametrize("script", [_close, _speak_plainly])
async def test_a_server_that_speaks_no_tls(script: Callable[[Peer], Awaitable[None]]) -> None:
    async with scripted(script) as server, Client() as client:
        with pytest.raises(ConnectFailed, match=r"no connection to https://127.0.0.1:\d+: .+"):
            await client.settings(server.address.replace("http:", "https:"))
        await server.until_closed(1)
        assert client.connections_opened == 0
