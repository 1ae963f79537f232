"""A bot that reads attachments itself: it receives the conversation as Poe sent it, with no messages inserted.

Serve it with: poeproto serve docs/examples/attachments_as_they_came.py:bot --allow-without-key
"""

from collections.abc import AsyncIterator

from poeproto import Bot, Context, QueryRequest, SettingsRequest, SettingsResponse


class ListingBot(Bot):
    attachment_templates = None

    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[str]:
        for attachment in request.query[-1].attachments:
            words = len((attachment.parsed_content or "").split())
            yield f"- {attachment.name} ({attachment.content_type}): {words} words\n"
        yield f"\nMessages so far: {len(request.query)}"

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        return SettingsResponse(allow_attachments=True, expand_text_attachments=True)


bot = ListingBot()
