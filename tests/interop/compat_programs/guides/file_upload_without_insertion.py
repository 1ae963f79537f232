from __future__ import annotations

from collections.abc import AsyncIterable

import poeproto_compat as fp
from poeproto_compat import make_app


class PlainBot(fp.PoeBot):
    async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
        yield fp.PartialResponse(text=" | ".join(message.content for message in request.query))

    async def get_settings(self, setting: fp.SettingsRequest) -> fp.SettingsResponse:
        return fp.SettingsResponse(allow_attachments=True)


def main():
    bot = PlainBot(should_insert_attachment_messages=False)
    app = make_app(bot, access_key="0123456789abcdef0123456789abcdef", bot_name="Program")
    return app
