from __future__ import annotations

from collections.abc import AsyncIterable

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

import poeproto_compat as fp


class MountedBot(fp.PoeBot):
    async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
        yield fp.PartialResponse(text="mounted")


def main():
    app = fp.make_app(MountedBot(), access_key="0123456789abcdef0123456789abcdef", bot_name="Program")
    app.add_middleware(CORSMiddleware, allow_origins=["https://poe.com"])
    host = FastAPI()
    host.mount("/poe", app)
    return host
