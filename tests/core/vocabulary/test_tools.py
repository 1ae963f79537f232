from __future__ import annotations

from typing import Any

import pytest

from poeproto import FunctionCall, FunctionDefinition, ToolCall, ToolDefinition, ToolResult


def test_a_tool_is_a_function_unless_it_says_otherwise() -> None:
    assert ToolDefinition().type == ToolCall("t").type == "function"
    assert ToolDefinition(type="web_search", extra={"web_search": {}}).function is None
    assert ToolResult("t", "f", "1").role == "tool"


def test_a_call_may_have_no_arguments() -> None:
    assert FunctionCall("f").arguments == ""
    assert FunctionDefinition("f").parameters is None


@pytest.mark.parametrize(
    ("cls", "arguments", "message"),
    [
        (FunctionDefinition, {"name": None}, "FunctionDefinition.name must be str, got None"),
        (
            FunctionDefinition,
            {"name": "f", "parameters": "{}"},
            "FunctionDefinition.parameters must be dict[str, Any] | None",
        ),
        (ToolDefinition, {"function": {"name": "f"}}, "ToolDefinition.function must be FunctionDefinition | None"),
        (FunctionCall, {"name": "f", "arguments": {}}, "FunctionCall.arguments must be str, got a value of type dict"),
        (ToolCall, {"id": "t", "function": FunctionDefinition("f")}, "ToolCall.function must be FunctionCall | None"),
        (ToolCall, {"id": 5}, "ToolCall.id must be str, got a value of type int"),
        (ToolResult, {"tool_call_id": "t", "name": "f", "content": 5}, "ToolResult.content must be str"),
    ],
)
def test_types_are_checked(cls: type[Any], arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError) as caught:
        cls(**arguments)
    assert str(caught.value).startswith(message)
