from __future__ import annotations

from collections.abc import AsyncIterable

import poeproto_compat as fp


class ChattingBot(fp.PoeBot):
    async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
        yield fp.PartialResponse(text=" | ".join(f"{message.role}: {message.content}" for message in request.query))

    async def get_settings(self, setting: fp.SettingsRequest) -> fp.SettingsResponse:
        return fp.SettingsResponse(enable_multi_bot_chat_prompting=True)


def main():
    return fp.make_app(ChattingBot(), access_key="0123456789abcdef0123456789abcdef", bot_name="Program")
