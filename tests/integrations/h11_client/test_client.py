"""The client against scripted servers: events as they arrive."""

from __future__ import annotations

import random
from collections.abc import Callable

import anyio
import pytest

from poeproto import (
    BotError,
    Data,
    Done,
    Error,
    Event,
    IncompleteReply,
    Meta,
    SuggestedReply,
    Text,
    UnknownEvent,
)
from poeproto.testing import bytewise, cut_at, sample_reply
from poeproto_h11 import Client

from ...support.scripted_peer import (
    LAST_CHUNK,
    STREAM_HEAD,
    CannedConnector,
    Peer,
    answering,
    chunk,
    reply,
    scripted,
    sent,
)

pytestmark = pytest.mark.anyio


def random_cut(seed: int) -> Callable[[bytes], list[bytes]]:
    def cut(data: bytes) -> list[bytes]:
        random_ = random.Random(seed)
        return cut_at(data, [random_.randrange(len(data)) for _ in range(20)])

    return cut


def whole(data: bytes) -> list[bytes]:
    return [data]


CUTS = [whole, bytewise, *map(random_cut, range(5))]
CUT_NAMES = ["whole", "bytewise", *map("random{}".format, range(5))]


async def read(client: Client, url: str, text: str = "hello") -> list[Event]:
    async with client.query(url, text) as answer:
        return [event async for event in answer]


# --- events


@pytest.mark.parametrize("cut", CUTS, ids=CUT_NAMES)
async def test_events_are_complete_however_the_bytes_are_cut(cut: Callable[[bytes], list[bytes]]) -> None:
    connector = CannedConnector(cut(reply(*sample_reply()[:-1])))
    async with Client(connector=connector) as client, client.query("http://bot.example/", "hello") as answer:
        events = [event async for event in answer]
        assert events == sample_reply()
        assert answer.fold.text == "Good day, naïve 🐈"
        assert answer.fold.metadata == '{"seen": 2}'
    assert not connector.streams[0].pieces, "the body was not read to its end"


@pytest.mark.parametrize("cut", CUTS, ids=CUT_NAMES)
async def test_events_arrive_over_a_socket(cut: Callable[[bytes], list[bytes]]) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        for piece in cut(reply(*sample_reply()[:-1])):
            await peer.send(piece)
        await peer.until_left()

    async with scripted(script) as server, Client() as client:
        assert await read(client, server.address) == sample_reply()


async def test_events_arrive_as_they_are_sent() -> None:
    received = [anyio.Event() for _ in range(3)]

    async def script(peer: Peer) -> None:
        await peer.answer(STREAM_HEAD)
        for number, event in enumerate(received):
            await peer.send(sent(Text(str(number))))
            await event.wait()
        await peer.send(sent(Done()) + LAST_CHUNK)
        await peer.until_left()

    async with scripted(script) as server, Client() as client, client.query(server.address, "hello") as answer:
        for number, event in enumerate(received):
            assert await anext(answer) == Text(str(number))
            assert answer.fold.text == "012"[: number + 1]
            event.set()
        assert await anext(answer) == Done()
        with pytest.raises(StopAsyncIteration):
            await anext(answer)


async def test_a_cancelled_read_loses_nothing() -> None:
    resumed = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.answer(STREAM_HEAD + sent(Text("one")))
        await resumed.wait()
        await peer.send(sent(Text("two"), Done()) + LAST_CHUNK)
        await peer.until_left()

    async with scripted(script) as server, Client() as client, client.query(server.address, "hello") as answer:
        assert await anext(answer) == Text("one")
        with anyio.move_on_after(0.01) as scope:
            await anext(answer)
        assert scope.cancelled_caught
        resumed.set()
        assert [event async for event in answer] == [Text("two"), Done()]


async def test_unknown_events_are_delivered_or_ignored() -> None:
    body = b": comment\n\nevent: ping\ndata: now\n\nevent: novelty\ndata: not JSON\n\n" + b"retry: 3\n\n"
    response = STREAM_HEAD + chunk(body) + sent(Text("a"), Done()) + LAST_CHUNK
    async with scripted(answering(response)) as server, Client() as client:
        assert await read(client, server.address) == [UnknownEvent("novelty", "not JSON"), Text("a"), Done()]


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\ncontent-type: Text/Event-Stream; charset=utf-8\r\n\r\n",
        b"HTTP/1.0 200\r\ncontent-type: text/event-stream\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n",
    ],
    ids=["no framing", "HTTP/1.0", "informational responses first"],
)
async def test_a_body_may_end_with_the_connection(head: bytes) -> None:
    body = b'event: text\ndata: {"text": "hi"}\n\nevent: done\ndata: {}\n\n'
    async with scripted(lambda peer: peer.answer(head + body)) as server, Client() as client:
        assert await read(client, server.address) == [Text("hi"), Done()]
        assert await read(client, server.address) == [Text("hi"), Done()]
        assert client.connections_opened == 2


# --- the text


async def test_text_is_the_folded_text() -> None:
    response = reply(*sample_reply()[:-1])
    async with (
        scripted(answering(response)) as server,
        Client() as client,
        client.query(server.address, "hello") as answer,
    ):
        assert await answer.text() == "Good day, naïve 🐈"
        assert await answer.text() == "Good day, naïve 🐈"


async def test_text_raises_the_error_of_the_bot() -> None:
    error = Error(allow_retry=False, text="no dogs", error_type="user_caused_error", raw_response={"a": 1})
    async with scripted(answering(reply(Text("so far"), error))) as server, Client() as client:
        async with client.query(server.address, "hello") as answer:
            with pytest.raises(BotError, match="no dogs") as caught:
                await answer.text()
        assert caught.value.event == error
        assert caught.value.partial is not None
        assert caught.value.partial.text == "so far"


async def test_an_error_is_an_event_and_ends_the_reply() -> None:
    error = Error(text="tired")
    async with scripted(answering(reply(Text("a"), error, Text("not this")))) as server, Client() as client:
        assert await read(client, server.address) == [Text("a"), error]
        assert await read(client, server.address) == [Text("a"), error]
        assert client.connections_opened == 1


@pytest.mark.parametrize("events", [(), (Meta(),), (Meta(), SuggestedReply("a"), Data("b"))], ids=repr)
async def test_text_of_a_reply_without_an_answer(events: tuple[Event, ...]) -> None:
    response = reply(*events)
    async with (
        scripted(answering(response)) as server,
        Client() as client,
        client.query(server.address, "hello") as answer,
    ):
        with pytest.raises(IncompleteReply, match="without any answer"):
            await answer.text()
