from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import AsyncIterable

import poeproto_compat as fp
from poeproto_compat.client import stream_request_base
from poeproto_compat.types import (
    FunctionCallDefinition,
    FunctionDefinition,
    ParametersDefinition,
    ToolCallDefinition,
    ToolDefinition,
    ToolResultDefinition,
)

schema = {"type": "object", "properties": {"harbour": {"type": "string"}}, "required": ["harbour"]}
tide = ToolDefinition(
    type="function",
    function=FunctionDefinition(name="find_tide", description="", parameters=ParametersDefinition(**schema)),
)


class LoopBot(fp.PoeBot):
    async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
        names: dict[int, str] = {}
        identifiers: dict[int, str] = {}
        arguments: dict[int, str] = defaultdict(str)
        async for message in fp.stream_request(request, "Model", request.access_key, tools=[tide]):
            for delta in message.tool_calls:
                identifiers[delta.index] = delta.id or identifiers[delta.index]
                names[delta.index] = delta.function.name or names[delta.index]
                arguments[delta.index] += delta.function.arguments
        calls = [
            ToolCallDefinition(
                id=identifiers[index],
                type="function",
                function=FunctionCallDefinition(name=names[index], arguments=arguments[index]),
            )
            for index in sorted(names)
        ]
        results = [
            ToolResultDefinition(
                role="tool",
                name=call.function.name,
                tool_call_id=call.id,
                content=json.dumps(f"high in {json.loads(call.function.arguments)['harbour']}"),
            )
            for call in calls
        ]
        async for message in stream_request_base(
            request, "Model", request.access_key, tools=[tide], tool_calls=calls, tool_results=results
        ):
            yield message

    async def get_settings(self, setting: fp.SettingsRequest) -> fp.SettingsResponse:
        return fp.SettingsResponse(server_bot_dependencies={"Model": 2})


def main():
    return fp.make_app(LoopBot(), access_key="0123456789abcdef0123456789abcdef", bot_name="Program")
