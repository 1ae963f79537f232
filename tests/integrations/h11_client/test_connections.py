"""The connections of the client: when they are reused, and when they are not."""

from __future__ import annotations

import anyio
import pytest

from poeproto import (
    ConnectionLost,
    Context,
    Done,
    Event,
    LocalProtocolError,
    Message,
    QueryRequest,
    RequestRefused,
    RetryPolicy,
    Text,
)
from poeproto_h11 import Client, Reply, serve
from poeproto_h11.client import pool, transport

from ...support.bots import KEY, FunctionBot
from ...support.scripted_peer import (
    HELLO,
    LAST_CHUNK,
    STREAM_HEAD,
    Peer,
    answering,
    chunk,
    reply,
    response,
    scripted,
    sent,
    starting,
)

pytestmark = pytest.mark.anyio


async def read(client: Client, url: str, text: str = "hello") -> list[Event]:
    async with client.query(url, text) as answer:
        return [event async for event in answer]


async def test_a_connection_is_used_again() -> None:
    async with scripted(answering(HELLO)) as server, Client() as client:
        for _ in range(3):
            async with client.query(server.address, "hello") as answer:
                assert await answer.text() == "hello"
        assert (client.connections_opened, server.connections) == (1, 1)
    assert "1 connections" in repr(client)


async def test_each_origin_has_its_own_connections() -> None:
    async with scripted(answering(HELLO)) as one, scripted(answering(HELLO)) as other, Client() as client:
        for server in (one, other, one, other):
            await read(client, server.address)
        assert (one.connections, other.connections) == (1, 1)


@pytest.mark.parametrize("then", [b"", b"HTTP/1.1 408 Request Timeout\r\n\r\n"], ids=["closed", "timed out"])
async def test_a_stale_connection_is_not_used_again(then: bytes) -> None:
    go, closed = anyio.Event(), anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.answer(HELLO)
        await go.wait()
        await (peer.send(then) if then else peer.stream.aclose())
        closed.set()

    async with scripted(script, answering(HELLO)) as server, Client() as client:
        assert await read(client, server.address)
        go.set()
        await closed.wait()
        assert await read(client, server.address)
        assert (client.connections_opened, server.connections) == (2, 2)


async def test_bytes_after_a_response_do_not_answer_the_next_request() -> None:
    # Sent in one write, so that the client has received them before it finishes the response.
    async with scripted(lambda peer: peer.answer(HELLO + reply(Text("smuggled")))) as server, Client() as client:
        for _ in range(2):
            assert await read(client, server.address) == [Text("hello"), Done()]
        assert client.connections_opened == 2


async def test_a_lost_connection_is_not_retried() -> None:
    async with scripted(lambda peer: peer.read_request()) as server, Client() as client:
        with pytest.raises(ConnectionLost):
            await read(client, server.address)
        assert server.connections == 1


@pytest.mark.parametrize("read_first", [True, False])
async def test_leaving_early_closes_the_connection(read_first: bool) -> None:
    async with scripted(starting, answering(HELLO)) as server, Client() as client:
        async with client.query(server.address, "hello") as answer:
            if read_first:
                assert await anext(answer) == Text("a")
        await server.until_closed(1)
        assert await read(client, server.address) == [Text("hello"), Done()]
        assert client.connections_opened == 2


async def test_an_exception_of_the_caller_propagates_and_closes_the_connection() -> None:
    async with scripted(starting) as server, Client() as client:
        with pytest.raises(ZeroDivisionError):
            async with client.query(server.address, "hello") as answer:
                async for _ in answer:
                    raise ZeroDivisionError
        await server.until_closed(1)


async def test_the_end_of_the_body_is_awaited_after_done() -> None:
    leaving = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.answer(STREAM_HEAD + sent(Text("a"), Done()))
        await leaving.wait()
        await peer.send(chunk(b"event: text\ndata: too late, and no JSON\n\n"))
        await peer.send(LAST_CHUNK)
        await answering(HELLO)(peer)

    async with scripted(script) as server, Client() as client:
        async with client.query(server.address, "hello") as answer:
            assert [event async for event in answer] == [Text("a"), Done()]
            leaving.set()
        assert await read(client, server.address) == [Text("hello"), Done()]
        assert client.connections_opened == 1


async def test_a_connection_whose_peer_sends_after_done_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_DRAIN_SECONDS", 1000.0)  # so that the number of bytes ends the drain

    async def script(peer: Peer) -> None:
        await peer.answer(STREAM_HEAD + sent(Text("a"), Done()))
        while True:
            await peer.send(chunk(bytes(1000)))

    async with scripted(script) as server, Client() as client:
        for number in (1, 2):
            assert await read(client, server.address) == [Text("a"), Done()]
            await server.until_closed(number)
        assert client.connections_opened == 2


