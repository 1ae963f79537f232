"""Cases: calls with tools, and the rounds of tools that they make."""

# The arguments of both libraries, many of them wrong, in lambdas without annotations.
# pyright: basic, reportArgumentType=false, reportInvalidTypeForm=false

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .call_outcomes import HELLO, TEXT, sent, streamed, without_null
from .cases import Side
from .peer import DONE, record, stream

TOOL: dict[str, Any] = {
    "type": "function",
    "function": {"name": "one", "description": "d", "parameters": {"type": "object", "properties": {}}},
}
TOOL_CALL = {"id": "i", "type": "function", "function": {"name": "one", "arguments": "{}"}}
TOOL_RESULT = {"role": "tool", "name": "one", "tool_call_id": "i", "content": "1"}


def one(**arguments: Any) -> Any:
    return {"one": arguments}


def two() -> Any:
    return 2


async def later(**arguments: Any) -> Any:
    return "later"


def broken(**arguments: Any) -> Any:
    raise KeyError("secret")


def unserialisable(**arguments: Any) -> Any:
    return object()


class Callable_:
    __name__ = "one"

    def __call__(self, **arguments: Any) -> Any:
        return 1


def chunk(delta: dict[str, Any], finish_reason: str | None = None, **more: Any) -> bytes:
    return record("json", {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}], **more})


def call_chunk(name: str | None = "one", arguments: str | None = "{}", **more: Any) -> bytes:
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    call = {"index": 0, "id": "i", "type": "function", "function": function, **more}
    return chunk({"tool_calls": [call]})


END = chunk({}, "tool_calls")


async def with_tools(side: Side, *first: bytes, executables: Any = None, **options: Any) -> Any:
    """A call with tools: the messages, and what the second query has of tools."""
    tools = [side.types.ToolDefinition(**TOOL)]
    responses = [stream(*first, DONE), HELLO]
    result = await streamed(side, *responses, tools=tools, tool_executables=executables, **options)
    return result, [
        without_null({key: body.get(key) for key in ("tools", "tool_calls", "tool_results")})
        for body in side.exchange.bodies()
        if body["type"] == "query"
    ]


def tools(*first: bytes, executables: Any = None) -> Callable[[Side], Any]:
    return lambda side: with_tools(side, *first, executables=executables)


TOOLS_SENT: dict[str, Callable[[Side], Any]] = {
    "both": lambda side: sent(
        side,
        name="stream_request_base",
        tools=[side.types.ToolDefinition(**TOOL)],
        tool_calls=[side.types.ToolCallDefinition(**TOOL_CALL)],
        tool_results=[side.types.ToolResultDefinition(**TOOL_RESULT)],
    ),
    "none in a list": lambda side: sent(side, name="stream_request_base", tool_calls=[], tool_results=[]),
    "None": lambda side: sent(side, name="stream_request_base", tool_calls=None, tool_results=None),
}
TOOLS: dict[str, Callable[[Side], Any]] = {
    "a function": tools(call_chunk(), END, executables=[one]),
    "an async function": tools(call_chunk("later"), END, executables=[one, later]),
    "arguments": tools(call_chunk(arguments='{"a": [1], "b": "é"}'), END, executables=[one]),
    "arguments in parts": tools(
        call_chunk(arguments='{"a"'), call_chunk(None, ": 1}", id=None, type=None), END, executables=[one]
    ),
    "two calls": tools(call_chunk(), call_chunk("later", index=1, id="j"), END, executables=[one, later]),
    "no call": tools(chunk({"content": "x"}), executables=[one]),
    "an empty list": tools(call_chunk(), END, executables=[]),
    "a function that fails": tools(call_chunk("broken"), END, executables=[broken]),
    "a result without JSON": tools(call_chunk("unserialisable"), END, executables=[unserialisable]),
    "an object that is callable": tools(call_chunk(), END, executables=[Callable_()]),
    "a lambda": tools(call_chunk("<lambda>"), END, executables=[lambda: 1]),
    "an unknown tool": tools(call_chunk("two"), END, executables=[one]),
    "arguments that are not JSON": tools(call_chunk(arguments="{"), END, executables=[one]),
    "arguments that are not an object": tools(call_chunk(arguments="[1]"), END, executables=[one]),
    "arguments that are empty": tools(call_chunk(arguments=""), END, executables=[one]),
    "arguments that do not fit": tools(call_chunk("two", '{"x": 1}'), END, executables=[two]),
    "a text besides": tools(TEXT, call_chunk(), END, executables=[one]),
    "content besides": tools(chunk({"content": "x"}), call_chunk(), END, executables=[one]),
    "no id": tools(call_chunk(id=None), END, executables=[one]),
    "parts after the end": tools(call_chunk(), END, chunk({"content": "late"}), executables=[one]),
}
TOOL_CALLS: dict[str, Callable[[Side], Any]] = {
    "a call": tools(call_chunk(), END),
    "a call with an index of the reply": tools(
        record("json", {"choices": [{"delta": {"tool_calls": [TOOL_CALL]}, "finish_reason": None}], "index": 2})
    ),
    "a call without arguments": tools(call_chunk(arguments=None), END),
    "a call of a wrong type": tools(chunk({"tool_calls": [5]})),
    "content": tools(chunk({"content": "x"}), chunk({"content": ""}), END),
    "content that is null": tools(chunk({"content": None})),
    "a role": tools(chunk({"role": "assistant"})),
    "content at the end": tools(chunk({"content": "x"}, "stop")),
    "no choices": tools(record("json", {"choices": []}), record("json", {"a": 1})),
    "choices of a wrong type": tools(record("json", {"choices": 5})),
    "a choice without a delta": tools(record("json", {"choices": [{"finish_reason": None}]})),
    "a choice without a finish reason": tools(record("json", {"choices": [{"delta": {"content": "x"}}]})),
    "texts": tools(TEXT),
    "an error": tools(record("error", {"allow_retry": False, "text": "no"})),
    "nothing": tools(),
}
TOOL_DIFFERENCES: dict[str, str] = {
    "an unknown tool": "tools",
    "arguments that are not JSON": "tools",
    "arguments that are not an object": "tools",
    "arguments that are empty": "tools",
    "no id": "tools",
    "a call without arguments": "tools",
    "content that is null": "tools",
    "content at the end": "tools",
    "choices of a wrong type": "tools",
    "a choice without a delta": "tools",
    "a choice without a finish reason": "tools",
    "a call of a wrong type": "received events",
}
