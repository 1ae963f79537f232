from __future__ import annotations

from collections.abc import AsyncIterable

import poeproto_compat as fp


class ForwardingBot(fp.PoeBot):
    async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
        async for message in fp.stream_request(request, "Model", request.access_key):
            yield message

    async def get_settings(self, setting: fp.SettingsRequest) -> fp.SettingsResponse:
        return fp.SettingsResponse(server_bot_dependencies={"Model": 1})


def main():
    bot = ForwardingBot()
    app = fp.make_app(bot, access_key="0123456789abcdef0123456789abcdef", bot_name="Program")
    return app
