"""The shortcuts without a client: asynchronous and blocking, read to the end or left early."""

from __future__ import annotations

from typing import Any

import anyio
import anyio.lowlevel
import pytest
from anyio.from_thread import BlockingPortal

from poeproto import (
    BotError,
    ConnectionLost,
    Done,
    Endpoints,
    Error,
    Json,
    LocalProtocolError,
    Message,
    QueryRequest,
    RequestRefused,
    Text,
    decode_request,
)
from poeproto.flows import as_tool_definition
from poeproto_h11 import (
    BlockingClient,
    Client,
    get_bot_response,
    get_bot_response_sync,
    get_final_response,
    get_final_response_sync,
)
from poeproto_h11.client.shortcuts import Messages

from ...support.peers_in_thread import scripted_in_thread
from ...support.scripted_peer import HELLO, STREAM_HEAD, Peer, answering, reply, response, scripted, sent, starting

API_KEY = "not-an-api-key-" + "1" * 17
TWO = [Message("user", "one"), Message("bot", "two")]
MESSAGES: list[tuple[Messages, list[str]]] = [
    ("hello", ["hello"]),
    (Message("user", "hello"), ["hello"]),
    (TWO, ["one", "two"]),
    (iter(TWO), ["one", "two"]),
    (QueryRequest(TWO, temperature=0.5), ["one", "two"]),
]


async def breaking(peer: Peer) -> None:
    await peer.answer(STREAM_HEAD + sent(Text("a")))


def contents(body: bytes) -> list[str]:
    query = decode_request(body)
    assert isinstance(query, QueryRequest)
    return [message.content for message in query.query]


# --- asynchronous


@pytest.mark.anyio
async def test_a_bot_on_poe_is_queried() -> None:
    async with scripted(answering(HELLO)) as server:
        endpoints = Endpoints.at(server.address)
        for number, (messages, expected) in enumerate(MESSAGES[:3], start=1):
            events = [event async for event in get_bot_response(messages, "Cat", API_KEY, endpoints=endpoints)]
            assert events == [Text("hello"), Done()]
            assert contents(server.requests[-1].body) == expected
            await server.until_closed(number)
        assert await get_final_response("hello", bot_name="Cat", api_key=API_KEY, endpoints=endpoints) == "hello"
        await server.until_closed(4)
    assert {request.line for request in server.requests} == {"POST /bot/Cat HTTP/1.1"}
    assert {request.all("authorization")[0] for request in server.requests} == {f"Bearer {API_KEY}"}


@pytest.mark.anyio
async def test_a_loop_that_is_left_early() -> None:
    async with scripted(starting) as server:
        async with get_bot_response("hello", server.address) as events:
            async for event in events:
                assert event == Text("a")
                break
            assert events.fold.text == "a"
        await server.until_closed(1)
        with pytest.raises(LocalProtocolError, match="closed before its end"):
            await anext(events)
        assert "1 characters" in repr(events)


@pytest.mark.anyio
async def test_nothing_is_sent_before_the_reply_is_read_or_entered() -> None:
    async with scripted(starting) as server:
        response = get_bot_response("hello", server.address)
        await anyio.wait_all_tasks_blocked()
        assert server.connections == 0
        async with response:
            assert len(server.requests) == 1
        await server.until_closed(1)


@pytest.mark.anyio
async def test_the_text_of_the_reply() -> None:
    async with scripted(answering(HELLO)) as server:
        response = get_bot_response("hello", server.address)
        assert await response.text() == "hello"
        await server.until_closed(1)
        assert await response.text() == "hello"


@pytest.mark.anyio
async def test_a_cancelled_loop_closes_everything() -> None:
    async with scripted(starting) as server:
        with anyio.CancelScope() as scope:
            async for _ in get_bot_response("hello", server.address):
                scope.cancel()
        assert scope.cancelled_caught
        await server.until_closed(1)


@pytest.mark.anyio
async def test_errors_are_those_of_the_client() -> None:
    async with scripted(breaking, answering(response(401)), answering(reply(Error(text="no dogs")))) as server:
        events = get_bot_response("hello", server.address)
        with pytest.raises(ConnectionLost):
            [event async for event in events]
        assert events.fold.text == "a"
        with pytest.raises(RequestRefused):
            [event async for event in get_bot_response("hello", server.address)]
        with pytest.raises(BotError, match="no dogs"):
            await get_final_response("hello", server.address)
        await server.until_closed(3)


# --- blocking


def test_a_bot_on_poe_is_queried_synchronously(portal: BlockingPortal) -> None:
    with scripted_in_thread(portal, answering(HELLO)) as server:
        endpoints = Endpoints.at(server.address)
        for number, (messages, expected) in enumerate(MESSAGES, start=1):
            if not isinstance(messages, str | Message | list | QueryRequest):
                messages = iter(TWO)  # an iterator of its own for each run of the test
            assert list(get_bot_response_sync(messages, "Cat", API_KEY, endpoints=endpoints)) == [Text("hello"), Done()]
            assert contents(server.requests[-1].body) == expected
            server.until_closed(number)
        assert get_final_response_sync("hello", bot_name="Cat", api_key=API_KEY, endpoints=endpoints) == "hello"
        server.until_closed(len(MESSAGES) + 1)
    assert {request.all("authorization")[0] for request in server.requests} == {f"Bearer {API_KEY}"}


