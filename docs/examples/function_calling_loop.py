"""A bot that runs a model's functions in a loop of its own, and shows the user each of them.

Where that is not needed, `Context.run_tools` is the loop; function_calling.py shows it.

Serve it with: poeproto serve docs/examples/function_calling_loop.py:bot --access-key ...
"""

from collections.abc import AsyncIterator

import attrs

from poeproto import (
    Bot,
    Context,
    Error,
    Event,
    FunctionDefinition,
    Json,
    QueryRequest,
    SettingsRequest,
    SettingsResponse,
    ToolCall,
    ToolCallAggregator,
    ToolDefinition,
    ToolResult,
    delta_text,
    prepare_call,
    tool_error,
    tool_result,
)

MODEL = "GPT-4o-Mini"
ROUNDS = 3


def divide(dividend: float, divisor: float) -> float:
    return dividend / divisor


FUNCTIONS = {"divide": divide}
TOOLS = [
    ToolDefinition(
        FunctionDefinition(
            "divide",
            "Divide two numbers",
            {
                "type": "object",
                "properties": {"dividend": {"type": "number"}, "divisor": {"type": "number"}},
                "required": ["dividend", "divisor"],
            },
        )
    )
]


def run(call: ToolCall) -> ToolResult:
    """The result of a call. Whatever goes wrong is told to the model, which can do better in the next round."""
    prepared = prepare_call(FUNCTIONS, call)
    if isinstance(prepared, ToolResult):
        return prepared  # there is no such function, or the arguments are no JSON
    function, arguments = prepared
    try:
        return tool_result(call, function(**arguments))
    except (TypeError, ArithmeticError) as exc:  # a model writes what it likes
        return tool_error(call, str(exc))


class CalculatingBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[Event | str]:
        calls: list[ToolCall] = []
        results: list[ToolResult] = []
        for _ in range(ROUNDS):
            asked = attrs.evolve(request, tools=TOOLS, tool_calls=calls or None, tool_results=results or None)
            new = ToolCallAggregator()
            async for event in context.query_bot(MODEL, asked):
                if isinstance(event, Json):  # a model sends its calls in pieces, and sometimes its text here, too
                    new.add(event)
                    if text := delta_text(event):
                        yield text
                else:
                    yield event
            if not new.calls:
                return
            for call in new.calls:
                result = run(call)
                yield f"> {result.name} gives {result.content}\n\n"
                results.append(result)
            calls += new.calls
        yield Error(allow_retry=True, text=f"After {ROUNDS} rounds the model still wants to calculate.")

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        return SettingsResponse(server_bot_dependencies={MODEL: ROUNDS})


bot = CalculatingBot()
