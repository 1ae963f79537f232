"""The sockets of the blocking client: deadlines, name resolution, and TLS."""

from __future__ import annotations

import math
import socket
import ssl
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal

from poeproto import (
    ConnectFailed,
    ConnectionLost,
    DeadlineExceeded,
    Done,
    Event,
    QueryRequest,
    RequestRefused,
    RetryPolicy,
    Text,
    decode_request,
)
from poeproto_h11 import BlockingClient, Timeouts

from ...support.peers_in_thread import scripted_in_thread
from ...support.scripted_peer import (
    HELLO,
    LAST_CHUNK,
    STREAM_HEAD,
    Peer,
    Script,
    answering,
    chunk,
    deaf,
    refuse_early,
    sent,
    starting,
)
from ...support.tls_peer import Certificate, certificate, serving_tls

__all__ = ["certificate"]  # a fixture

ONCE = RetryPolicy(attempts=1)


def read(client: BlockingClient, url: str, text: str = "hello") -> list[Event]:
    with client.query(url, text) as answer:
        return list(answer)


# --- deadlines


async def silent(peer: Peer) -> None:
    await peer.until_left()


async def endless(peer: Peer) -> None:
    await peer.answer(STREAM_HEAD)
    while True:
        await peer.send(chunk(b": still here\n\n"))


