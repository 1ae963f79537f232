"""`ToolCaller`: the scripted model that calls tools."""

from __future__ import annotations

import json
from typing import Any

import pytest

from poeproto import FunctionDefinition, Message, QueryRequest, ToolDefinition
from poeproto_simulator import Simulator, ToolCaller

pytestmark = pytest.mark.anyio

TOOLS = [ToolDefinition(FunctionDefinition(name)) for name in ("add", "weather")]
USER = Message("user", "what is 1 + 1, and the weather?")


def calls(*names: str) -> Message:
    wire = [{"id": f"call_{name}", "type": "function", "function": {"name": name, "arguments": "{}"}} for name in names]
    return Message("bot", json.dumps(wire), message_type="function_call")


def result(content: Any, **more: str) -> dict[str, Any]:
    return {"role": "tool", "content": content, **more}


async def text_of(*messages: Message) -> str:
    simulator = Simulator()
    simulator.register("Model", ToolCaller())
    reply = []
    query = QueryRequest(list(messages), tools=TOOLS)
    await simulator.directory.server_of(simulator.engine.bot("Model")).ask(query, reply.append)
    return "".join(getattr(event, "text", "(call)") for event in reply if type(event).__name__ != "Done")


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        pytest.param(
            [Message("tool", json.dumps([result("2", name="add", tool_call_id="call_add"), result("3", name="b")]))],
            "add says: 2\nb says: 3\n",
            id="a list with names",
        ),
        pytest.param([Message("tool", json.dumps(result("2", name="add")))], "add says: 2\n", id="one with a name"),
        pytest.param(
            [calls("add", "weather"), Message("tool", json.dumps(result("sun", tool_call_id="call_weather")))],
            "weather says: sun\n",
            id="by the identifier of the call",
        ),
        pytest.param(
            [calls("add", "weather"), Message("tool", "2"), Message("tool", "sun")],
            "add says: 2\nweather says: sun\n",
            id="in order",
        ),
        pytest.param([Message("tool", "sun")], "tool says: sun\n", id="text alone"),
        pytest.param([Message("tool", '{"name": "Ann"}')], 'tool says: {"name": "Ann"}\n', id="the tool's own JSON"),
        pytest.param([Message("tool", "[1, 2]")], "tool says: [1, 2]\n", id="the tool's own list"),
        pytest.param([Message("tool", "[" * 99_999)], f"tool says: {'[' * 99_999}\n", id="deep"),
        pytest.param(
            [Message("tool", json.dumps([result({"a": 1}, name="add")]))], 'add says: {"a": 1}\n', id="an object"
        ),
        pytest.param(
            [
                Message("bot", '{"name": "add", "arguments": "{}"}', message_type="function_call"),
                Message("tool", "2"),
            ],
            "add says: 2\n",
            id="a call without an identifier",
        ),
        pytest.param(
            [Message("bot", "not JSON", message_type="function_call"), Message("tool", "2")],
            "tool says: 2\n",
            id="calls that cannot be read",
        ),
    ],
)
async def test_results_in_messages_end_the_calls(messages: list[Message], text: str) -> None:
    assert await text_of(USER, *messages) == text


async def test_another_message_of_the_user_resets_the_budget() -> None:
    before = [USER, calls("add"), Message("tool", "2"), Message("bot", "it is 2")]
    assert (await text_of(*before, Message("user", "again"))).startswith("(call)")
    assert (await text_of(USER)).startswith("(call)")
