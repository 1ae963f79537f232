"""A bot in a conversation of several people and bots, which lets a model take part.

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
            # A model sees roles, not names, and mistakes the messages of other bots for its own. With this setting,
            # Poe sends the conversation as one message that includes the names.
            enable_multi_entity_prompting=True,
            server_bot_dependencies={MODEL: 1},
        )


bot = GuestBot()