@pytest.mark.parametrize(
    ("name", "timeouts", "script"),
    [
        ("header", Timeouts(header=0.05), silent),
        ("idle", Timeouts(idle=0.05), starting),
        ("total", Timeouts(total=0.05), silent),
        ("total", Timeouts(total=0.05), endless),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_deadline_passes(portal: BlockingPortal, name: str, timeouts: Timeouts, script: Script) -> None:
    with scripted_in_thread(portal, script) as server, BlockingClient(timeouts=timeouts) as client:
        with pytest.raises(DeadlineExceeded, match=f"the {name} timeout of 0.05 s passed"):
            read(client, server.address)
        server.until_closed(1)


def test_data_received_before_a_deadline_is_kept(portal: BlockingPortal) -> None:
    with (
        scripted_in_thread(portal, starting) as server,
        BlockingClient(timeouts=Timeouts(idle=0.3)) as client,
        client.query(server.address, "hello") as answer,
    ):
        assert next(answer) == Text("a")
        for _ in range(2):
            with pytest.raises(DeadlineExceeded) as caught:
                next(answer)
            assert caught.value.partial is answer.fold


def test_the_deadline_of_writing_passes() -> None:
    with deaf() as server:
        with (
            BlockingClient(timeouts=Timeouts(idle=0.05)) as client,
            pytest.raises(DeadlineExceeded, match="the idle timeout"),
        ):
            read(client, server.address, "a" * 15_000_000)
        server.read_to_end()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_deadline_may_be_never(portal: BlockingPortal, host: str) -> None:
    never = Timeouts(connect=math.inf, header=math.inf, idle=math.inf, total=math.inf)
    with scripted_in_thread(portal, answering(HELLO)) as server, BlockingClient(timeouts=never) as client:
        assert read(client, server.address.replace("127.0.0.1", host)) == [Text("hello"), Done()]


def test_a_handshake_that_nobody_answers(portal: BlockingPortal) -> None:
    timeouts = Timeouts(connect=0.05)
    with scripted_in_thread(portal, silent) as server, BlockingClient(timeouts=timeouts, retry=ONCE) as client:
        with pytest.raises(DeadlineExceeded, match="the connect timeout"):
            read(client, server.address.replace("http:", "https:"))
        server.until_closed(1)
        assert client.connections_opened == 0


def test_reading_the_certificates_is_part_of_connecting(portal: BlockingPortal) -> None:
    class Slow(ssl.SSLContext):
        def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
            time.sleep(0.1)
            return super().wrap_bio(*arguments, **options)

    asked = threading.Event()

    async def script(peer: Peer) -> None:
        await peer.stream.receive(1)
        asked.set()

    with (
        scripted_in_thread(portal, script) as server,
        BlockingClient(timeouts=Timeouts(connect=0.05), ssl_context=Slow(ssl.PROTOCOL_TLS_CLIENT)) as client,
    ):
        with pytest.raises(DeadlineExceeded, match="the connect timeout"):
            read(client, server.address.replace("http:", "https:"))
        server.until_closed(1)
    assert not asked.is_set(), "there was no time left to begin"


# --- names and addresses


def naming(monkeypatch: pytest.MonkeyPatch, look_up: Callable[[], list[Any]]) -> None:
    """Resolve the names of the tests with this function; addresses are left to the system."""
    real = socket.getaddrinfo

    def getaddrinfo(host: str, port: int, **options: Any) -> list[Any]:
        if host.endswith(".example") and not options.get("flags"):
            return look_up()
        return real(host, port, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def test_a_name_that_is_not_resolved_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def look_up() -> list[Any]:
        released.wait()
        return []

    naming(monkeypatch, look_up)
    with (
        BlockingClient(timeouts=Timeouts(connect=0.05), retry=ONCE) as client,
        pytest.raises(DeadlineExceeded, match="the connect timeout"),
    ):
        read(client, "http://bot.example/")
    released.set()


@pytest.mark.parametrize("host", ["a..example", "a" * 70 + ".example"])
def test_a_name_that_cannot_be_resolved(host: str) -> None:
    with BlockingClient(retry=ONCE) as client, pytest.raises(ConnectFailed, match="no connection to"):
        read(client, f"http://{host}/")


def test_a_name_without_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    naming(monkeypatch, list)
    with BlockingClient(retry=ONCE) as client, pytest.raises(ConnectFailed, match="no address"):
        read(client, "http://bot.example/")


def test_the_next_address_is_tried(portal: BlockingPortal, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted_in_thread(portal, answering(HELLO)) as gone:
        free = int(gone.address.rstrip("/").rpartition(":")[2])
    with scripted_in_thread(portal, answering(HELLO)) as server, BlockingClient() as client:
        port = int(server.address.rstrip("/").rpartition(":")[2])
        kind = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
        naming(monkeypatch, lambda: [(*kind, ("127.0.0.1", number)) for number in (free, port)])
        assert read(client, "http://bot.example/") == [Text("hello"), Done()]
        assert server.requests[0].all("host") == ["bot.example"]


# --- TLS


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_trusted_server(portal: BlockingPortal, certificate: Certificate, version: ssl.TLSVersion) -> None:
    context = certificate.server()
    context.maximum_version = version
    with (
        portal.wrap_async_context_manager(serving_tls(context, answering(HELLO))) as url,
        BlockingClient(ssl_context=certificate.trusting_client()) as client,
    ):
        for _ in range(3):
            assert read(client, url) == [Text("hello"), Done()]
        assert client.connections_opened == 1


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_large_query_over_tls(portal: BlockingPortal, certificate: Certificate, version: ssl.TLSVersion) -> None:
    # TLS 1.3 servers send session tickets unasked: they are not an early answer.
    text = "a" * 3_000_000
    requests: list[bytes] = []

    async def script(peer: Peer) -> None:
        for _ in range(2):
            requests.append((await peer.answer(HELLO)).body)
        await peer.until_left()

    context = certificate.server()
    context.maximum_version = version
    with (
        portal.wrap_async_context_manager(serving_tls(context, script)) as url,
        BlockingClient(ssl_context=certificate.trusting_client()) as client,
    ):
        for _ in range(2):
            assert read(client, url, text) == [Text("hello"), Done()]
        assert client.connections_opened == 1
    for body in requests:
        query = decode_request(body)
        assert isinstance(query, QueryRequest)
        assert query.query[0].content == text


def test_a_refusal_may_arrive_before_the_request_is_written(portal: BlockingPortal, certificate: Certificate) -> None:
    with (
        portal.wrap_async_context_manager(serving_tls(certificate.server(), refuse_early)) as url,
        BlockingClient(ssl_context=certificate.trusting_client()) as client,
        pytest.raises(RequestRefused) as caught,
    ):
        read(client, url, "a" * 15_000_000)
    assert caught.value.status == 413


@pytest.mark.parametrize("size", [1000, 200_000])
def test_a_long_reply_over_tls(portal: BlockingPortal, certificate: Certificate, size: int) -> None:
    data = STREAM_HEAD + sent(*[Text("a" * 100)] * (size // 100), Done()) + LAST_CHUNK
    with (
        portal.wrap_async_context_manager(serving_tls(certificate.server(), answering(data))) as url,
        BlockingClient(ssl_context=certificate.trusting_client()) as client,
    ):
        for _ in range(2):
            with client.query(url, "hello") as answer:
                assert answer.text() == "a" * size
        assert client.connections_opened == 1


def test_a_stranger_is_not_trusted(portal: BlockingPortal, certificate: Certificate) -> None:
    with (
        portal.wrap_async_context_manager(serving_tls(certificate.server(), answering(HELLO))) as url,
        BlockingClient(retry=ONCE) as client,
    ):
        with pytest.raises(ConnectFailed, match=r"(?i)certificate"):
            client.settings(url)
        assert client.connections_opened == 0


def test_another_name_is_not_trusted(portal: BlockingPortal, certificate: Certificate) -> None:
    with (
        portal.wrap_async_context_manager(serving_tls(certificate.server(), answering(HELLO))) as url,
        BlockingClient(ssl_context=certificate.trusting_client(), retry=ONCE) as client,
        pytest.raises(ConnectFailed, match=r"(?i)certificate"),
    ):
        client.settings(url.replace("127.0.0.1", "localhost"))


async def _answer_once(data: bytes, peer: Peer) -> None:
    await peer.answer(data)


def test_a_connection_that_breaks_off_within_a_reply(portal: BlockingPortal, certificate: Certificate) -> None:
    breaking = partial(_answer_once, STREAM_HEAD + sent(Text("a")))
    with (
        portal.wrap_async_context_manager(serving_tls(certificate.server(), breaking)) as url,
        BlockingClient(ssl_context=certificate.trusting_client()) as client,
        client.query(url, "hello") as answer,
    ):
        assert next(answer) == Text("a")
        with pytest.raises(ConnectionLost):
            next(answer)


def test_a_server_that_stopped_while_the_connection_was_idle(portal: BlockingPortal, certificate: Certificate) -> None:
    with (
        portal.wrap_async_context_manager(serving_tls(certificate.server(), partial(_answer_once, HELLO))) as url,
        BlockingClient(ssl_context=certificate.trusting_client()) as client,
    ):
        for number in (1, 2):
            assert read(client, url) == [Text("hello"), Done()]
            [(_, connection)] = client._pool._idle
            while connection.is_idle():
                pass  # until its end has arrived
            assert client.connections_opened == number


async def _close(peer: Peer) -> None:
    await peer.stream.receive(1)


async def _speak_plainly(peer: Peer) -> None:
    await peer.stream.receive(1)
    await peer.send(b"HTTP/1.1 400 This is no TLS\r\n\r\n")
    await peer.until_left()


@pytest.mark.parametrize("script", [_close, _speak_plainly])
def test_a_server_that_speaks_no_tls(portal: BlockingPortal, script: Script) -> None:
    with scripted_in_thread(portal, script) as server, BlockingClient(retry=ONCE) as client:
        with pytest.raises(ConnectFailed, match=r"no connection to https://127.0.0.1:\d+: .+"):
            client.settings(server.address.replace("http:", "https:"))
        server.until_closed(1)
        assert client.connections_opened == 0
