from __future__ import annotations

from collections.abc import AsyncIterable

import poeproto_compat as fp


class DetailsBot(fp.PoeBot):
    async def get_response_with_context(
        self, request: fp.QueryRequest, context: fp.RequestContext
    ) -> AsyncIterable[fp.PartialResponse]:
        http = context.http_request
        body = await http.json()
        yield fp.PartialResponse(text=f"{http.method} {http.url.path} {http.headers['content-type']} ")
        yield fp.PartialResponse(text=f"{'authorization' in http.headers} {http.query_params.get('a')} {body['type']}")

    async def get_settings_with_context(
        self, setting: fp.SettingsRequest, context: fp.RequestContext
    ) -> fp.SettingsResponse:
        return fp.SettingsResponse(introduction_message=f"by {context.http_request.method}")


def main():
    return fp.make_app(DetailsBot(), access_key="0123456789abcdef0123456789abcdef")
