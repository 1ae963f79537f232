"""Applications under measurement: our bot, and the same reply without a protocol. `benchmarks.peers` has the others.

The last message of the query says what the reply is:
    "burst 1000"  that many text events, as fast as possible
    "paced 100"   that many text events, with a pause of 20 ms before each but the first
    "steady 10"   that many text events, with a pause of a second before each but the first
    "silent"      one event, then nothing until the peer disconnects

A relay passes the query on to a source (`benchmarks.bare_sockets`), and the events of its reply back.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from functools import cache
from typing import Any

from benchmarks.processes import ACCESS_KEY
from poeproto import (
    Bot,
    Context,
    Endpoints,
    Event,
    Limits,
    QueryRequest,
    SettingsRequest,
    SettingsResponse,
    Text,
    encode_event,
    encode_sse,
)
from poeproto_asgi import BotApp

PACE_SECONDS = 0.02
PAUSES = {"paced": PACE_SECONDS, "steady": 1.0}
# More than any case needs. The default of 10,000 events is Poe's, and the longest reply here has 100,000.
LIMITS = Limits(events=1_000_000, text_length=100_000_000)
DONE = encode_sse("done", "{}")
# The size of our own server's writes.
BLOCK = 64 * 1024

Sleep = Callable[[float], Awaitable[None]]
Asgi = Callable[[MutableMapping[str, Any], Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Any]


def text_of(number: int) -> str:
    """The text of the event with that number."""
    return f"event {number} "


@cache
def encoded(count: int) -> list[bytes]:
    """The first `count` events as bytes, encoded once, for applications that only send."""
    return [encode_event(Text(text_of(number))) for number in range(count)]


@cache
def blocks(count: int) -> list[bytes]:
    """The bytes of the first `count` events, in blocks of 64 KiB."""
    whole = b"".join(encoded(count))
    return [whole[start : start + BLOCK] for start in range(0, len(whole), BLOCK)]


def wish_of(content: str) -> tuple[str, int]:
    """Parse a message into the kind of reply and the number of events."""
    manner, _, count = content.partition(" ")
    return manner, int(count or "1")


class OurBot(Bot):
    """Yields strings, like the bots in the README."""

    def __init__(self, sleep: Sleep) -> None:
        self._sleep = sleep

    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[str]:
        manner, count = wish_of(request.query[-1].content)
        if manner == "burst":
            for number in range(count):
                yield text_of(number)
        elif manner in PAUSES:
            for number in range(count):
                if number:
                    await self._sleep(PAUSES[manner])
                yield text_of(number)
        else:
            yield text_of(0)
            await self._sleep(3600)


class OurBotOfEvents(Bot):
    """Yields `Text` objects; answers only bursts."""

    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[Text]:
        _, count = wish_of(request.query[-1].content)
        for number in range(count):
            yield Text(text_of(number))


class OurRelay(Bot):
    """Passes another bot's events on, as the README shows it."""

    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[Event]:
        async for event in context.query_bot("source", request):
            yield event

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        return SettingsResponse(server_bot_dependencies={"source": 1})


def ours(bot: Bot) -> BotApp:
    return BotApp(bot, allow_without_key=True, limits=LIMITS)


def our_relay(source: str) -> BotApp:
    """A relay whose source is at that URL."""
    return BotApp(OurRelay(), access_key=ACCESS_KEY, limits=LIMITS, endpoints=Endpoints.at(source), sync_settings=False)


def our_gateway(source: str) -> BotApp:
    """The gateway for OpenAI's clients, with the bot at that URL."""
    from poeproto_openai import OpenAIGateway, UpstreamBot

    return OpenAIGateway({"source": UpstreamBot(source, ACCESS_KEY)}, api_keys=ACCESS_KEY, limits=LIMITS)


def our_openai_bot(source: str) -> BotApp:
    """A bot that answers with a model, whose endpoint is at that URL."""
    from poeproto_openai import OpenAIBot

    bot = OpenAIBot(source, "source")
    return BotApp(bot, access_key=ACCESS_KEY, limits=LIMITS, endpoints=Endpoints.at(source), sync_settings=False)


def bare(sleep: Sleep) -> Asgi:
    """An ASGI application without a protocol: sends encoded events, one `send` for each."""
    return _bare(sleep, encoded)


def bare_blocks(sleep: Sleep) -> Asgi:
    """An ASGI application without a protocol: sends encoded events in blocks, which is the limit of the server."""
    return _bare(sleep, blocks)


def _bare(sleep: Sleep, parts_of: Callable[[int], list[bytes]]) -> Asgi:
    async def app(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for answer in ("lifespan.startup.complete", "lifespan.shutdown.complete"):
                await receive()
                await send({"type": answer})
            return
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        manner, count = wish_of(json.loads(body)["query"][-1]["content"])
        headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if manner == "burst":
            for part in parts_of(count):
                await send({"type": "http.response.body", "body": part, "more_body": True})
        elif manner in PAUSES:
            for number, event in enumerate(encoded(count)):
                if number:
                    await sleep(PAUSES[manner])
                await send({"type": "http.response.body", "body": event, "more_body": True})
        else:
            await send({"type": "http.response.body", "body": encoded(1)[0], "more_body": True})
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        await send({"type": "http.response.body", "body": DONE})

    return app
