"""The recording proxy: bytes and ends of connections are forwarded unchanged, and recorded without secrets."""

from __future__ import annotations

import errno
import io
import logging
import socket
import struct
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import pytest
from anyio.abc import SocketAttribute

from poeproto import Done, LocalProtocolError, Message, QueryRequest, Text
from poeproto_h11 import Client
from poeproto_record import End, RecordedExchange, RecordingError
from poeproto_record.server import record

from ...support.bots import KEY
from ...support.canary import CANARY, assert_hidden
from ...support.embedded_servers import serving
from ...support.raw_http import Connection, chunk, connect, fetch, http_request
from ...support.recording_servers import outcome_of, recording
from ...support.scripted_peer import Peer, answering, scripted
from ...support.tls_peer import Certificate, certificate, serving_tls

__all__ = ["certificate"]

pytestmark = pytest.mark.anyio

STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
QUERY = QueryRequest([Message("user", "hi")])
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def reads_of(exchange: RecordedExchange) -> list[bytes]:
    return [read.data for read in exchange.data]


def reset(stream: anyio.abc.SocketStream) -> None:
    """Have the stream's close be a reset."""
    raw = stream.extra(SocketAttribute.raw_socket)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def test_each_chunk_is_forwarded_at_once_and_is_a_read_of_the_recording() -> None:
    seen = [anyio.Event() for _ in range(3)]
    pieces = [chunk(b"one"), b"3;an=extension\r\ntwo\r\n", chunk("drei ä".encode())]
    end = b"0\r\nX-Trailer: t\r\n\r\n"

    async def script(peer: Peer) -> None:
        await peer.answer(STREAM + pieces[0])
        for event, piece in zip(seen, [*pieces[1:], end], strict=True):
            await event.wait()  # nothing more is sent before the client has the last piece
            await peer.send(piece)
        await peer.until_left()

    async with scripted(script) as server, recording(server.address) as (address, tape), connect(address) as client:
        await client.send(http_request(b"{}"))
        received = b""
        for event, piece in zip(seen, pieces, strict=True):
            while not received.endswith(piece):
                received += await client.stream.receive()
            event.set()
        while not received.endswith(end):
            received += await client.stream.receive()
        assert received == STREAM + b"".join(pieces) + end
        [exchange] = await tape.ended()
    assert reads_of(exchange) == [b"one", b"two", "drei ä".encode()]
    assert exchange.request.url == "/"
    assert exchange.request_body == b"{}"
    assert exchange.head is not None
    assert exchange.head.status == 200
    assert outcome_of(exchange) == "eof"


async def test_chunks_that_arrive_in_one_read_are_recorded_one_by_one() -> None:
    whole = STREAM + chunk(b"one") + chunk(b"two") + b"0\r\n\r\n"
    async with scripted(answering(whole)) as server, recording(server.address) as (address, tape):
        await fetch(address, http_request(b"{}"))
        [exchange] = await tape.ended()
    assert reads_of(exchange) == [b"one", b"two"]


@pytest.mark.parametrize(
    ("url", "asked", "target"),
    [
        ("", "/", "/"),
        ("", "/a/b?c=d", "/a/b?c=d"),
        ("bot", "/", "/bot"),
        ("bot", "/?x=1", "/bot?x=1"),
        ("bot/", "/more", "/bot/more"),
        ("", "http://elsewhere.test/a?b", "/a?b"),
    ],
)
async def test_the_target_and_the_host_are_those_of_the_url(url: str, asked: str, target: str) -> None:
    async with scripted(answering(OK)) as server, recording(server.address + url) as (address, tape):
        await fetch(address, http_request(b"{}", path=asked, headers=["X-Some: thing"]))
        assert server.requests[0].line == f"POST {target} HTTP/1.1"
        assert server.requests[0].all("host") == [server.address.removeprefix("http://").strip("/")]
        assert server.requests[0].all("x-some") == ["thing"]
        [exchange] = await tape.ended()
    assert exchange.request.url == asked
    assert dict(exchange.request.headers)[b"host"] == b"localhost"


