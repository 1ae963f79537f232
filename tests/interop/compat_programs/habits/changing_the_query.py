from __future__ import annotations

from collections.abc import AsyncIterable

import poeproto_compat as fp


class RewritingBot(fp.PoeBot):
    async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
        for message in request.query:
            message.content = message.content.replace("cat", "dog")
            message.attachments = []
        request.query = [fp.ProtocolMessage(role="system", content="Be brief."), *request.query[-2:]]
        request.query.append(fp.ProtocolMessage(role="user", content="Please."))
        request.temperature = 0.25
        request.logit_bias = {"50256": -100}
        request.stop_sequences = ["."]
        request.skip_system_prompt = True
        answer = await fp.get_final_response(request, bot_name="Model", api_key=request.access_key)
        copy = request.model_copy(update={"query": request.query[:1]}, deep=True)
        yield fp.PartialResponse(text=f"{answer} ({len(copy.query)} of {len(request.query)})")

    async def get_settings(self, setting: fp.SettingsRequest) -> fp.SettingsResponse:
        settings = fp.SettingsResponse()
        settings.server_bot_dependencies["Model"] = 1
        settings.allow_attachments = True
        return settings


def main():
    return fp.make_app(RewritingBot(), access_key="0123456789abcdef0123456789abcdef", bot_name="Program")
