from __future__ import annotations

from collections.abc import AsyncIterable

import poeproto_compat as fp


class RelayBot(fp.PoeBot):
    async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
        async for message in fp.stream_request(request, "Model", request.access_key):
            if message.attachment is not None:
                yield fp.PartialResponse(text=f"({message.attachment.name}) ")
            if message.data is not None:
                yield fp.PartialResponse(text=f"{sorted(message.data)} ")
            yield message
        if isinstance(request.query[-1].attachments, list):
            yield fp.DataResponse(metadata="relayed")

    async def get_settings(self, setting: fp.SettingsRequest) -> fp.SettingsResponse:
        return fp.SettingsResponse(server_bot_dependencies={"Model": 1})


def main():
    return fp.make_app(RelayBot(), access_key="0123456789abcdef0123456789abcdef", bot_name="Program")
