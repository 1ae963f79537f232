"""A bot whose model calls functions: they run here, and the model reads what they return before it answers.

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
    """When the water stands highest. It may block: a function that is not asynchronous runs in a thread."""
    # Of a harbour that is not there this raises KeyError. The model reads that the tool failed, and makes do.
    return {"harbour": harbour, "high_tide": HIGH_TIDES[harbour]}


async def next_ferry(harbour: str) -> str:
    """Where the next ferry goes. A string is handed to the model as it is, anything else as JSON."""
    return FERRIES.get(harbour) or f"No ferry leaves {harbour} today."


def about_a_harbour(name: str, description: str) -> ToolDefinition:
    """What the model reads to choose and to call a function: a JSON Schema says what the arguments are."""
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
        # All calls that the model makes at once run at once.
        async for event in context.run_tools(MODEL, request, TOOLS, [high_tide, next_ferry]):
            yield event

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        # One call in which the model asks for tools, one in which it answers; the third is for a second thought.
        return SettingsResponse(server_bot_dependencies={MODEL: 3})


bot = HarbourBot()
