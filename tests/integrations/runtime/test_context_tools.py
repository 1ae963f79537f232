"""The context's calls of models that call tools."""

from __future__ import annotations

import asyncio
import functools
import json
import threading
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import pytest

from poeproto import (
    CallBudgetSpent,
    Context,
    Done,
    Error,
    Event,
    InsufficientFunds,
    Json,
    LimitExceeded,
    Limits,
    QueryRequest,
    Text,
    ToolFailed,
    UnknownTool,
    decode_request,
    encode_request,
)

from ...support.bots import SECRET
from ...support.calling_bots import QUERY, CallingBot, calling
from ...support.memory_channel import MemoryChannel
from ...support.scripted_peer import reply
from ...support.tool_models import WEATHER, calls, defined, model, results_in

pytestmark = pytest.mark.anyio


def with_tools(functions: Any, **more: Any) -> Any:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[Event]:
        async for event in context.run_tools("Model", request, defined(functions), functions, **more):
            yield event

    return bot


async def test_tools_of_every_form() -> None:
    main = threading.get_ident()

    def plain(at: str, unit: str = "C") -> dict[str, Any]:
        assert threading.get_ident() != main
        return {"at": at, "unit": unit}

    async def waiting() -> str:
        await anyio.lowlevel.checkpoint()
        return "waited"

    class Callable:
        async def __call__(self) -> list[int]:
            return [1]

    def makes_awaitable() -> Awaitable[str]:
        return waiting()

    functions = {
        "plain": plain,
        "waiting": waiting,
        "object": Callable(),
        "partial": functools.partial(plain, "Rome"),
        "makes": makes_awaitable,
    }
    wanted = calls(("plain", '{"at": "Rome"}'), ("waiting", ""), ("object", "{}"), ("partial", "{}"), ("makes", "{}"))
    said = reply(Json({"choices": [{"index": 0, "delta": {"content": "It "}}]}), Text("rains."))
    async with calling(CallingBot(with_tools(functions), Model=2), model(wanted, said)) as served:
        assert await served.answer() == [Text("It "), Text("rains."), Done()]
        first, second = served.poe.requests
        asked = decode_request(first.body)
        assert isinstance(asked, QueryRequest)
        assert [tool.function and tool.function.name for tool in asked.tools or []] == list(functions)
        assert asked.user_id == QUERY.user_id
        assert results_in(second.body) == {
            "call-0": '{"at":"Rome","unit":"C"}',
            "call-1": "waited",
            "call-2": "[1]",
            "call-3": '{"at":"Rome","unit":"C"}',
            "call-4": "waited",
        }


async def test_tools_run_at_once() -> None:
    barrier = threading.Barrier(2, timeout=10)
    met = [anyio.Event(), anyio.Event()]

    def one() -> str:
        barrier.wait()
        return "one"

    def two() -> str:
        barrier.wait()
        return "two"

    async def three() -> str:
        met[0].set()
        await met[1].wait()
        return "three"

    async def four() -> str:
        met[1].set()
        await met[0].wait()
        return "four"

    wanted = calls(*[(name, "") for name in ("one", "two", "three", "four")])
    bot = CallingBot(with_tools([one, two, three, four]), Model=2)
    async with calling(bot, model(wanted, reply(Text("all")))) as served:
        assert await served.answer() == [Text("all"), Done()]
        assert list(results_in(served.poe.requests[1].body).values()) == ["one", "two", "three", "four"]


def weather(at: str) -> str:
    if at == "secret":
        raise LookupError(SECRET)
    return "rain"


WRONG = [
    ("weather", '{"at": "secret"}', "the tool failed (LookupError)"),
    ("tides", "{}", "there is no tool called 'tides'"),
    ("weather", "{", "arguments: not valid JSON"),
    ("weather", "{}", "the arguments do not fit the function: missing a required argument: 'at'"),
    ("unwritable", "{}", "the tool failed (LocalProtocolError)"),
]


def unwritable() -> object:
    return {1, 2}


async def test_the_model_gets_the_error(caplog: pytest.LogCaptureFixture) -> None:
    wanted = calls(*[(name, arguments) for name, arguments, _ in WRONG], ("weather", '{"at": "Rome"}'))
    bot = CallingBot(with_tools([weather, unwritable]), Model=2)
    async with calling(bot, model(wanted, reply(Text("sorry")))) as served:
        assert await served.answer() == [Text("sorry"), Done()]
        *told, right = results_in(served.poe.requests[1].body).values()
    for content, (_, _, message) in zip(told, WRONG, strict=True):
        assert json.loads(content)["error"].startswith(message)
        assert SECRET not in content
    assert right == "rain"
    assert SECRET in caplog.text


@pytest.mark.parametrize(
    ("wanted", "kind"),
    [(WRONG[0], ToolFailed), (WRONG[1], UnknownTool), (WRONG[3], UnknownTool), (WRONG[4], ToolFailed)],
)
async def test_or_the_bot_is(wanted: tuple[str, str, str], kind: type[Exception]) -> None:
    cancelled: list[str] = []

    async def slow() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.append("slow")

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        functions = [weather, unwritable, slow]
        with pytest.raises(kind) as caught:
            await context.run_tools("Model", request, defined(functions), functions, raise_errors=True).text()
        assert isinstance(caught.value, ToolFailed | UnknownTool)
        assert SECRET not in str(caught.value)
        yield caught.value.call.id

    async with calling(CallingBot(bot, Model=2), model(calls(("slow", ""), wanted[:2]))) as served:
        assert await served.answer() == [Text("call-1"), Done()]
    assert cancelled == ["slow"]


