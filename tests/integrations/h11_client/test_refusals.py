"""Responses that arrive while the client is still writing, or that are easily lost."""

from __future__ import annotations

import anyio
import anyio.abc
import pytest

from poeproto import (
    Bot,
    Endpoints,
    LocalProtocolError,
    Message,
    QueryRequest,
    RequestRefused,
    Text,
    decode_request,
)
from poeproto_asgi import BotApp
from poeproto_asgi import serve as serve_with_hypercorn
from poeproto_h11 import Client, serve

from ...support.bots import KEY
from ...support.scripted_peer import HELLO, STREAM_HEAD, CannedConnector, Peer, answering, response, scripted

pytestmark = pytest.mark.anyio

LARGE = QueryRequest([Message("user", "x" * 1_000_000) for _ in range(8)])


@pytest.mark.parametrize("size", [0, 10, 1023, 1024, 1025, 5000])
async def test_a_refusal_is_raised_on_entering_whatever_its_size(size: int) -> None:
    async with scripted(answering(response(503, b"x" * size))) as server, Client() as client:
        with pytest.raises(RequestRefused) as caught:
            async with client.query(server.address, "hello"):
                pytest.fail("there is no reply to read")
        assert caught.value.body_start == b"x" * min(size, 1024)


@pytest.mark.parametrize("server", ["h11", "hypercorn"])
async def test_a_large_query_that_is_refused_early_still_learns_why(server: str) -> None:
    async def run(*, task_status: anyio.abc.TaskStatus[str]) -> None:
        if server == "h11":
            await serve(Bot(), bind="127.0.0.1:0", access_key=KEY, task_status=task_status)
        else:
            await serve_with_hypercorn(BotApp(Bot(), access_key=KEY), bind="127.0.0.1:0", task_status=task_status)

    async with anyio.create_task_group() as tasks:
        address = await tasks.start(run)
        async with Client(access_key="another-key") as client:
            for _ in range(2):
                with pytest.raises(RequestRefused) as caught:
                    async with client.query(address, LARGE):
                        pass
                assert caught.value.status == 401
            # A connection whose request was cut short cannot be reused.
            assert client.connections_opened == 2
        tasks.cancel_scope.cancel()


async def test_a_large_query_arrives_completely() -> None:
    async with scripted(answering(HELLO)) as server, Client() as client, client.query(server.address, LARGE) as reply:
        assert await anext(reply) == Text("hello")
    assert decode_request(server.requests[0].body) == LARGE


async def test_a_reply_is_for_one_entry() -> None:
    async with scripted(answering(HELLO)) as server, Client() as client:
        reply = client.query(server.address, "hello")
        async with reply:
            with pytest.raises(LocalProtocolError, match="entered once"):
                await reply.__aenter__()
        with pytest.raises(LocalProtocolError, match="entered once"):
            await reply.__aenter__()
        assert len(server.requests) == 1


async def test_two_tasks_cannot_read_one_reply() -> None:
    async def script(peer: Peer) -> None:
        await peer.answer(STREAM_HEAD)
        await peer.until_left()

    async with (
        scripted(script) as server,
        Client() as client,
        client.query(server.address, "hello") as reply,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(anext, reply)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(LocalProtocolError, match="another task"):
            await anext(reply)
        tasks.cancel_scope.cancel()


async def test_a_client_that_is_cancelled_closes_all_it_kept() -> None:
    async with scripted(answering(HELLO)) as server:
        with anyio.CancelScope() as scope:
            async with Client() as client:
                replies = [client.query(server.address, "hello") for _ in range(4)]
                for reply in replies:
                    await reply.__aenter__()
                for reply in replies:
                    await reply.text()
                    await reply.__aexit__(None, None, None)
                assert client.connections_opened == 4
                scope.cancel()
        await server.until_closed(4)


@pytest.mark.parametrize(
    "bot", ["", ".", "..", "half \ud83d", "http://a b/", "http://b\u00fccher.example/", "http://a\0b/"]
)
async def test_an_invalid_target_is_refused_before_anything_is_sent(bot: str) -> None:
    connector = CannedConnector([])
    async with Client(connector=connector, endpoints=Endpoints.at("http://poe.example")) as client:
        with pytest.raises(LocalProtocolError):
            client.query(bot, "hello")
        with pytest.raises(LocalProtocolError):
            client.query("http://bot.example/", "hello", access_key="")
    assert not connector.streams