async def test_the_host_can_be_kept() -> None:
    async with (
        scripted(answering(OK)) as server,
        recording(server.address, keep_host=True) as (address, _),
        connect(address) as client,
    ):
        request = b"GET / HTTP/1.1\r\nhOsT:\t bot.test\r\nContent-Length: 0\r\n\r\n"
        await client.send(request)
        await client.read_response()
        assert server.requests[0].all("host") == []
        assert server.requests[0].headers == [("hOsT:\t bot.test", ""), ("Content-Length", "0")]


async def test_requests_on_one_connection_and_pipelined_ones() -> None:
    async with (
        scripted(answering(OK)) as server,
        recording(server.address) as (address, tape),
        connect(address) as client,
    ):
        await client.send(http_request(b"first"))
        assert (await client.read_response()).body == b"ok"
        await client.send(http_request(b"second") + b"\r\n" + http_request(b"third", path="/3"))
        assert (await client.read_response()).body == b"ok"
        assert (await client.read_response()).body == b"ok"
        exchanges = await tape.ended(3)
        assert server.connections == 1
    assert [each.request_body for each in exchanges] == [b"first", b"second", b"third"]
    assert [reads_of(each) for each in exchanges] == [[b"ok"]] * 3


async def test_interim_responses_head_and_http_1_0() -> None:
    continues = b"HTTP/1.1 100 Continue\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
    old = b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n"

    async def script(peer: Peer) -> None:
        await peer.answer(continues + OK)
        await peer.answer(head)  # to HEAD
        await peer.answer(old + b"to the end")

    async with scripted(script) as server, recording(server.address) as (address, tape), connect(address) as client:
        received = b""
        for request, response in (
            (http_request(b"{}", headers=["Expect: 100-continue"]), continues + OK),
            (http_request(b"", method="HEAD"), head),
        ):
            await client.send(request)
            received = b""
            while len(received) < len(response):
                received += await client.stream.receive()
            assert received == response
        await client.send(b"GET /old HTTP/1.0\r\nContent-Length: 0\r\n\r\n")
        assert await client.read_to_end() == old + b"to the end"
        exchanges = await tape.ended(3)
    assert [(each.head.status if each.head else 0, each.response_body) for each in exchanges] == [
        (200, b"ok"),
        (200, b""),
        (200, b"to the end"),
    ]
    assert {outcome_of(each) for each in exchanges} == {"eof"}


async def test_a_large_upload_in_chunks_is_forwarded_byte_for_byte() -> None:
    parts = [bytes([number]) * 50_000 for number in range(40)]

    async def script(peer: Peer) -> None:
        received = bytearray()
        while not received.endswith(b"\r\n0\r\n\r\n"):
            received += await peer.stream.receive()
        _, _, body = bytes(received).partition(b"\r\n\r\n")
        assert body == b"".join(map(chunk, parts)) + b"0\r\n\r\n"
        await peer.send(OK)
        await peer.until_left()

    async with scripted(script) as server, recording(server.address) as (address, tape), connect(address) as client:
        await client.send(http_request(b"", chunked=True))
        for part in parts:
            await client.send(chunk(part))
        await client.send(b"0\r\n\r\n")
        assert (await client.read_response()).status == 200
        [exchange] = await tape.ended()
    assert exchange.request_body == b"".join(parts)


async def test_a_client_that_does_not_read_stops_the_server_and_the_other_way_round() -> None:
    sent = 0
    stopped = anyio.Event()

    async def script(peer: Peer) -> None:
        nonlocal sent
        await peer.read_request()
        await peer.send(STREAM)
        raw = peer.stream.extra(SocketAttribute.raw_socket)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
        part = chunk(b"x" * 10_000)
        while True:
            with anyio.move_on_after(0.3) as waiting:
                await peer.send(part)
            if waiting.cancelled_caught:
                break
            sent += len(part)
        stopped.set()
        await peer.until_left()

    async with scripted(script) as server, recording(server.address) as (address, tape), connect(address) as client:
        raw = client.stream.extra(SocketAttribute.raw_socket)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        await client.send(http_request(b"{}"))
        await stopped.wait()
        # The kernel's buffers of two connections, and one read of the proxy.
        assert sent < 20_000_000
        recorded = tape.recording().exchanges[0]
        assert len(recorded.response_body) <= sent


