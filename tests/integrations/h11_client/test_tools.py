"""Models that call tools, queried by both clients."""

from __future__ import annotations

import threading
from typing import Any

import anyio
import anyio.to_thread
import pytest

from poeproto import (
    BotError,
    Done,
    Error,
    Event,
    LimitExceeded,
    Limits,
    LocalProtocolError,
    QueryRequest,
    RetryPolicy,
    Text,
    ToolFailed,
    UnknownTool,
    decode_request,
)
from poeproto_h11 import BlockingClient, Client

from ...support.bots import KEY, SECRET
from ...support.scripted_peer import Peer, reply, response, scripted
from ...support.tool_models import WEATHER, calls, defined, model, results_in

pytestmark = pytest.mark.anyio


async def run_tools(url: str, functions: Any, **more: Any) -> list[Event]:
    settings = {name: more.pop(name) for name in ("limits", "retry") if name in more}
    async with (
        Client(access_key=KEY, **settings) as client,
        client.run_tools(url, "how is it?", defined(functions), functions, **more) as answer,
    ):
        return [event async for event in answer]


async def run_tools_blocking(url: str, functions: Any, **more: Any) -> list[Event]:
    settings = {name: more.pop(name) for name in ("limits", "retry") if name in more}

    def ask() -> list[Event]:
        with (
            BlockingClient(access_key=KEY, **settings) as client,
            client.run_tools(url, "how is it?", defined(functions), functions, **more) as answer,
        ):
            return list(answer)

    return await anyio.to_thread.run_sync(ask)


both = pytest.mark.parametrize("run_tools", [run_tools, run_tools_blocking], ids=["Client", "BlockingClient"])


def weather(at: str) -> str:
    if at == "secret":
        raise LookupError(SECRET)
    return f"rain in {at}"


ROME = ("weather", '{"at": "Rome"}')
SECRET_PLACE = ("weather", '{"at": "secret"}')


@both
async def test_tools_are_run_and_their_results_go_back(run_tools: Any) -> None:
    async with scripted(model(calls(ROME, ("weather", '{"at": "Oslo"}')), reply(Text("It rains.")))) as server:
        assert await run_tools(server.address, [weather]) == [Text("It rains."), Done()]
        first, second = server.requests
        assert server.connections == 1
        asked = decode_request(first.body)
        assert isinstance(asked, QueryRequest)
        assert asked.tools == [WEATHER]
        assert results_in(second.body) == {"call-0": "rain in Rome", "call-1": "rain in Oslo"}
        assert [request.all("authorization") for request in server.requests] == [[f"Bearer {KEY}"]] * 2


@both
async def test_tools_of_a_round_run_at_once_in_threads(run_tools: Any) -> None:
    barrier = threading.Barrier(3, timeout=10)

    def meet() -> str:
        return "met" if barrier.wait() >= 0 else ""

    async with scripted(model(calls(*[("meet", "")] * 3), reply(Text("all")))) as server:
        assert await run_tools(server.address, {"meet": meet}) == [Text("all"), Done()]
        assert list(results_in(server.requests[1].body).values()) == ["met"] * 3


@both
async def test_the_model_or_the_caller_gets_the_error(run_tools: Any) -> None:
    wrong = calls(SECRET_PLACE, ("tides", "{}"), ("weather", "{}"))
    async with scripted(model(wrong, reply(Text("sorry")))) as server:
        assert await run_tools(server.address, [weather]) == [Text("sorry"), Done()]
        assert all('"error"' in told for told in results_in(server.requests[1].body).values())
        assert SECRET.encode() not in server.requests[1].body
    for call, error in ((SECRET_PLACE, ToolFailed), (("tides", "{}"), UnknownTool)):
        async with scripted(model(calls(call))) as server:
            with pytest.raises(error):
                await run_tools(server.address, [weather], raise_errors=True)


