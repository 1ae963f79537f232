"""A bot that queries a model about attached files: Poe extracts the text of documents and describes images.

Serve it with: poeproto serve docs/examples/reading_attachments.py:bot --access-key ...
"""

from collections.abc import AsyncIterator

from poeproto import Bot, Context, Event, QueryRequest, SettingsRequest, SettingsResponse

MODEL = "GPT-4o-Mini"


class ReadingBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[Event]:
        # The text of each file is already in the conversation, as a message of its own before the last message.
        async for event in context.query_bot(MODEL, request):
            yield event

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        return SettingsResponse(
            allow_attachments=True,
            expand_text_attachments=True,
            enable_image_comprehension=True,  # Poe then accepts one image a message at most
            server_bot_dependencies={MODEL: 1},
        )


bot = ReadingBot()
