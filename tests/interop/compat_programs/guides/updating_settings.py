from __future__ import annotations

from collections.abc import AsyncIterable

import poeproto_compat as fp


class DependentBot(fp.PoeBot):
    async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
        yield fp.PartialResponse(text="ready")

    async def get_settings(self, setting: fp.SettingsRequest) -> fp.SettingsResponse:
        return fp.SettingsResponse(allow_attachments=True, server_bot_dependencies={"Model": 1, "Other-Model": 1})


def main():
    return fp.make_app(DependentBot(), allow_without_key=True)
