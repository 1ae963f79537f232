"""The bound of a response's head and trailers: the same however the bytes arrive, and for both clients."""

from __future__ import annotations

import pytest

from poeproto import Done, RemoteProtocolError, RequestRefused, RetryPolicy, Text
from poeproto_h11 import Client

from ...support.both_clients import Query, query, query_blocking
from ...support.scripted_peer import STREAM_HEAD, CannedConnector, answering, response, scripted, sent

pytestmark = pytest.mark.anyio

BOUND = 32 * 1024
EVENTS = [Text("hello"), Done()]
TOO_LARGE = "the peer's HTTP is invalid: the response's head is larger than 32768 bytes"


def head_of(size: int, head: bytes = STREAM_HEAD) -> bytes:
    """A head of the given number of bytes."""
    missing = size - len(head) - len(b"X: \r\n")
    return head[:-2] + b"X: " + b"x" * missing + b"\r\n\r\n"


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


async def outcome_of(data: bytes, piece: int) -> object:
    async with Client(connector=CannedConnector(cut(data, piece)), retry=RetryPolicy(attempts=1)) as client:
        try:
            return [event async for event in client.query("http://bot.example/", "hello")]
        except (RemoteProtocolError, RequestRefused) as exc:
            return exc


@pytest.mark.parametrize("piece", [100_000, 65_536, 32 * 1024, 20_000, 1000])
@pytest.mark.parametrize(("size", "fits"), [(BOUND, True), (BOUND + 1, False), (90 * 1024, False)])
async def test_a_head_is_bounded_however_it_arrives(size: int, piece: int, fits: bool) -> None:
    outcome = await outcome_of(head_of(size) + sent(*EVENTS) + b"0\r\n\r\n", piece)
    assert outcome == EVENTS if fits else str(outcome) == TOO_LARGE


@pytest.mark.parametrize("piece", [100_000, 1000])
async def test_each_interim_response_has_a_head_of_its_own(piece: int) -> None:
    interim = head_of(20_000, b"HTTP/1.1 103 Early Hints\r\n\r\n")
    data = head_of(20_000) + sent(*EVENTS) + b"0\r\n\r\n"
    assert await outcome_of(interim * 3 + data, piece) == EVENTS
    assert str(await outcome_of(head_of(BOUND + 1, b"HTTP/1.1 103 Early Hints\r\n\r\n") + data, piece)) == TOO_LARGE


@pytest.mark.parametrize("piece", [100_000, 65_536, 1000])
@pytest.mark.parametrize(("size", "fits"), [(BOUND - 1024, True), (BOUND + 1024, False), (90 * 1024, False)])
async def test_trailers_are_bounded_however_they_arrive(size: int, piece: int, fits: bool) -> None:
    # After the text, so that the client needs the end of the body.
    body = sent(Text("hello")) + b"0\r\n" + b"X: " + b"x" * (size - 7) + b"\r\n\r\n"
    outcome = str(await outcome_of(STREAM_HEAD + body, piece))
    assert ("ended without" in outcome) is fits, outcome


@pytest.mark.parametrize("ask", [query, query_blocking])
async def test_both_clients_refuse_the_same_head(ask: Query) -> None:
    large = response(200, b"", f"X: {'x' * 90 * 1024}")
    async with scripted(answering(large)) as server:
        outcome = await ask(server.address)
    assert isinstance(outcome.error, RemoteProtocolError)
    assert str(outcome.error) == TOO_LARGE
