from __future__ import annotations

import json
from collections.abc import AsyncIterable

import poeproto_compat as fp


def find_tide(harbour, unit="metres"):
    """When and how high the water stands."""
    if "dover" in harbour.lower():
        return json.dumps({"harbour": "Dover", "height": "6.7", "unit": unit})
    else:
        return json.dumps({"harbour": harbour, "height": "unknown"})


executables = [find_tide]

definitions = [
    {
        "type": "function",
        "function": {
            "name": "find_tide",
            "description": "How high the water stands in a harbour",
            "parameters": {
                "type": "object",
                "properties": {
                    "harbour": {"type": "string", "description": "A town with a harbour, e.g. Dover"},
                    "unit": {"type": "string", "enum": ["metres", "feet"]},
                },
                "required": ["harbour"],
            },
        },
    }
]
tools = [fp.ToolDefinition(**definition) for definition in definitions]


class TideBot(fp.PoeBot):
    async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
        async for message in fp.stream_request(
            request, "Model", request.access_key, tools=tools, tool_executables=executables
        ):
            yield message

    async def get_settings(self, setting: fp.SettingsRequest) -> fp.SettingsResponse:
        return fp.SettingsResponse(server_bot_dependencies={"Model": 2})


def main():
    bot = TideBot()
    app = fp.make_app(bot, access_key="0123456789abcdef0123456789abcdef", bot_name="Program")
    return app
