"""A bot that asks a model about the files of its users, in the words that Poe finds in texts and for images.

Serve it with: poeproto serve docs/examples/reading_attachments.py:bot --access-key ...
"""

from collections.abc import AsyncIterator

from poeproto import Bot, Context, Event, QueryRequest, SettingsRequest, SettingsResponse

MODEL = "GPT-4o-Mini"


class ReadingBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[Event]:
        # Nothing more to do: what Poe read of each file stands before the last message, in one of its own.
        async for event in context.query_bot(MODEL, request):
            yield event

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        return SettingsResponse(
            allow_attachments=True,
            expand_text_attachments=True,
            enable_image_comprehension=True,  # and one image a message at most
            server_bot_dependencies={MODEL: 1},
        )


bot = ReadingBot()