@both
async def test_a_lack_of_funds_is_raised(run_tools: Any) -> None:
    def pay() -> None:
        raise BotError(Error(text="no", error_type="insufficient_fund"))

    async with scripted(model(calls(("pay", "")))) as server:
        with pytest.raises(BotError, match="insufficient_fund"):
            await run_tools(server.address, [pay])


@both
async def test_rounds_are_bounded_and_each_is_tried_again(run_tools: Any) -> None:
    async with scripted(model(calls(ROME), calls(ROME), calls(ROME))) as server:
        with pytest.raises(LimitExceeded, match="2 rounds"):
            await run_tools(server.address, [weather], limits=Limits(tool_rounds=2))
        assert len(server.requests) == 3
    busy = response(503, b"", "Retry-After: 0")
    async with scripted(model(busy, calls(ROME), busy, reply(Text("so")))) as server:
        assert await run_tools(server.address, [weather], retry=RetryPolicy()) == [Text("so"), Done()]


@both
async def test_functions_have_names(run_tools: Any) -> None:
    with pytest.raises(ValueError, match="no name"):
        await run_tools("http://bot.example/", [lambda: ""])


async def test_an_asynchronous_tool_is_for_the_asynchronous_client() -> None:
    async def waiting() -> str:
        await anyio.lowlevel.checkpoint()
        return "waited"

    def makes_awaitable() -> Any:
        return waiting()

    wanted = calls(("waiting", ""), ("makes", ""))
    both_tools = {"waiting": waiting, "makes": makes_awaitable}
    async with scripted(model(wanted, reply(Text("a")))) as server:
        assert await run_tools(server.address, both_tools) == [Text("a"), Done()]
        assert list(results_in(server.requests[1].body).values()) == ["waited"] * 2
    with pytest.raises(TypeError, match="'waiting' is asynchronous"):
        await run_tools_blocking("http://bot.example/", both_tools)
    async with scripted(model(calls(("makes", "")))) as server:
        with pytest.raises(ToolFailed) as caught:
            await run_tools_blocking(server.address, {"makes": makes_awaitable}, raise_errors=True)
        assert "event loop" in str(caught.value.__cause__)


async def test_a_cancellation_while_tools_run_ends_the_reply() -> None:
    began, left = anyio.Event(), anyio.Event()

    async def slow() -> None:
        began.set()
        try:
            await anyio.sleep_forever()
        finally:
            left.set()

    async def script(peer: Peer) -> None:
        await peer.answer(calls(("slow", "")))
        await peer.answer(reply(Text("hello")))
        await peer.until_left()

    async with (
        scripted(script) as server,
        Client(access_key=KEY) as client,
        client.run_tools(server.address, "hello", defined([slow]), [slow]) as answer,
    ):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anext, answer)
            await began.wait()
            tasks.cancel_scope.cancel()
        assert left.is_set()
        with pytest.raises(LocalProtocolError, match="cancelled"):
            await anext(answer)
        async with client.query(server.address, "again") as other:
            assert await other.text() == "hello"
        assert client.connections_opened == 1


async def test_a_tool_that_nobody_waits_for_does_not_keep_the_program_from_ending() -> None:
    def ask() -> bool:
        return threading.current_thread().daemon

    async with scripted(model(calls(("ask", "")), reply(Text("a")))) as server:
        await run_tools_blocking(server.address, [ask])
        assert list(results_in(server.requests[1].body).values()) == ["true"]


async def test_an_interruption_while_tools_run_ends_the_blocking_reply() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    def ask(url: str) -> int:
        with BlockingClient(access_key=KEY) as client:
            with client.run_tools(url, "hello", defined([interrupted]), [interrupted]) as answer:
                with pytest.raises(KeyboardInterrupt):
                    next(answer)
                with pytest.raises(LocalProtocolError):
                    next(answer)
            with client.query(url, "again") as other:
                assert other.text() == "hello"
            return client.connections_opened

    async with scripted(model(calls(("interrupted", "")), reply(Text("hello")))) as server:
        assert await anyio.to_thread.run_sync(ask, server.address) == 1
