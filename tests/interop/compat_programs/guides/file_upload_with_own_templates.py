from __future__ import annotations

from collections.abc import AsyncIterable

import poeproto_compat as fp


class TemplateBot(fp.PoeBot):
    def insert_attachment_messages(self, query_request: fp.QueryRequest) -> fp.QueryRequest:
        last = query_request.query[-1]
        files = [
            fp.ProtocolMessage(role="user", content=f"{each.name} holds: {each.parsed_content}")
            for each in last.attachments
        ]
        return query_request.model_copy(update={"query": [*query_request.query[:-1], *files, last]})

    async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
        messages = self.make_prompt_author_role_alternated(request.query)
        yield fp.PartialResponse(text=f"{len(messages)} of {len(request.query)}: {messages[-1].content}")

    async def get_settings(self, setting: fp.SettingsRequest) -> fp.SettingsResponse:
        return fp.SettingsResponse(allow_attachments=True, expand_text_attachments=True)


def main():
    return fp.make_app(TemplateBot(), access_key="0123456789abcdef0123456789abcdef", bot_name="Program")
