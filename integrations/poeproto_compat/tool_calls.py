"""Tools: the calls that a model makes of them, running them, and the second query with their results."""

from __future__ import annotations

import inspect
import json
from collections.abc import AsyncGenerator, Callable
from typing import Any, TypeAlias, cast

from poeproto_compat.closing import closing
from poeproto_compat.errors import BotErrorNoRetry
from poeproto_compat.types import (
    FunctionCallDefinition,
    PartialResponse,
    ToolCallDefinition,
    ToolCallDefinitionDelta,
    ToolResultDefinition,
)

# Functions of any signature, which a model calls by their names.
Executables: TypeAlias = list[Callable[..., Any]]


async def stream_with_tools(
    query: Callable[..., AsyncGenerator[PartialResponse]], tool_executables: Executables | None
) -> AsyncGenerator[PartialResponse]:
    """The messages of a query whose model may call tools.

    Args:
        query: makes a query; it takes `tool_calls` and `tool_results`.
        tool_executables: the tools. They are run once, and the model is queried again with their results. Without
            them, the messages have the model's calls.

    Raises:
        BotErrorNoRetry: for calls that cannot be read.
    """
    from poeproto import Json, PoeprotoError
    from poeproto.flows import ToolCallAggregator

    aggregator = ToolCallAggregator()
    async with closing(query()) as messages:
        async for message in messages:
            choice = _choice(message)
            if choice is None:
                yield message
                continue
            delta = choice.get("delta")
            delta = cast("dict[str, Any]", delta) if isinstance(delta, dict) else {}
            if delta.get("tool_calls"):
                try:
                    if tool_executables is not None:
                        aggregator.add(Json(cast("dict[str, Any]", message.data), message.index))
                    deltas = [] if tool_executables is not None else _deltas(delta["tool_calls"])
                except (PoeprotoError, ValueError, TypeError, AttributeError) as exc:
                    raise BotErrorNoRetry(f"the model sent tool calls that cannot be read: {exc}") from exc
                if deltas:
                    yield PartialResponse(text="", tool_calls=deltas, index=message.index)
            elif isinstance(delta.get("content"), str) and (delta["content"] or choice.get("finish_reason") is None):
                yield PartialResponse(text=delta["content"], index=message.index)
    if not tool_executables:
        return
    calls = [
        ToolCallDefinition(
            id=call.id,
            type=call.type,
            function=FunctionCallDefinition(name=call.function.name, arguments=call.function.arguments),
        )
        for call in aggregator.calls
        if call.function is not None and call.function.name
    ]
    if calls:
        results = await _results(tool_executables, calls)
        async with closing(query(tool_calls=calls, tool_results=results)) as messages:
            async for message in messages:
                yield message


def _choice(message: PartialResponse) -> dict[str, Any] | None:
    """The first choice of an OpenAI chunk; None if the message is not a chunk."""
    choices: Any = None if message.data is None else message.data.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        return cast("dict[str, Any]", choices[0])
    return None


def _deltas(listed: list[dict[str, Any]]) -> list[ToolCallDefinitionDelta]:
    """The parts of tool calls. A part without a function or arguments, as some models send, has empty arguments."""
    deltas: list[ToolCallDefinitionDelta] = []
    for given in listed:
        function: dict[str, Any] = given.get("function") or {}
        arguments = function.get("arguments") or ""
        fields: dict[str, Any] = {**given, "function": {**function, "arguments": arguments}}
        deltas.append(ToolCallDefinitionDelta(**fields))
    return deltas


async def _results(tool_executables: Executables, tool_calls: list[ToolCallDefinition]) -> list[ToolResultDefinition]:
    """Run the tools that the model calls. A call that fits no tool has an error result; a tool's error is raised."""
    functions = {executable.__name__: executable for executable in tool_executables}
    results: list[ToolResultDefinition] = []
    for call in tool_calls:
        name = call.function.name
        content: Any
        try:
            arguments: Any = json.loads(call.function.arguments) if call.function.arguments.strip() else {}
        except ValueError as exc:
            arguments = exc
        function = functions.get(name)
        if function is None:
            content = {"error": f"there is no tool called {name!r}"}
        elif not isinstance(arguments, dict):
            content = {"error": "the arguments are not a JSON object"}
        else:
            content = function(**arguments)
            content = await content if inspect.isawaitable(content) else content
        result = ToolResultDefinition(role="tool", tool_call_id=call.id, name=name, content=json.dumps(content))
        results.append(result)
    return results
