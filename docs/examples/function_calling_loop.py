"""A bot that runs a model's function calls in its own loop, and shows each of them to the user.

If you need no loop of your own, use `Context.run_tools`; see function_calling.py.

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
    ToolDefinition,
    ToolResult,
)
from poeproto.flows import ToolCallAggregator, delta_text, prepare_call, tool_error, tool_result

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
    """Run a call. A failure becomes its result, so the model can correct the call in the next round."""
    prepared = prepare_call(FUNCTIONS, call)
    if isinstance(prepared, ToolResult):
        return prepared  # an unknown function, or arguments that are not JSON
    function, arguments = prepared
    try:
        return tool_result(call, function(**arguments))
    except (TypeError, ArithmeticError) as exc:  # a model can pass any arguments
        return tool_error(call, str(exc))


class CalculatingBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[Event | str]:
        calls: list[ToolCall] = []
        results: list[ToolResult] = []
        for _ in range(ROUNDS):
            asked = attrs.evolve(request, tools=TOOLS, tool_calls=calls or None, tool_results=results or None)
            new = ToolCallAggregator()
            async for event in context.query_bot(MODEL, asked):
                if isinstance(event, Json):  # has parts of tool calls, and sometimes of the text
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
