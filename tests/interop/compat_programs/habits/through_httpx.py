from __future__ import annotations

from collections.abc import AsyncIterable

import httpx

import poeproto_compat as fp


class SessionBot(fp.PoeBot):
    async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
        session = httpx.AsyncClient(timeout=30)
        async for message in fp.stream_request(
            request,
            "Model",
            request.access_key,
            session=session,
            num_tries=1,
            on_error=lambda exc, text: print(text),
            extra_headers={"x-own": "1"},
        ):
            yield message
        await session.aclose()

    async def get_settings(self, setting: fp.SettingsRequest) -> fp.SettingsResponse:
        return fp.SettingsResponse(server_bot_dependencies={"Model": 1})


def main():
    return fp.make_app(SessionBot(), access_key="0123456789abcdef0123456789abcdef", bot_name="Program")
