from __future__ import annotations

from collections.abc import AsyncIterable

import poeproto_compat as fp


class ReadingBot(fp.PoeBot):
    async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
        for message in request.query:
            yield fp.PartialResponse(text=f"{message.role}: {'notes.txt' in message.content} ")
            for attachment in message.attachments:
                yield fp.PartialResponse(
                    text=f"[{attachment.name} {attachment.content_type} {attachment.parsed_content}] "
                )

    async def get_settings(self, setting: fp.SettingsRequest) -> fp.SettingsResponse:
        return fp.SettingsResponse(
            allow_attachments=True, expand_text_attachments=True, enable_image_comprehension=True
        )


def main():
    return fp.make_app(ReadingBot(), access_key="0123456789abcdef0123456789abcdef", bot_name="Program")
