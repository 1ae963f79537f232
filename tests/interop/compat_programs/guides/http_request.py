from __future__ import annotations

from collections.abc import AsyncIterable

import poeproto_compat as fp


class RequestBot(fp.PoeBot):
    async def get_response_with_context(
        self, request: fp.QueryRequest, context: fp.RequestContext
    ) -> AsyncIterable[fp.PartialResponse]:
        url = context.http_request.url
        parameters = context.http_request.query_params
        yield fp.PartialResponse(text=f"requested {url} with {parameters}")


def main():
    bot = RequestBot()
    app = fp.make_app(bot, access_key="0123456789abcdef0123456789abcdef", bot_name="Program")
    return app
