"""A bot whose settings reach Poe whenever its server starts. Without that, Poe keeps those it had first.

It takes the bot's name on Poe and its key, which Poe shows where the bot is edited. `poeproto serve` takes them as
options, an application of your own as arguments: `BotApp(bot, access_key=..., bot_name=...)`. Any ASGI server then
syncs in its lifespan; a failure is logged, and the bot answers all the same. To do it by hand, see
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