@pytest.mark.parametrize("resets", [True, False])
async def test_a_server_that_breaks_off(resets: bool) -> None:
    async def script(peer: Peer) -> None:
        await peer.answer(STREAM + chunk(b"begun"))
        await may_end.wait()
        if resets:
            reset(peer.stream)

    may_end = anyio.Event()
    async with scripted(script) as server, recording(server.address) as (address, tape), connect(address) as client:
        await client.send(http_request(b"{}"))
        await client.read_head()
        assert await client.read_chunk() == b"begun"
        may_end.set()
        with pytest.raises(anyio.BrokenResourceError if resets else anyio.EndOfStream):
            await client.read_chunk()
        [exchange] = await tape.ended()
    assert reads_of(exchange) == [b"begun"]
    assert outcome_of(exchange) == "reset"


@pytest.mark.parametrize("resets", [True, False])
async def test_a_client_that_disconnects(resets: bool) -> None:
    disconnected: list[type[Exception] | None] = []
    done = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.answer(STREAM + chunk(b"begun"))
        try:
            await peer.stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError) as exc:
            disconnected.append(type(exc))
        done.set()

    async with scripted(script) as server, recording(server.address) as (address, tape):
        async with connect(address) as client:
            await client.send(http_request(b"{}"))
            await client.read_head()
            await client.read_chunk()
            if resets:
                reset(client.stream)  # type: ignore[arg-type]
        await done.wait()
        [exchange] = await tape.ended()
    assert disconnected == [anyio.BrokenResourceError if resets else anyio.EndOfStream]
    assert outcome_of(exchange) == "client-gone"


async def test_a_client_that_disconnects_while_a_server_writes_on() -> None:
    failed = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.answer(STREAM)
        try:
            while True:
                await peer.send(chunk(b"more"))
                await anyio.lowlevel.checkpoint()
        except anyio.BrokenResourceError:
            failed.set()

    async with scripted(script) as server, recording(server.address) as (address, tape):
        async with connect(address) as client:
            await client.send(http_request(b"{}"))
            await client.read_head()
        await failed.wait()
        [exchange] = await tape.ended()
    assert outcome_of(exchange) == "client-gone"


async def test_a_client_may_end_its_side_and_still_reads() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.until_left()
        await peer.send(OK)

    async with scripted(script) as server, recording(server.address) as (address, tape), connect(address) as client:
        await client.send(http_request(b"{}"))
        await client.stream.send_eof()
        assert await client.read_to_end() == OK
        [exchange] = await tape.ended()
    assert outcome_of(exchange) == "eof"


async def test_an_early_response_reaches_a_client_that_is_still_sending() -> None:
    refusal = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

    async def script(peer: Peer) -> None:
        await peer.stream.receive()
        await peer.send(refusal)
        await peer.until_left()

    async with scripted(script) as server, recording(server.address) as (address, tape), connect(address) as client:
        await client.send(http_request(b"", chunked=True) + chunk(b"x" * 1000))
        assert (await client.read_response()).status == 413
        [exchange] = await tape.ended()
        await client.send(chunk(b"y" * 1000) + b"0\r\n\r\n")
    assert exchange.head is not None
    assert exchange.head.status == 413


