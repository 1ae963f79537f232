from __future__ import annotations

from collections.abc import AsyncIterable
from typing import Union

import poeproto_compat as fp
from poeproto_compat.base import ServerSentEvent


class EventsBot(fp.PoeBot):
    async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[Union[fp.PartialResponse, ServerSentEvent]]:  # noqa: UP007 - as programs write it
        yield fp.MetaResponse(text="", content_type="text/markdown", linkify=True, refetch_settings=False)
        yield fp.PartialResponse(text="thinking")
        yield fp.PartialResponse(text="thought", is_replace_response=True)
        yield self.text_event(" twice")
        yield self.suggested_reply_event("Why?")
        yield fp.PartialResponse(text="How?", is_suggested_reply=True)
        yield self.replace_response_event("again")
        file = fp.Attachment(url="https://files.invalid/a.png", content_type="image/png", name="a.png")
        yield fp.PartialResponse(text="", attachment=file)
        posted = await self.post_message_attachment(
            message_id=request.message_id, file_data=b"\x89PNG", filename="b.png", is_inline=True
        )
        yield fp.PartialResponse(text=f"![b][{posted.inline_ref}]")
        yield fp.PartialResponse(text="other", index=1)
        yield self.done_event()


def main():
    return fp.make_app(EventsBot(), access_key="0123456789abcdef0123456789abcdef", bot_name="Program")
