"""The servers that are measured, each in a process of its own: python -m benchmarks.servers NAME PORT."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator

import fastapi_poe as fp
import uvicorn

from poeproto import Bot, Context, QueryRequest, Text
from poeproto_asgi import BotApp, run

EVENTS = 1000


class BurstBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[Text]:
        for number in range(EVENTS):
            yield Text(f"event {number} ")


class TheirBurstBot(fp.PoeBot):
    async def get_response(self, request: fp.QueryRequest) -> AsyncIterator[fp.PartialResponse]:
        for number in range(EVENTS):
            yield fp.PartialResponse(text=f"event {number} ")


def main(name: str, port: int) -> None:
    match name:
        case "fastapi_poe":
            app = fp.make_app(TheirBurstBot(), allow_without_key=True)
            uvicorn.run(app, port=port, loop="asyncio", http="h11", log_level="warning", access_log=False)
        case "asyncio" | "uvloop" | "trio":
            run(BotApp(BurstBot(), allow_without_key=True), bind=f"127.0.0.1:{port}", worker_class=name)
        case _:
            sys.exit(f"there is no server {name}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
