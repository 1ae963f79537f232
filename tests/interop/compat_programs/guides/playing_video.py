from __future__ import annotations

from collections.abc import AsyncIterable

import poeproto_compat as fp

VIDEO_URL = "https://media.invalid/"


class PlayerBot(fp.PoeBot):
    async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
        await self.post_message_attachment(message_id=request.message_id, download_url=VIDEO_URL)
        yield fp.PartialResponse(text="")


def main():
    return fp.make_app(PlayerBot(), access_key="0123456789abcdef0123456789abcdef", bot_name="Program")