async def test_a_tool_that_nobody_pays_for_ends_the_reply() -> None:
    async def pay() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fail)

    async def fail() -> None:
        raise InsufficientFunds("no", status="no")

    async with calling(CallingBot(with_tools([pay]), Model=2), model(calls(("pay", "")))) as served:
        (error, _) = await served.answer()
    assert isinstance(error, Error)
    assert error.error_type == "insufficient_fund"


async def awaits_what_was_cancelled() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:  # under trio, where only a tool itself could raise it
        raise asyncio.CancelledError from None
    task = asyncio.ensure_future(anyio.sleep_forever())
    task.cancel()
    await task


def raises_it_in_a_thread() -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize("tool", [awaits_what_was_cancelled, raises_it_in_a_thread])
async def test_a_tool_that_met_a_cancellation_has_failed_and_was_not_cancelled(tool: Any) -> None:
    wanted = calls((tool.__name__, ""), ("weather", '{"at": "Rome"}'))
    async with calling(CallingBot(with_tools([tool, weather]), Model=2), model(wanted, reply(Text("sorry")))) as served:
        assert await served.answer() == [Text("sorry"), Done()]
        failed, right = results_in(served.poe.requests[1].body).values()
    assert json.loads(failed) == {"error": "the tool failed (CancelledError)"}
    assert right == "rain"


@pytest.mark.parametrize("tool", [awaits_what_was_cancelled, raises_it_in_a_thread])
async def test_with_raise_errors_the_bot_gets_the_exception(tool: Any) -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        with pytest.raises(ToolFailed):
            await context.run_tools("Model", request, defined([tool]), [tool], raise_errors=True).text()
        yield "told"

    async with calling(CallingBot(bot, Model=2), model(calls((tool.__name__, "")))) as served:
        assert await served.answer() == [Text("told"), Done()]


async def test_rounds_are_calls_within_the_budget() -> None:
    left: list[int] = []

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        with pytest.raises(CallBudgetSpent, match="'Model'"):
            await context.run_tools("Model", request, [WEATHER], [weather]).text()
        left.append(context.calls_left["Model"])
        yield "spent"

    again = calls(("weather", '{"at": "Rome"}'))
    async with calling(CallingBot(bot, Model=2), model(again, again, again)) as served:
        assert await served.answer() == [Text("spent"), Done()]
        assert len(served.poe.requests) == 2
    assert left == [0]


async def test_a_model_that_repeats_its_calls() -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        with pytest.raises(LimitExceeded, match="more than 1 rounds"):
            await context.run_tools("Model", request, [WEATHER], [weather]).text()
        yield "enough"

    again = calls(("weather", '{"at": "Rome"}'))
    limits = Limits(tool_rounds=1)
    async with calling(CallingBot(bot, Model=5), model(again, again), limits=limits) as served:
        assert await served.answer() == [Text("enough"), Done()]


@pytest.mark.parametrize("functions", [[weather, weather], [lambda: None]])
async def test_functions_have_names(functions: Any) -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        with pytest.raises(ValueError, match=r"tools are called|no name"):
            context.run_tools("Model", request, defined(functions), functions)
        yield "no"

    async with calling(CallingBot(bot), model()) as served:
        assert await served.answer() == [Text("no"), Done()]


async def test_tools_are_cancelled_with_the_request_and_threads_are_left_behind() -> None:
    channel = MemoryChannel(encode_request(QUERY))
    running, cancelled, released = anyio.Event(), anyio.Event(), threading.Event()

    async def waiting() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()

    def blocking() -> None:
        anyio.from_thread.run_sync(running.set)
        released.wait(10)

    bot = CallingBot(with_tools([waiting, blocking]), Model=2)
    try:
        async with (
            calling(bot, model(calls(("waiting", ""), ("blocking", "")))) as served,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(served.answer, QUERY, channel)
            await running.wait()
            channel.gone.set()
            await cancelled.wait()
    finally:
        released.set()


async def test_tools_do_not_use_all_threads() -> None:
    """The maximum number of tools block at once; names are still resolved, and files read."""
    released, seen = threading.Event(), list[int]()
    running = threading.Semaphore(0)

    def blocks() -> str:
        running.release()
        assert released.wait(10)
        return "over"

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[Event]:
        async def tick() -> None:
            # In a thread, of which a limit shared with the tools would leave none.
            await anyio.to_thread.run_sync(lambda: [running.acquire(timeout=10) for _ in range(40)])
            seen.append(await anyio.to_thread.run_sync(lambda: 5))
            released.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(tick)
            async for event in context.run_tools("Model", request, [WEATHER], {"weather": blocks}):
                yield event

    answers = calls(*[("weather", "{}")] * 45), reply(Text("over"))
    async with calling(CallingBot(bot, Model=2), model(*answers)) as served:
        assert await served.answer() == [Text("over"), Done()]
    assert seen == [5]
