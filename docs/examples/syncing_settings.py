"""A bot whose server sends its settings to Poe at every start. Without that, Poe keeps the first ones.

The server needs the bot's name on Poe and its key, which Poe shows where the bot is edited. Pass them as options of
`poeproto serve`, or as arguments of an application: `BotApp(bot, access_key=..., bot_name=...)`. Any ASGI server then
syncs the settings in the lifespan. If that fails, the server logs it, and the bot still answers. To sync by hand, see
syncing_by_script.py.

Serve it with: poeproto serve docs/examples/syncing_settings.py:bot --access-key ... --bot-name ...
"""

from collections.abc import AsyncIterator

from poeproto import Bot, Context, Event, QueryRequest, SettingsRequest, SettingsResponse

MODEL = "GPT-4o-Mini"


class SyncedBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[Event]:
        async for event in context.query_bot(MODEL, request):
            yield event

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        return SettingsResponse(server_bot_dependencies={MODEL: 1}, introduction_message="Ask me anything.")


bot = SyncedBot()
