from __future__ import annotations

from collections.abc import AsyncIterable

from fastapi import FastAPI

import poeproto_compat as fp


class HostedBot(fp.PoeBot):
    async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
        yield fp.PartialResponse(text="hosted")


def main():
    host = FastAPI()

    @host.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "up"}

    app = fp.make_app(HostedBot(path="/bot"), "0123456789abcdef0123456789abcdef", bot_name="Program", app=host)

    @app.get("/version")
    def version() -> dict[str, int]:
        return {"version": 3}

    return app
