"""A bot that asks another bot on Poe, and passes on its answer as it comes.

Serve it with: poeproto serve docs/examples/calling_a_bot.py:bot --access-key ...
"""

from collections.abc import AsyncIterator

from poeproto import Bot, Context, Event, QueryRequest, SettingsRequest, SettingsResponse

MODEL = "GPT-4o-Mini"


class AskingBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[Event]:
        async for event in context.query_bot(MODEL, request):
            yield event  # or look at it first: change it, leave it out, add others

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        # Poe lets a bot call just those that it declares, so many times for each message of a user.
        return SettingsResponse(server_bot_dependencies={MODEL: 1})


bot = AskingBot()