def test_a_blocking_loop_that_is_left_early(portal: BlockingPortal) -> None:
    with scripted_in_thread(portal, starting) as server:
        for event in get_bot_response_sync("hello", server.address):
            assert event == Text("a")
            break
        server.until_closed(1)
        with pytest.raises(ZeroDivisionError):
            for _ in get_bot_response_sync("hello", server.address):
                raise ZeroDivisionError
        server.until_closed(2)


def test_blocking_errors_are_those_of_the_client(portal: BlockingPortal) -> None:
    scripts = (breaking, answering(response(401)), answering(reply(Error(text="no dogs"))))
    with scripted_in_thread(portal, *scripts) as server:
        with pytest.raises(ConnectionLost):
            list(get_bot_response_sync("hello", server.address))
        with pytest.raises(RequestRefused):
            list(get_bot_response_sync("hello", server.address))
        with pytest.raises(BotError, match="no dogs"):
            get_final_response_sync("hello", server.address)
        server.until_closed(3)


def test_blocking_within_a_running_loop(portal: BlockingPortal, anyio_backend: str) -> None:
    async def main(address: str) -> str:
        await anyio.lowlevel.checkpoint()
        return get_final_response_sync("hello", address)

    with scripted_in_thread(portal, answering(HELLO)) as server:
        assert anyio.run(main, server.address, backend=anyio_backend) == "hello"


# --- options of the query

OPTIONS: dict[str, Any] = {
    "temperature": 0.5,
    "skip_system_prompt": True,
    "logit_bias": {"7": -100.0},
    "stop_sequences": ["."],
    "adopt_current_bot_name": True,
}
WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "How it is outside.",
        "parameters": {"type": "object", "properties": {}},
    },
}


def query_in(body: bytes) -> QueryRequest:
    query = decode_request(body)
    assert isinstance(query, QueryRequest)
    return query


@pytest.mark.anyio
async def test_the_options_of_the_query_are_sent() -> None:
    async with scripted(answering(HELLO)) as server:
        async with get_bot_response("hello", server.address, **OPTIONS, tools=[WEATHER]) as events:
            assert await events.text() == "hello"
        assert await get_final_response(TWO, server.address, **OPTIONS, tools=None) == "hello"
        query = QueryRequest([Message("user", "hello")], stop_sequences=["!"], user_id="u")
        assert await get_final_response(query, server.address, temperature=0.1, stop_sequences=None) == "hello"
    first, second, third = (query_in(request.body) for request in server.requests)
    assert first == QueryRequest([Message("user", "hello")], tools=[as_tool_definition(WEATHER)], **OPTIONS)
    assert second == QueryRequest(TWO, **OPTIONS)
    assert third == QueryRequest(query.query, stop_sequences=["!"], user_id="u", temperature=0.1)


@pytest.mark.anyio
async def test_tools_with_functions_are_run() -> None:
    def weather(city: str) -> str:
        return f"rain in {city}"

    calls = [{"index": 0, "id": "c", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}]
    calling = reply(Json({"choices": [{"delta": {"tool_calls": calls}}]}), Done())

    async def script(peer: Peer) -> None:
        await peer.answer(calling)
        await peer.answer(HELLO)

    async with scripted(script) as server:
        answer = await get_final_response("hello", server.address, tools=[WEATHER], tool_executables=[weather])
        assert answer == "hello"
    results = query_in(server.requests[1].body).tool_results
    assert results is not None
    assert [result.content for result in results] == ["rain in Oslo"]


def test_options_that_cannot_be_used() -> None:
    with pytest.raises(TypeError, match=r"^tool_executables needs tools"):
        get_bot_response("hello", "Cat", tool_executables=[print])
    with pytest.raises(TypeError, match="temprature"):
        get_bot_response("hello", "Cat", temprature=0.5)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"^QueryRequest\.temperature must be float"):
        get_bot_response("hello", "Cat", temperature="hot")  # type: ignore[arg-type]


def test_the_options_of_a_blocking_query_are_sent(portal: BlockingPortal) -> None:
    with scripted_in_thread(portal, answering(HELLO)) as server:
        assert list(get_bot_response_sync("hello", server.address, **OPTIONS)) == [Text("hello"), Done()]
        assert get_final_response_sync("hello", server.address, **OPTIONS) == "hello"
        expected = QueryRequest([Message("user", "hello")], **OPTIONS)
        assert [query_in(request.body) for request in server.requests] == [expected, expected]


# --- a loop that is left early without a block


@pytest.mark.anyio
@pytest.mark.filterwarnings("ignore:Async generator .* was garbage collected:ResourceWarning")
async def test_a_break_closes_a_reply_that_no_variable_refers_to() -> None:
    async with scripted(starting) as server, Client() as client:
        async for _ in get_bot_response("hello", server.address):
            break
        await server.until_closed(1)
        await anext(get_bot_response("hello", server.address))
        await server.until_closed(2)
        async for _ in client.query(server.address, "hello"):
            break
        await server.until_closed(3)
        async for _ in client.run_tools(server.address, "hello", [], []):
            break
        await server.until_closed(4)


def test_a_break_closes_a_blocking_reply_that_no_variable_refers_to(portal: BlockingPortal) -> None:
    with scripted_in_thread(portal, starting) as server, BlockingClient() as client:
        for _ in client.query(server.address, "hello"):
            break
        server.until_closed(1)
        for _ in client.run_tools(server.address, "hello", [], []):
            break
        server.until_closed(2)
