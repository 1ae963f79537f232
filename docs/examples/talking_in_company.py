"""A bot that is called into a conversation of several people and bots, and has a model take part in it.

Serve it with: poeproto serve docs/examples/talking_in_company.py:bot --access-key ...
"""

from collections.abc import AsyncIterator

from poeproto import Bot, Context, Event, QueryRequest, SettingsRequest, SettingsResponse

MODEL = "GPT-4o-Mini"


class GuestBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[Event]:
        async for event in context.query_bot(MODEL, request):
            yield event

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        return SettingsResponse(
            # A model knows roles, not names, and takes what other bots said for its own words. With this, Poe puts
            # what was said into one message that has the names in it.
            enable_multi_entity_prompting=True,
            server_bot_dependencies={MODEL: 1},
        )


bot = GuestBot()
