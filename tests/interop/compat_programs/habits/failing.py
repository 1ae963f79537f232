from __future__ import annotations

from collections.abc import AsyncIterable

import poeproto_compat as fp


class FailingBot(fp.PoeBot):
    async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
        yield fp.PartialResponse(text="so far")
        wish = request.query[-1].content
        if wish == "error":
            yield fp.ErrorResponse(text="no more", allow_retry=False, error_type="user_caused_error")
        elif wish == "event":
            yield self.error_event("no more", allow_retry=True)  # pyright: ignore[reportReturnType]
        elif wish == "exception":
            raise ValueError("a secret")
        elif wish == "funds":
            raise fp.InsufficientFundError


def main():
    return fp.make_app(FailingBot(), access_key="0123456789abcdef0123456789abcdef", bot_name="Program")
