from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable

import poeproto_compat as fp


async def add(left: int, right: int) -> int:
    await asyncio.sleep(0)
    return left + right


def multiply(left: int, right: int) -> dict[str, int]:
    return {"product": left * right}


NUMBERS = {"type": "object", "properties": {"left": {"type": "integer"}, "right": {"type": "integer"}}}


def describe(name: str) -> fp.ToolDefinition:
    return fp.ToolDefinition.model_validate(
        {"type": "function", "function": {"name": name, "description": f"to {name}", "parameters": NUMBERS}}
    )


class SumsBot(fp.PoeBot):
    async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
        async for message in fp.stream_request(
            request,
            "Model",
            request.access_key,
            tools=[describe("add"), describe("multiply")],
            tool_executables=[add, multiply],
        ):
            yield message

    async def get_settings(self, setting: fp.SettingsRequest) -> fp.SettingsResponse:
        return fp.SettingsResponse(server_bot_dependencies={"Model": 2})


def main():
    return fp.make_app(SumsBot(), access_key="0123456789abcdef0123456789abcdef", bot_name="Program")
