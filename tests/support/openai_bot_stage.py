"""`OpenAIBot`, served, with a scripted endpoint on loopback."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import attrs

from poeproto import Bot, Event, Limits, Message, QueryRequest, RequestHead, SettingsRequest, SettingsResponse
from poeproto_h11 import FetchPolicy
from poeproto_openai import OpenAIBot, RateCard
from poeproto_runtime.context import RequestContext
from poeproto_runtime.routes import Route

from .calling_bots import QUERY, Served, calling
from .scripted_peer import LAST_CHUNK, STREAM_HEAD, Script, ScriptedServer, answering, chunk, response, scripted

API_KEY = "sk-canary-0123456789abcdef"


def record(delta: dict[str, Any], finish_reason: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return b"data: %b\n\n" % json.dumps({"choices": [choice], **more}).encode()


USAGE = {"prompt_tokens": 1000, "completion_tokens": 500, "prompt_tokens_details": {"cached_tokens": 400}}
HELLO = [record({"role": "assistant", "content": ""}), record({"content": "Hel"}), record({"content": "lo"})]
END = [record({}, "stop"), b"data: [DONE]\n\n"]


def streamed(*records: bytes) -> bytes:
    return STREAM_HEAD + b"".join(map(chunk, records)) + LAST_CHUNK


NO_POE = answering(response(404))
ANSWER = streamed(*HELLO, *END)
CARD = RateCard(input=3, output=15, cached_input=0.3)
CHARGED = streamed(*HELLO, record({}, "stop", usage=USAGE), b"data: [DONE]\n\n")


@attrs.frozen
class Stage:
    """A bot that is served, its endpoint, and Poe."""

    bot: OpenAIBot
    endpoint: ScriptedServer
    served: Served

    async def answer(self, query: QueryRequest = QUERY) -> list[Event]:
        return await self.served.answer(query)

    def body(self, number: int = -1) -> dict[str, Any]:
        return json.loads(self.endpoint.requests[number].body)


@asynccontextmanager
async def stage(
    *scripts: Script, poe: Script = NO_POE, policy: FetchPolicy | None = None, **options: Any
) -> AsyncGenerator[Stage]:
    async with scripted(*(scripts or (answering(ANSWER),))) as endpoint:
        options = {"model": "m", "api_key": API_KEY, **options}
        bot = OpenAIBot(f"{endpoint.address}v1/", **options)
        async with bot, calling(bot, poe, fetch_policy=policy) as served:
            yield Stage(bot, endpoint, served)
        await endpoint.until_closed(endpoint.connections)


def asked(*messages: Message, **more: Any) -> QueryRequest:
    return attrs.evolve(QUERY, query=list(messages), **more)


async def settings_of(bot: Bot) -> SettingsResponse:
    context = RequestContext(RequestHead("POST", "/"), Route(bot, allow_without_key=True), Limits())
    return await bot.get_settings(SettingsRequest(), context)
