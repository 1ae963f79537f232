"""Examples of bots whose models call functions, end to end over HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest

from poeproto import FunctionCall, Json, QueryRequest
from poeproto_simulator import Canned, Scripted, ToolCaller
from poeproto_simulator.scripted_bots import tool_call_chunks

from ..support.example_stage import playing

pytestmark = pytest.mark.anyio

MODEL = "GPT-4o-Mini"


def model(*rounds: list[tuple[str, dict[str, Any]]]) -> Scripted:
    """A model that makes these calls one round after the other, whatever tools it has; then it repeats the results."""

    def script(request: QueryRequest) -> Any:
        results = request.tool_results or []
        done = 0
        for calls in rounds:
            if len(results) <= done:
                return tool_call_chunks(calls)
            done += len(calls)
        return "".join(f"{result.name}: {result.content}\n" for result in results)

    return Scripted(script)


class TestAutomatic:
    async def test_several_functions_at_once(self) -> None:
        calls = [("high_tide", {"harbour": "Dover"}), ("next_ferry", {"harbour": "Bremen"})]
        async with playing("function_calling", {MODEL: ToolCaller(calls)}) as stage:
            reply = await stage.say("When can I leave?")
        assert reply.final_text() == (
            'high_tide says: {"harbour":"Dover","high_tide":"11:05 and 23:30"}\n'
            "next_ferry says: No ferry leaves Bremen today.\n"
        )

    async def test_the_model_is_offered_the_existing_tools(self) -> None:
        watched = model([("next_ferry", {"harbour": "Dover"})])
        async with playing("function_calling", {MODEL: watched}) as stage:
            assert (await stage.say("hello")).final_text() == "next_ferry: Calais, at 12:15\n"
        first, second = watched.requests
        for request in (first, second):
            functions = [tool.function for tool in request.tools or [] if tool.function]
            assert [function.name for function in functions] == ["high_tide", "next_ferry"]
            for function in functions:
                assert function.parameters is not None
                assert list(function.parameters["properties"]) == function.parameters["required"] == ["harbour"]
        assert first.tool_results is None
        [call] = second.tool_calls or []
        assert call.function == FunctionCall("next_ferry", '{"harbour": "Dover"}')

    async def test_a_function_that_raises(self) -> None:
        calls = [("high_tide", {"harbour": "Atlantis"}), ("high_tide", {"harbour": "Bremen"})]
        async with playing("function_calling", {MODEL: ToolCaller(calls)}) as stage:
            first, second = (await stage.say("hello")).final_text().splitlines()
        assert first == 'high_tide says: {"error":"the tool failed (KeyError)"}'
        assert "03:10 and 15:40" in second

    async def test_functions_that_do_not_exist_and_arguments_that_do_not_fit(self) -> None:
        wrong = model([("sink_ship", {"harbour": "Dover"}), ("high_tide", {"port": "Dover"})])
        async with playing("function_calling", {MODEL: wrong}) as stage:
            first, second = (await stage.say("hello")).final_text().splitlines()
        assert json.loads(first.removeprefix("sink_ship: ")) == {"error": "there is no tool called 'sink_ship'"}
        assert "the arguments do not fit" in json.loads(second.removeprefix("high_tide: "))["error"]


DIVIDE: list[tuple[str, dict[str, Any]]] = [("divide", {"dividend": 5, "divisor": 2})]


class TestLoopOfOnesOwn:
    async def test_the_user_sees_the_calls(self) -> None:
        calls = [*DIVIDE, ("divide", {"dividend": 1, "divisor": 0})]
        async with playing("function_calling_loop", {MODEL: ToolCaller(calls)}) as stage:
            reply = await stage.say("5 / 2?")
        assert reply.final_text() == (
            "> divide gives 2.5\n\n"
            '> divide gives {"error":"division by zero"}\n\n'
            "divide says: 2.5\n"
            'divide says: {"error":"division by zero"}\n'
        )
        assert not reply.fold.json  # the model's chunks are for the bot

    @pytest.mark.parametrize(
        ("call", "error"),
        [
            (("multiply", {}), "there is no tool called 'multiply'"),
            (("divide", {"dividend": 1}), "missing 1 required positional argument: 'divisor'"),
        ],
    )
    async def test_the_model_gets_an_error_for_an_invalid_call(self, call: tuple[str, Any], error: str) -> None:
        async with playing("function_calling_loop", {MODEL: model([call])}) as stage:
            *_, last = (await stage.say("hello")).final_text().splitlines()
        assert error in json.loads(last.partition(": ")[2])["error"]

    async def test_all_rounds_stay_in_the_query(self) -> None:
        watched = model(DIVIDE, [("divide", {"dividend": 2.5, "divisor": 2})])
        async with playing("function_calling_loop", {MODEL: watched}) as stage:
            reply = await stage.say("5 / 4?")
        assert reply.text.endswith("divide: 2.5\ndivide: 1.25\n")
        assert [len(request.tool_results or ()) for request in watched.requests] == [0, 1, 2]
        assert [len(request.tool_calls or ()) for request in watched.requests] == [0, 1, 2]

    async def test_a_model_that_only_calculates(self) -> None:
        async with playing("function_calling_loop", {MODEL: model(*[DIVIDE] * 5)}) as stage:
            reply = await stage.say("on and on")
        assert reply.text == "> divide gives 2.5\n\n" * 3
        assert reply.error is not None
        assert reply.error.text == "After 3 rounds the model still wants to calculate."

    async def test_text_in_the_models_chunks(self) -> None:
        chunk = {"choices": [{"index": 0, "delta": {"content": "Nothing to divide."}}]}

        async with playing("function_calling_loop", {MODEL: Canned([Json(chunk)])}) as stage:
            assert (await stage.say("hello")).final_text() == "Nothing to divide."
