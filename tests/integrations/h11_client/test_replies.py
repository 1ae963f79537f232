"""The family of replies: all have the same names, and the same rules with `with` and without."""

from __future__ import annotations

import gc
import inspect

import anyio
import pytest
from anyio.from_thread import BlockingPortal

from poeproto import BotError, ConnectionLost, Done, Error, LocalProtocolError, RequestRefused, Text
from poeproto_h11 import BlockingClient, BlockingReply, BotResponse, Client, Reply, get_bot_response
from poeproto_runtime.client.drop_guard import DropGuard
from poeproto_runtime.client.reply import BotReplyStream, ReplyBase

from ...support.peers_in_thread import scripted_in_thread
from ...support.scripted_peer import (
    HELLO,
    STREAM_HEAD,
    Peer,
    answering,
    reply,
    response,
    scripted,
    sent,
    starting,
)


async def breaking_off(peer: Peer) -> None:
    await peer.answer(STREAM_HEAD + sent(Text("a")))


@pytest.mark.parametrize("kind", [Reply, BlockingReply, BotResponse, BotReplyStream])
def test_all_replies_are_of_one_family(kind: type[ReplyBase]) -> None:
    assert issubclass(kind, ReplyBase)
    blocking = kind is BlockingReply
    for name in ("text", "close" if blocking else "aclose", "__exit__" if blocking else "__aexit__"):
        assert inspect.iscoroutinefunction(getattr(kind, name)) is not blocking


# --- asynchronous


@pytest.mark.anyio
async def test_without_with_a_reply_closes_at_its_end_and_its_connection_is_used_again() -> None:
    async with scripted(answering(HELLO)) as server, Client() as client:
        answer = client.query(server.address, "hello")
        assert server.requests == []
        assert [event async for event in answer] == [Text("hello"), Done()]
        assert [event async for event in answer] == []
        assert await answer.text() == "hello"
        assert await client.query(server.address, "hello").text() == "hello"
        assert (client.connections_opened, len(server.requests)) == (1, 2)
        with pytest.raises(LocalProtocolError, match="entered once"):
            async with answer:
                pass


@pytest.mark.anyio
async def test_without_with_a_failure_closes_the_reply() -> None:
    error = Error(text="no dogs")
    scripts = breaking_off, answering(response(401)), answering(reply(error))
    async with scripted(*scripts) as server, Client() as client:
        broken = client.query(server.address, "hello")
        for _ in range(2):
            with pytest.raises(ConnectionLost):
                await broken.text()
        with pytest.raises(RequestRefused):
            await anext(client.query(server.address, "hello"))
        with pytest.raises(RequestRefused):
            await client.query(server.address, "hello").text()
        await client.aclose()
        await server.until_closed(2)
    async with scripted(answering(reply(error))) as server, Client() as client:
        with pytest.raises(BotError, match="no dogs"):
            await client.query(server.address, "hello").text()
        assert [event async for event in client.query(server.address, "hello")] == [error]
        assert client.connections_opened == 1


@pytest.mark.anyio
async def test_without_with_a_cancelled_read_closes_the_reply() -> None:
    async with scripted(starting) as server, Client() as client:
        answer = client.query(server.address, "hello")
        with anyio.CancelScope() as scope:
            async for _ in answer:
                scope.cancel()
        assert scope.cancelled_caught
        await server.until_closed(1)
        with pytest.raises(LocalProtocolError):
            await anext(answer)


@pytest.mark.anyio
async def test_a_reply_that_is_dropped_is_closed() -> None:
    async with scripted(starting) as server, Client() as client:
        async for event in client.query(server.address, "hello"):
            assert event == Text("a")
            break
        await server.until_closed(1)


@pytest.mark.anyio
async def test_a_reply_that_is_dropped_in_a_cycle_is_closed() -> None:
    async with scripted(starting) as server, Client() as client:
        answer = client.query(server.address, "hello")
        assert await anext(answer) == Text("a")
        cycle: list[object] = [answer]
        cycle.append(cycle)
        del answer, cycle
        gc.collect()
        await server.until_closed(1)


@pytest.mark.anyio
async def test_a_reply_that_is_dropped_in_another_thread_is_closed() -> None:
    async with scripted(starting) as server, Client() as client:
        answers = [client.query(server.address, "hello")]
        assert await anext(answers[0]) == Text("a")
        await anyio.to_thread.run_sync(answers.clear)
        await server.until_closed(1)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_reply_that_is_still_open_when_its_event_loop_ends_is_closed(portal: BlockingPortal, backend: str) -> None:
    async def read_one() -> Reply:
        answer = get_bot_response("hello", server.address)
        assert await anext(answer) == Text("a")
        return answer

    with scripted_in_thread(portal, starting) as server:
        answer = anyio.run(read_one, backend=backend)
        server.until_closed(1)
        del answer


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["trio"])  # asyncio reports it itself
async def test_a_dropped_reply_that_cannot_be_closed_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    closed = anyio.Event()

    async def close() -> None:
        closed.set()
        raise OSError("a bug")

    guard = DropGuard(close)
    await guard.start()
    del guard
    await closed.wait()
    await anyio.wait_all_tasks_blocked()
    assert "a reply that was dropped could not be closed" in caplog.text


@pytest.mark.anyio
async def test_a_reply_may_be_entered_or_closed_after_its_first_event() -> None:
    async with scripted(starting) as server, Client() as client:
        answer = client.query(server.address, "hello")
        assert await anext(answer) == Text("a")
        async with answer:
            assert answer.fold.text == "a"
        await server.until_closed(1)
        other = client.query(server.address, "hello")
        assert await anext(other) == Text("a")
        await other.aclose()
        await server.until_closed(2)
        await client.query(server.address, "hello").aclose()
        assert len(server.requests) == 2


@pytest.mark.anyio
async def test_a_reply_that_another_task_reads_is_not_entered() -> None:
    async with scripted(starting) as server, Client() as client:
        answer = client.query(server.address, "hello")
        assert await anext(answer) == Text("a")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(answer.text)
            await anyio.wait_all_tasks_blocked()
            for act in (answer.__aenter__, answer.text):
                with pytest.raises(LocalProtocolError, match="another task"):
                    await act()
            tasks.cancel_scope.cancel()
        await server.until_closed(1)


# --- blocking


def test_blocking_without_with(portal: BlockingPortal) -> None:
    with scripted_in_thread(portal, answering(HELLO)) as server, BlockingClient() as client:
        answer = client.query(server.address, "hello")
        assert list(answer) == [Text("hello"), Done()]
        assert list(answer) == []
        assert answer.text() == "hello"
        assert client.query(server.address, "hello").text() == "hello"
        assert client.connections_opened == 1


def test_a_blocking_reply_that_fails_or_is_dropped_or_closed(portal: BlockingPortal) -> None:
    scripts = breaking_off, starting, starting
    with scripted_in_thread(portal, *scripts) as server, BlockingClient() as client:
        with pytest.raises(ConnectionLost):
            client.query(server.address, "hello").text()
        server.until_closed(1)
        for event in client.query(server.address, "hello"):
            assert event == Text("a")
            break
        server.until_closed(2)
        answer = client.query(server.address, "hello")
        assert next(answer) == Text("a")
        answer.close()
        server.until_closed(3)
        with pytest.raises(LocalProtocolError, match="closed before its end"):
            next(answer)
