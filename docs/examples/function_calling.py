"""A bot whose model calls functions: they run in this process, and the model reads their results before it answers.

Serve it with: poeproto serve docs/examples/function_calling.py:bot --access-key ...
"""

from collections.abc import AsyncIterator

from poeproto import (
    Bot,
    Context,
    Event,
    FunctionDefinition,
    QueryRequest,
    SettingsRequest,
    SettingsResponse,
    ToolDefinition,
)

MODEL = "GPT-4o-Mini"

HIGH_TIDES = {"Bremen": "03:10 and 15:40", "Dover": "11:05 and 23:30"}
FERRIES = {"Bremen": None, "Dover": "Calais, at 12:15"}


def high_tide(harbour: str) -> dict[str, str]:
    """The times of high tide. A function that is not `async` may block, because it runs in a thread."""
    # An unknown harbour raises KeyError. The model then reads that the tool failed, and goes on.
    return {"harbour": harbour, "high_tide": HIGH_TIDES[harbour]}


async def next_ferry(harbour: str) -> str:
    """The next ferry. The model receives a string unchanged, and any other result as JSON."""
    return FERRIES.get(harbour) or f"No ferry leaves {harbour} today."


def about_a_harbour(name: str, description: str) -> ToolDefinition:
    """A function's definition, which the model reads to choose and call it. A JSON Schema describes the arguments."""
    schema = {
        "type": "object",
        "properties": {"harbour": {"type": "string", "description": "A city, as in Dover"}},
        "required": ["harbour"],
    }
    return ToolDefinition(FunctionDefinition(name, description, schema))


TOOLS = [
    about_a_harbour("high_tide", "When the water in a harbour stands highest today"),
    about_a_harbour("next_ferry", "Where the next ferry from a harbour goes, and when"),
]


class HarbourBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[Event]:
        # The calls of one round run concurrently.
        async for event in context.run_tools(MODEL, request, TOOLS, [high_tide, next_ferry]):
            yield event

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        # One call that requests tools, one that answers, and a third for another round of tools.
        return SettingsResponse(server_bot_dependencies={MODEL: 3})


bot = HarbourBot()
