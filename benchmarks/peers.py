"""Applications under measurement: the replies of `benchmarks.apps`, from other libraries."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import fastapi_poe as fp
from aiohttp import web
from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from benchmarks.apps import PACE_SECONDS, PAUSES, Asgi, Sleep, text_of, wish_of


class TheirBot(fp.PoeBot):
    async def get_response(self, request: fp.QueryRequest) -> AsyncIterator[fp.PartialResponse]:
        manner, count = wish_of(request.query[-1].content)
        if manner == "burst":
            for number in range(count):
                yield fp.PartialResponse(text=text_of(number))
        elif manner in PAUSES:
            for number in range(count):
                if number:
                    await asyncio.sleep(PAUSES[manner])
                yield fp.PartialResponse(text=text_of(number))
        else:
            yield fp.PartialResponse(text=text_of(0))
            await asyncio.sleep(3600)


class TheirRelay(fp.PoeBot):
    def __init__(self, source: str) -> None:
        super().__init__()
        self._source = source

    async def get_response(self, request: fp.QueryRequest) -> AsyncIterator[fp.PartialResponse]:
        async for message in fp.stream_request(  # pyright: ignore[reportUnknownMemberType]
            request, "source", request.access_key, base_url=self._source
        ):
            yield message


def theirs(sleep: Sleep) -> Asgi:
    return _app_of(TheirBot())


def their_relay(source: str) -> Asgi:
    """A relay whose source is at that URL."""
    return _app_of(TheirRelay(source))


def _app_of(bot: fp.PoeBot) -> Asgi:
    logging.disable(logging.WARNING)  # it warns that settings are not synced, which is intended here
    app: Any = fp.make_app(bot, allow_without_key=True)
    logging.disable(logging.NOTSET)
    return app


def sse_starlette(sleep: Sleep) -> Asgi:
    async def events(content: str) -> AsyncIterator[dict[str, str]]:
        manner, count = wish_of(content)
        for number in range(count):
            if number and manner == "paced":
                await sleep(PACE_SECONDS)
            yield {"event": "text", "data": json.dumps({"text": text_of(number)})}
        if manner == "silent":
            await sleep(3600)
        yield {"event": "done", "data": "{}"}

    async def answer(request: Request) -> EventSourceResponse:
        body = await request.json()
        return EventSourceResponse(events(body["query"][-1]["content"]))

    app: Any = Starlette(routes=[Route("/", answer, methods=["POST"])])
    return app


def aiohttp_app(sleep: Sleep) -> web.Application:
    async def answer(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        manner, count = wish_of(body["query"][-1]["content"])
        response = web.StreamResponse(headers={"content-type": "text/event-stream", "cache-control": "no-cache"})
        await response.prepare(request)
        for number in range(count):
            if number and manner == "paced":
                await sleep(PACE_SECONDS)
            data = json.dumps({"text": text_of(number)})
            await response.write(f"event: text\ndata: {data}\n\n".encode())
        if manner == "silent":
            await sleep(3600)
        await response.write(b"event: done\ndata: {}\n\n")
        return response

    app = web.Application()
    app.router.add_post("/", answer)
    return app


APPS: dict[str, Callable[[Sleep], Any]] = {
    "fastapi_poe": theirs,
    "sse-starlette": sse_starlette,
    "aiohttp": aiohttp_app,
}
