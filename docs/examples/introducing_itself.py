"""A bot with an introduction message, which Poe shows before the first message.

Serve it with: poeproto serve docs/examples/introducing_itself.py:bot --allow-without-key
"""

from collections.abc import AsyncIterator

from poeproto import Bot, Context, QueryRequest, SettingsRequest, SettingsResponse


class AnagramBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield "".join(sorted(request.query[-1].content.lower().replace(" ", "")))

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        return SettingsResponse(
            introduction_message="Give me **two phrases**, one after the other. They are anagrams if I answer the same."
        )


bot = AnagramBot()
