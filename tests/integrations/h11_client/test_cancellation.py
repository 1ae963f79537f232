"""Cancelling the client at each of its awaits: no half-read connection stays in its pool, and the next query works."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import anyio
import pytest

from poeproto import Done, RequestRefused, SettingsResponse, Text, encode_event, encode_settings
from poeproto_h11 import Client

from ...support.scripted_peer import (
    HELLO,
    STREAM_HEAD,
    CannedConnector,
    Peer,
    Script,
    answering,
    chunk,
    reply,
    response,
    scripted,
    sent,
)

pytestmark = pytest.mark.anyio

URL = "http://bot.example/"
SETTINGS = SettingsResponse(introduction_message="hello")
Use = Callable[[Client], Awaitable[object]]


async def read_all(client: Client) -> None:
    async with client.query(URL, "hello") as answer:
        assert await answer.text() == "first"


async def read_through_done(client: Client) -> None:
    async with client.query(URL, "hello") as answer:
        assert await anext(answer) == Text("fir")


async def be_refused(client: Client) -> None:
    with pytest.raises(RequestRefused):
        await client.settings(URL)


async def read_settings(client: Client) -> None:
    assert await client.settings(URL) == SETTINGS


def thirds(data: bytes) -> list[bytes]:
    size = len(data) // 3
    return [data[:size], data[size : 2 * size], data[2 * size :]]


FIRST = [STREAM_HEAD, sent(Text("fir")), sent(Text("st"), Done()), chunk(b": still here\n\n"), b"0\r\n", b"\r\n"]
USES = [
    pytest.param(read_all, FIRST, id="reading all"),
    pytest.param(read_through_done, FIRST, id="leaving early"),
    pytest.param(read_settings, thirds(response(200, encode_settings(SETTINGS))), id="settings"),
    pytest.param(be_refused, thirds(response(500, b"busy" * 10)), id="refusal"),
]


@pytest.mark.parametrize(("use", "pieces"), USES)
async def test_a_call_can_be_cancelled_at_any_await(use: Use, pieces: list[bytes]) -> None:
    step = last = 0

    def cancel_at_last(name: str) -> None:
        nonlocal step
        if step == last:
            scope.cancel()
        step += 1

    cancelled = True
    while cancelled:
        # A reused connection continues with "second"; if it were half read, with something else.
        connector = CannedConnector([*pieces, reply(Text("second"))], cancel_at_last)
        step = 0
        async with Client(connector=connector) as client:
            with anyio.CancelScope() as scope:
                await use(client)
            cancelled = scope.cancelled_caught
            if cancelled:
                assert all(stream.closed for stream in connector.streams), f"left open after {last} operations"
            kept = [stream for stream in connector.streams if not stream.closed]
            connector.pieces = [reply(Text("fresh"))]
            async with client.query(URL, "again") as answer:
                assert await answer.text() == ("second" if kept else "fresh")
        assert all(stream.closed for stream in connector.streams)
        last += 1
    assert last > 4, "that was not every await"


@pytest.mark.parametrize("use", [read_all, read_settings, be_refused])
async def test_a_cancelled_scope_starts_nothing(use: Use) -> None:
    connector = CannedConnector([HELLO])
    async with Client(connector=connector) as client:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await use(client)
        assert scope.cancelled_caught
        assert not any(stream.written for stream in connector.streams)


# --- over sockets


async def waiting_for_head(reached: anyio.Event, peer: Peer) -> None:
    await peer.read_request()
    reached.set()
    await peer.until_left()


async def within_head(reached: anyio.Event, peer: Peer) -> None:
    await peer.answer(STREAM_HEAD[:40])
    reached.set()
    await peer.until_left()


async def within_body(reached: anyio.Event, peer: Peer) -> None:
    await peer.answer(STREAM_HEAD + sent(Text("a")) + chunk(encode_event(Text("b")))[:10])
    reached.set()
    await peer.until_left()


async def within_drain(reached: anyio.Event, peer: Peer) -> None:
    await peer.answer(STREAM_HEAD + sent(Text("a"), Done()))
    reached.set()
    await peer.until_left()


async def within_refusal(reached: anyio.Event, peer: Peer) -> None:
    await peer.answer(response(500, bytes(100))[:-50])
    reached.set()
    await peer.until_left()


async def within_request(reached: anyio.Event, peer: Peer) -> None:
    await peer.stream.receive(1)
    reached.set()
    await peer.until_left()


async def within_handshake(reached: anyio.Event, peer: Peer) -> None:
    await peer.stream.receive(1)
    reached.set()
    await peer.until_left()


@pytest.mark.parametrize(
    "place",
    [waiting_for_head, within_head, within_body, within_drain, within_refusal, within_request, within_handshake],
)
async def test_cancelled_over_a_socket(place: Callable[[anyio.Event, Peer], Awaitable[None]]) -> None:
    reached = anyio.Event()
    script: Script = partial(place, reached)

    async def query(url: str) -> None:
        with scope:
            text = "a" * 15_000_000 if place is within_request else "hello"
            async with client.query(url, text) as answer:
                await answer.text()

    async with scripted(script, answering(HELLO)) as server, Client() as client:
        url = server.address.replace("http:", "https:") if place is within_handshake else server.address
        scope = anyio.CancelScope()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(query, url)
            await reached.wait()
            scope.cancel()
        assert scope.cancelled_caught
        await server.until_closed(1)
        async with client.query(server.address, "hello") as answer:
            assert await answer.text() == "hello"
        assert server.connections == 2


async def test_cancelling_one_query_leaves_the_others_alone() -> None:
    cancelled, first = anyio.Event(), anyio.Event()

    async def slow(peer: Peer) -> None:
        await peer.answer(STREAM_HEAD + sent(Text("a")))
        first.set()
        await cancelled.wait()
        await peer.send(sent(Text("b"), Done()) + b"0\r\n\r\n")
        await peer.until_left()

    async with scripted(slow) as server, Client() as client:
        with anyio.CancelScope() as scope:
            async with client.query(server.address, "hello") as kept:
                assert await anext(kept) == Text("a")
                with anyio.CancelScope() as inner:
                    async with client.query(server.address, "hello") as left:
                        assert await anext(left) == Text("a")
                        inner.cancel()
                        await anext(left)
                assert inner.cancelled_caught
                cancelled.set()
                assert await kept.text() == "ab"
        assert not scope.cancelled_caught
