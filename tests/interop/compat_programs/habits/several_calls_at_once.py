from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable

import poeproto_compat as fp

MODELS = ["Model", "Other-Model"]


async def ask(request: fp.QueryRequest, name: str, answers: dict[str, str]) -> None:
    async for message in fp.stream_request(request, name, request.access_key):
        if isinstance(message, fp.MetaResponse) or message.is_suggested_reply:
            continue
        answers[name] = message.text if message.is_replace_response else answers.get(name, "") + message.text


class ComparingBot(fp.PoeBot):
    async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
        answers: dict[str, str] = {}
        tasks = [asyncio.create_task(ask(request, name, answers)) for name in MODELS]
        while any(not task.done() for task in tasks):
            await asyncio.wait(tasks)
        for name in MODELS:
            yield fp.PartialResponse(text=f"**{name}**: {answers[name]}\n\n")

    async def get_settings(self, setting: fp.SettingsRequest) -> fp.SettingsResponse:
        return fp.SettingsResponse(server_bot_dependencies=dict.fromkeys(MODELS, 1))


def main():
    return fp.make_app(ComparingBot(), access_key="0123456789abcdef0123456789abcdef", bot_name="Program")
