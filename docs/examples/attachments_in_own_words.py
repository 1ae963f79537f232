"""A bot that inserts files into the conversation with its own templates, for a model that requires alternating roles.

Serve it with: poeproto serve docs/examples/attachments_in_own_words.py:bot --access-key ...
"""

from collections.abc import AsyncIterator

import attrs

from poeproto import Bot, Context, Event, QueryRequest, SettingsRequest, SettingsResponse
from poeproto.conversation import AttachmentTemplates, alternate_roles

MODEL = "Gemma-2-27b"


class QuotingBot(Bot):
    attachment_templates = AttachmentTemplates(
        text="Quote from this letter, {name}, word for word:\n\n{content}",
        image="Someone drew {name} in the margin: {content}",
    )

    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[Event]:
        # Each file is a message of the user, and so is the question after them. Some models reject two in a row.
        asked = attrs.evolve(request, query=alternate_roles(request.query))
        async for event in context.query_bot(MODEL, asked):
            yield event

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        return SettingsResponse(
            allow_attachments=True,
            expand_text_attachments=True,
            enable_image_comprehension=True,
            server_bot_dependencies={MODEL: 1},
        )


bot = QuotingBot()