async def test_a_peer_that_does_not_end_after_done_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_DRAIN_SECONDS", 0.01)

    async def script(peer: Peer) -> None:
        await peer.answer(STREAM_HEAD + sent(Text("a"), Done()))
        await peer.until_left()

    async with scripted(script) as server, Client() as client:
        assert await read(client, server.address) == [Text("a"), Done()]
        await server.until_closed(1)
        await read(client, server.address)
        assert client.connections_opened == 2


async def test_many_queries_at_once() -> None:
    count = pool._MAX_IDLE + 8
    waiting, all_here = 0, anyio.Event()
    replies: list[str] = []

    async def respond(request: QueryRequest, context: Context) -> str:
        nonlocal waiting, all_here
        waiting += 1
        if waiting % count == 0:
            all_here.set()
            all_here = anyio.Event()
        else:
            await all_here.wait()
        return request.query[-1].content

    async def ask(address: str, client: Client, text: str) -> None:
        async with client.query(address, QueryRequest([Message("user", text)])) as answer:
            replies.append(await answer.text())

    async with anyio.create_task_group() as tasks:

        async def run(*, task_status: anyio.abc.TaskStatus[str]) -> None:
            await serve(FunctionBot(respond), bind="127.0.0.1:0", access_key=KEY, task_status=task_status)

        address = await tasks.start(run)
        async with Client(access_key=KEY) as client:
            for opened in (count, count + 8):  # the second time, those that the pool kept are reused
                replies.clear()
                async with anyio.create_task_group() as queries:
                    for number in range(count):
                        queries.start_soon(ask, address, client, str(number))
                assert sorted(replies, key=int) == [str(number) for number in range(count)]
                assert client.connections_opened == opened
        tasks.cancel_scope.cancel()


async def test_connections_that_were_closed_meanwhile_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_PRUNE_SECONDS", 0.0)
    go = anyio.Event()

    async def leaving(peer: Peer) -> None:
        await peer.answer(HELLO)
        await go.wait()

    async with scripted(leaving) as one, scripted(answering(HELLO)) as other, Client() as client:
        await read(client, one.address)
        assert len(client._pool._idle) == 1
        go.set()
        await one.until_closed(1)
        await read(client, other.address)
        assert [str(origin) + "/" for origin, _ in client._pool._idle] == [other.address]


async def test_a_connection_is_not_used_again_after_an_internal_error() -> None:
    # A server that fails may close then, without an announcement, when the next request is on its way.
    once = RetryPolicy(attempts=1)
    async with scripted(answering(response(500)), answering(response(502))) as server, Client(retry=once) as client:
        for status in (500, 502, 502):
            with pytest.raises(RequestRefused, match=str(status)):
                await read(client, server.address)
        assert client.connections_opened == 2
        await server.until_closed(1)


# --- misuse


async def test_a_reply_is_not_read_after_its_with() -> None:
    async def script(peer: Peer) -> None:
        await peer.answer(STREAM_HEAD + sent(Text("hello")))
        await peer.until_left()

    async with scripted(script) as server, Client() as client:
        answer: Reply = client.query(server.address, "hello")
        async with answer:
            assert await anext(answer) == Text("hello")
        with pytest.raises(LocalProtocolError, match="closed before its end"):
            await anext(answer)
        assert answer.fold.text == "hello"


async def test_a_closed_client_opens_nothing() -> None:
    async with scripted(answering(HELLO)) as server:
        async with Client() as client:
            await read(client, server.address)
        await server.until_closed(1)
        with pytest.raises(LocalProtocolError, match="the client is closed"):
            await read(client, server.address)
        assert server.connections == 1


async def test_a_reply_outlives_its_client_but_its_connection_is_not_kept() -> None:
    async with scripted(answering(HELLO)) as server:
        client = Client()
        async with client.query(server.address, "hello") as answer:
            await client.aclose()
            assert await answer.text() == "hello"
        await server.until_closed(1)


async def test_a_reply_is_entered_once() -> None:
    async with scripted(answering(HELLO)) as server, Client() as client:
        answer = client.query(server.address, "hello")
        async with answer:
            assert await answer.text() == "hello"
        with pytest.raises(LocalProtocolError, match="entered once"):
            async with answer:
                pass
        assert len(server.requests) == 1


async def test_two_tasks_cannot_read_one_reply() -> None:
    go = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.answer(STREAM_HEAD)
        await go.wait()
        await peer.send(sent(Text("a"), Done()) + LAST_CHUNK)
        await peer.until_left()

    events: list[Event] = []

    async def read_on(answer: Reply) -> None:
        events.extend([event async for event in answer])

    async with scripted(script) as server, Client() as client, client.query(server.address, "hello") as answer:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read_on, answer)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(LocalProtocolError, match="another task"):
                await anext(answer)
            go.set()
        assert events == [Text("a"), Done()]
