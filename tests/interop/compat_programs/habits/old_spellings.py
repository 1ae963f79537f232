from __future__ import annotations

from collections.abc import AsyncIterable

from poeproto_compat import PoeBot, make_app
from poeproto_compat.base import ServerSentEvent
from poeproto_compat.client import BotMessage, get_final_response, stream_request
from poeproto_compat.types import QueryRequest, SettingsRequest, SettingsResponse


class OldBot(PoeBot):
    async def get_response(self, query: QueryRequest) -> AsyncIterable[ServerSentEvent]:
        prompt = "\n".join(f"{message.role}: {message.content}" for message in query.query)
        async for message in stream_request(query, "Model", query.api_key):
            assert isinstance(message, BotMessage)
            if message.is_suggested_reply:
                yield self.suggested_reply_event(message.text)
            elif message.is_replace_response:
                yield self.replace_response_event(message.text)
            else:
                yield self.text_event(message.text)
        yield self.replace_response_event(prompt)
        yield self.text_event(" / " + await get_final_response(query, "Model", query.access_key))

    async def get_settings(self, settings: SettingsRequest) -> SettingsResponse:
        return SettingsResponse(
            allow_user_context_clear=True, context_clear_window_secs=3600, server_bot_dependencies={"Model": 2}
        )


def main():
    return make_app(OldBot(), "0123456789abcdef0123456789abcdef", bot_name="Program")