async def test_a_server_that_cannot_be_reached(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with caplog.at_level(logging.WARNING, "poeproto"):
        async with recording(f"http://127.0.0.1:{port}/") as (address, tape):
            response = await fetch(address, http_request(b"{}"))
            [exchange] = await tape.ended()
    assert response.status == 502
    reason = f"no connection to http://127.0.0.1:{port}: Connection refused"
    assert response.body.decode() == f'{{"error": "{reason}"}}'
    assert caplog.messages == [reason]
    assert exchange.head is None
    assert exchange.end is not None
    assert (exchange.end.outcome, exchange.end.detail) == (End.RESET, reason)


async def test_bytes_that_are_not_http() -> None:
    async with scripted(answering(OK)) as server, recording(server.address) as (address, tape):
        response = await fetch(address, b"HELLO\r\n\r\n")
        assert response.status == 400
        assert b"not valid HTTP" in response.body
        async with connect(address) as client:  # of a later request the server is the judge
            await client.send(http_request(b"{}"))
            await client.read_response()
            await client.send(b"HEL\x00LO\r\ncontent-length: 0\r\n\r\n")
            await client.read_response()
        assert server.requests[-1].line == "HEL\x00LO"
        assert len(await tape.ended()) == 1

    async def garbage(peer: Peer) -> None:
        await peer.answer(b"220 smtp.test ESMTP\r\n\r\n")

    async with scripted(garbage) as server, recording(server.address) as (address, tape), connect(address) as client:
        await client.send(http_request(b"{}"))
        assert await client.read_to_end() == b"220 smtp.test ESMTP\r\n\r\n"
        [exchange] = await tape.ended()
    assert outcome_of(exchange) == "reset"
    assert exchange.end is not None
    assert exchange.end.detail.startswith("the response is not valid HTTP")


async def test_a_connection_that_becomes_a_tunnel() -> None:
    switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\nConnection: Upgrade\r\n\r\n"

    async def script(peer: Peer) -> None:
        await peer.answer(switch)
        await peer.send(await peer.stream.receive())
        await peer.until_left()

    async with scripted(script) as server, recording(server.address) as (address, tape), connect(address) as client:
        await client.send(http_request(b"", headers=["Upgrade: other", "Connection: Upgrade"]))
        status, _ = await client.read_head()
        assert status == 101
        await tape.ended()
        await client.send(b"\x00 other \xff")
        assert await client.stream.receive() == b"\x00 other \xff"


async def test_a_server_with_tls(certificate: Certificate) -> None:
    async def script(peer: Peer) -> None:
        await peer.answer(STREAM + chunk(b"secure"))
        await peer.send(chunk(b"x" * 100_000) + b"0\r\n\r\n")
        await peer.until_left()

    async with serving_tls(certificate.server(), script) as url:
        async with (
            recording(url, ssl_context=certificate.trusting_client()) as (address, tape),
            connect(address) as client,
        ):
            await client.send(http_request(b"{}"))
            response = await client.read_response()
            assert response.body == b"secure" + b"x" * 100_000
            [exchange] = await tape.ended()
        assert exchange.response_body == response.body
        async with recording(url) as (address, tape):
            assert (await fetch(address, http_request(b"{}"))).status == 502


async def test_a_client_may_end_its_side_before_a_server_with_tls(certificate: Certificate) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.until_left()
        await peer.send(OK)

    async with (
        serving_tls(certificate.server(), script) as url,
        recording(url, ssl_context=certificate.trusting_client()) as (address, tape),
        connect(address) as client,
    ):
        await client.send(http_request(b"{}"))
        await client.stream.send_eof()
        assert await client.read_to_end() == OK
        [exchange] = await tape.ended()
    assert outcome_of(exchange) == "eof"


async def test_unix_sockets(tmp_path: Path) -> None:
    async with (
        serving(bind=f"unix:{tmp_path}/bot"),
        recording("http://bot.test/", unix_socket=tmp_path / "bot", bind=f"unix:{tmp_path}/proxy") as (address, tape),
        Client(unix_socket=str(tmp_path / "proxy")) as client,
    ):
        assert address == f"unix:{tmp_path}/proxy"
        async with client.query("http://x.test/", QUERY, access_key=KEY) as reply:
            assert await reply.text() == "hi"
        [exchange] = await tape.ended()
    assert b"event: text" in exchange.response_body


async def test_a_query_through_the_proxy_has_the_same_events() -> None:
    async with serving() as url, recording(url) as (address, tape), Client() as client:
        async with client.query(address, QUERY, access_key=KEY) as reply:
            events = [event async for event in reply]
        assert isinstance(events[-1], Done)
        assert any(isinstance(event, Text) for event in events)
        [exchange] = await tape.ended()
    assert KEY.encode() not in tape.getvalue()
    assert outcome_of(exchange) == "eof"


async def test_no_key_is_in_the_recording() -> None:
    repeated = f'event: error\ndata: {{"text": "what is {CANARY}?"}}\n\n'.encode().replace(b'"Qz', b'\\"Qz')
    body = b'{"access_key": "%b", "type": "query"}' % CANARY.replace('"', '\\"').encode()
    for place in range(0, len(repeated), 7):
        parts = chunk(repeated[: place + 1]) + chunk(repeated[place + 1 :])
        async with (
            scripted(answering(STREAM + parts + b"0\r\n\r\n")) as server,
            recording(server.address) as (address, tape),
        ):
            headers = [f"X-Forwarded-Key: {CANARY}", f"Cookie: key={CANARY}"]
            request = http_request(body, path="/?signature=Kf7Qz%2BW", key=f"Bearer {CANARY}", headers=headers)
            assert (await fetch(address, request)).body == repeated
            await tape.ended()
            assert b"REDACTED-1" in tape.getvalue()
            assert_hidden(tape.getvalue())


async def test_stopping_the_proxy_ends_open_exchanges() -> None:
    async def script(peer: Peer) -> None:
        await peer.answer(STREAM + chunk(b"begun"))
        await peer.until_left()

    async with scripted(script) as server:
        async with recording(server.address) as (address, tape):
            stream = await anyio.connect_tcp("127.0.0.1", int(address.rpartition(":")[2].strip("/")))
            client = Connection(stream)
            await client.send(http_request(b"{}"))
            await client.read_head()
            await client.read_chunk()
        with pytest.raises(anyio.BrokenResourceError):
            await client.read_chunk()
        await stream.aclose()
        await server.until_closed(1)
    [exchange] = tape.recording().exchanges
    assert exchange.end is not None
    assert (exchange.end.outcome, exchange.end.detail) == (End.RESET, "the proxy has stopped")


@pytest.mark.parametrize("written", [0, 1, 2])
async def test_a_recording_that_cannot_be_written_ends_the_proxy(written: int) -> None:
    class FullDisk(io.BytesIO):
        lines = 0

        def write(self, line: Any, /) -> int:
            if self.lines == written:
                raise OSError(errno.ENOSPC, "No space left on device")
            self.lines += 1
            return super().write(line)

    failures: list[RecordingError] = []
    async with scripted(answering(OK)) as server, anyio.create_task_group() as tasks:

        async def run(*, task_status: anyio.abc.TaskStatus[str]) -> None:
            try:
                await record(server.address, FullDisk(), bind="127.0.0.1:0", task_status=task_status)
            except RecordingError as exc:
                failures.append(exc)
                if not written:
                    task_status.started("")

        if written:
            address = await tasks.start(run)
            async with connect(address) as client:
                await client.send(http_request(b"{}"))
                await client.read_to_end()
        else:
            await tasks.start(run)
    assert [str(each) for each in failures] == ["the recording: cannot be written: No space left on device"]


def test_an_invalid_url() -> None:
    async def run(url: str) -> None:
        with pytest.raises(LocalProtocolError, match="URL"):
            await record(url, io.BytesIO(), bind="127.0.0.1:0")

    for url in ("ftp://bot.test/", "http://bot.test/?key=1", "http://user:pass@bot.test/", "bot.test"):
        anyio.run(run, url)
