"""A bot that queries another bot on Poe, and forwards the events of its reply as they arrive.

Serve it with: poeproto serve docs/examples/calling_a_bot.py:bot --access-key ...
"""

from collections.abc import AsyncIterator

from poeproto import Bot, Context, Event, QueryRequest, SettingsRequest, SettingsResponse

MODEL = "GPT-4o-Mini"


class AskingBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[Event]:
        async for event in context.query_bot(MODEL, request):
            yield event  # you can also change it, skip it, or add others

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        # A bot can call only the bots that it declares, and only so many times for each message of a user.
        return SettingsResponse(server_bot_dependencies={MODEL: 1})


bot = AskingBot()
