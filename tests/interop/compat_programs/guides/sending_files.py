from __future__ import annotations

from collections.abc import AsyncIterable

import poeproto_compat as fp


class WritingBot(fp.PoeBot):
    async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
        await self.post_message_attachment(
            message_id=request.message_id, file_data=request.query[-1].content, filename="said.txt"
        )
        yield fp.PartialResponse(text="Your words are attached.")


def main():
    bot = WritingBot()
    app = fp.make_app(bot, access_key="0123456789abcdef0123456789abcdef", bot_name="Program")
    return app
