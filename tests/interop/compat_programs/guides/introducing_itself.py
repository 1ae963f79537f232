from __future__ import annotations

from collections.abc import AsyncIterable

import poeproto_compat as fp


class QuizBot(fp.PoeBot):
    async def get_response(self, query: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
        yield fp.PartialResponse(text="No questions yet.")

    async def get_settings(self, setting: fp.SettingsRequest) -> fp.SettingsResponse:
        return fp.SettingsResponse(introduction_message="Name a river, and I ask you about it.")


def main():
    bot = QuizBot()
    app = fp.make_app(bot, allow_without_key=True)
    return app
