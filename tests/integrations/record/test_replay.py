"""The replay: recorded responses byte for byte, in the same chunks; how they ended; and requests that none answers."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Iterable

import anyio
import pytest

from poeproto.testing import cut_at
from poeproto_record import (
    End,
    RecordedExchange,
    RecordedHead,
    Recording,
    RecordingHeader,
    ReplayMatch,
)
from poeproto_record.schedule import Schedule

from ...support.canary import CANARY, assert_hidden
from ...support.raw_http import Connection, connect, fetch, http_request
from ...support.recording_servers import recording, replaying, tape_writer
from ...support.vectors import FOLDER, cases, wire_of

pytestmark = pytest.mark.anyio

CHUNKED = {"content-type": "text/event-stream", "transfer-encoding": "chunked"}


def taped(
    *reads: Iterable[bytes],
    outcome: End | None = End.EOF,
    status: int | None = 200,
    headers: dict[str, str] | None = None,
    method: str = "POST",
    body: bytes = b"{}",
) -> Recording:
    """A recording of exchanges with these reads, each in answer to the same request."""
    writer, tape = tape_writer()
    for each in reads or [[]]:
        number = writer.request(method, "/", {"host": "h"}, body)
        if status is not None:
            writer.head(number, status, CHUNKED if headers is None else headers)
        for read in each:
            writer.data(number, read)
        if outcome is not None:
            writer.end(number, outcome)
    return tape.recording()


async def chunks_of(client: Connection) -> list[bytes]:
    """The chunks of the next response."""
    await client.read_head()
    chunks: list[bytes] = []
    while read := await client.read_chunk():
        chunks.append(read)
    return chunks


def streams() -> list[list[bytes]]:
    """500 streams, random, in random reads."""
    chance = random.Random(17)
    bodies = [chance.randbytes(chance.randrange(1, 400)) for _ in range(500)]
    cuts = ([chance.randrange(1, len(body) + 1) for _ in range(chance.randrange(12))] for body in bodies)
    return [[part for part in cut_at(body, places) if part] for body, places in zip(bodies, cuts, strict=True)]


async def test_random_streams_are_replayed_byte_for_byte_in_the_same_chunks() -> None:
    expected = streams()
    async with replaying(taped(*expected), match=ReplayMatch.ORDER) as address, connect(address) as client:
        for reads in expected:
            await client.send(http_request(b"{}"))
            assert await chunks_of(client) == reads


async def test_the_vectors_are_replayed_byte_for_byte_in_the_same_chunks() -> None:
    chance = random.Random(17)
    bodies = [
        wire_of(case)
        for path in sorted(FOLDER.glob("*.json"))
        for case in cases(path.name)
        if {"wire", "wire_base64", "wire_parts"} & case.keys()
    ]
    expected = [
        [part for part in cut_at(body, [chance.randrange(len(body) + 1) for _ in range(5)]) if part]
        for body in bodies
        if len(body) < 300_000
    ]
    assert len(expected) > 50
    async with replaying(taped(*expected), match=ReplayMatch.ORDER) as address, connect(address) as client:
        for reads in expected:
            await client.send(http_request(b"{}"))
            assert await chunks_of(client) == reads


async def test_a_recording_of_a_replay_is_the_recording() -> None:
    recorded = taped([b"one", b"two"], [b"three"])
    async with (
        replaying(recorded, match=ReplayMatch.ORDER) as address,
        recording(address, redaction=None) as (proxy, tape),
        connect(proxy) as client,
    ):
        for _ in range(2):
            await client.send(http_request(b"{}"))
            await client.read_response()
        again = await tape.ended(2)

    def essence(exchange: RecordedExchange) -> tuple[object, ...]:
        head = exchange.head
        return [read.data for read in exchange.data], head and (head.status, head.headers), exchange.request_body

    assert [essence(each) for each in again] == [essence(each) for each in recorded.exchanges]


async def test_a_body_with_a_length_and_one_without() -> None:
    sized = {"content-type": "text/plain", "content-length": "3"}  # recorded before a redaction changed it
    async with replaying(taped([b"he", b"llo"], headers=sized)) as address, connect(address) as client:
        for _ in range(2):
            await client.send(http_request(b"{}"))
            assert (await client.read_response()).body == b"hello"
    async with replaying(taped([b"he", b"llo"], headers={})) as address, connect(address) as client:
        await client.send(http_request(b"{}"))
        assert await client.read_to_end() == b"HTTP/1.1 200 OK\r\n\r\nhello"


async def test_clients_of_http_1_0_head_and_statuses_without_a_body() -> None:
    async with replaying(taped([b"one", b"two"])) as address, connect(address) as client:
        await client.send(b"POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}")
        assert (await client.read_to_end()).endswith(b"\r\n\r\nonetwo")
    head = taped([], headers={"content-length": "70"}, method="HEAD", body=b"")
    async with replaying(head) as address, connect(address) as client:
        for _ in range(2):
            await client.send(http_request(b"", method="HEAD"))
            assert (await client.read_head())[1] == {"content-length": "70"}
    async with replaying(taped([], status=204, headers={"x": "y"})) as address, connect(address) as client:
        for _ in range(2):
            await client.send(http_request(b"{}"))
            assert await client.read_head() == (204, {"x": "y"})


async def test_a_request_in_parts_that_expects_to_continue() -> None:
    async with replaying(taped([b"one"])) as address, connect(address) as client:
        await client.send(http_request(b"", headers=["Expect: 100-continue"], chunked=True))
        assert await client.read_head() == (100, {})
        await client.send(b"1\r\n{\r\n")
        await client.send(b"1\r\n}\r\n0\r\n\r\n\r\n" + http_request(b"{}"))
        for _ in range(2):
            assert await chunks_of(client) == [b"one"]


@pytest.mark.parametrize("outcome", [End.RESET, None])
async def test_a_reset_is_replayed(outcome: End | None) -> None:
    async with replaying(taped([b"begun"], outcome=outcome)) as address, connect(address) as client:
        await client.send(http_request(b"{}"))
        await client.read_head()
        assert await client.read_chunk() == b"begun"
        with pytest.raises(anyio.BrokenResourceError):
            await client.read_chunk()
    sized = {"content-length": "5"}
    async with replaying(taped([b"begun"], outcome=outcome, headers=sized)) as address, connect(address) as client:
        await client.send(http_request(b"{}"))
        assert (await client.read_head())[1] == {"content-length": "6"}
        assert await client.read_to_end() == b"begun"
    async with replaying(taped([], outcome=outcome, status=None)) as address, connect(address) as client:
        await client.send(http_request(b"{}"))
        with pytest.raises(anyio.BrokenResourceError):
            await client.read_head()


@pytest.mark.parametrize("outcome", [End.TIMEOUT, End.CLIENT_DISCONNECTED])
async def test_no_event_follows_a_timeout(outcome: End) -> None:
    async with replaying(taped([b"begun"], outcome=outcome)) as address, connect(address) as client:
        await client.send(http_request(b"{}"))
        await client.read_head()
        assert await client.read_chunk() == b"begun"
        with anyio.move_on_after(0.05):
            assert await client.stream.receive() == b""
        await client.stream.send_eof()
        assert await client.read_to_end() == b""


async def test_a_request_without_a_match(caplog: pytest.LogCaptureFixture) -> None:
    body = b'{"type": "query", "query": [{"role": "user", "content": "How do you do?"}]}'
    asked = b'{"type": "query", "query": [{"role": "user", "content": "How do you fly, %b?"}]}'
    asked = asked % CANARY.replace('"', '\\"').encode()
    async with replaying(taped([b"fine"], body=body)) as address:
        with caplog.at_level(logging.WARNING, "poeproto"):
            response = await fetch(address, http_request(asked, key=f"Bearer {CANARY}"))
    assert response.status == 404
    differences = ["last message: recorded 'How do you do?', received 'How do you fly, REDACTED-1?'"]
    what = "no exchange of the recording answers the request; the nearest is exchange 1: "
    assert json.loads(response.body) == {"error": what + differences[0], "nearest": 1, "differences": differences}
    assert caplog.messages == [f"POST /: {what}{differences[0]}"]
    assert_hidden(caplog.text, response.body)


async def test_no_key_of_a_path_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    key = "Kf7Qz3Vb9Np2Rt6Yh8Jm4Lc5Dg1WxZs0"
    with caplog.at_level(logging.WARNING, "poeproto"):
        async with replaying(taped([b"fine"])) as address:
            response = await fetch(address, http_request(b"{}", path=f"/bot/fetch_settings/Bot/{key}/1.1?key={key}"))
    assert response.status == 404
    assert key not in caplog.text
    assert key not in response.body.decode()


async def test_a_request_that_is_not_http_or_too_large_a_head() -> None:
    async with replaying(taped([b"x"])) as address:
        assert (await fetch(address, b"HELLO\r\n\r\n")).status == 400
        head = b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 40_000
        assert (await fetch(address, head)).status == 431


async def test_a_head_that_cannot_be_sent_is_an_error() -> None:
    smuggled = RecordedHead(1, 0.1, 200, [("x", "a\r\nContent-Length: 0\r\n\r\n")])
    exchange = taped([b"x"]).exchanges[0]
    hostile = Recording(
        RecordingHeader(), (RecordedExchange(exchange.request, (), smuggled, exchange.data, exchange.end),)
    )
    async with replaying(hostile) as address:
        response = await fetch(address, http_request(b"{}"))
    assert response.status == 404
    assert b"its head cannot be sent" in response.body


async def test_the_gaps_of_a_replay() -> None:
    exchange = taped([b"a", b"b"]).exchanges[0]  # request at 0.001, then a line each millisecond
    assert [Schedule(exchange, 1, 100.0).time_of(read.at) for read in exchange.data] == pytest.approx(
        [100.002, 100.003]
    )
    assert [Schedule(exchange, 2, 100.0).time_of(read.at) for read in exchange.data] == pytest.approx(
        [100.001, 100.0015]
    )
    assert [Schedule(exchange, 0, 100.0).time_of(read.at) for read in exchange.data] == [100.0, 100.0]


@pytest.mark.parametrize("speed", [-1, float("nan"), float("inf")])
async def test_an_invalid_speed(speed: float) -> None:
    from poeproto_record.server import replay

    with pytest.raises(ValueError, match="the speed of a replay"):
        await replay(taped([b"x"]), bind="127.0.0.1:0", speed=speed)
