"""Our bot that is measured, and the same reply from what knows no bots; `benchmarks.peers` has the others.

Each answers what the last message asks for: "burst 1000" that many text events as fast as it can, "paced 100" that
many with a pause of 20 ms before each but the first, "silent" one event and then nothing while the connection lasts.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from functools import cache
from typing import Any

from poeproto import Bot, Context, Limits, QueryRequest, Text, encode_event, encode_sse
from poeproto_asgi import BotApp

PACE_SECONDS = 0.02
# More than any case asks for: the default of 10,000 events is Poe's, and here 100,000 are measured.
LIMITS = Limits(events=1_000_000, text_length=100_000_000)
DONE = encode_sse("done", "{}")
# As much as our own server writes at once.
BLOCK = 64 * 1024

Sleep = Callable[[float], Awaitable[None]]
Asgi = Callable[[MutableMapping[str, Any], Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Any]


def text_of(number: int) -> str:
    """The text of an event."""
    return f"event {number} "


@cache
def encoded(count: int) -> list[bytes]:
    """The first so many events on the wire: encoded once, for those that only send."""
    return [encode_event(Text(text_of(number))) for number in range(count)]


@cache
def blocks(count: int) -> list[bytes]:
    """The same in blocks of 64 KiB."""
    whole = b"".join(encoded(count))
    return [whole[start : start + BLOCK] for start in range(0, len(whole), BLOCK)]


def wish_of(content: str) -> tuple[str, int]:
    """What a message asks for: the manner, and how many events."""
    manner, _, count = content.partition(" ")
    return manner, int(count or "1")


class OurBot(Bot):
    """Yields strings, as the README's bots do."""

    def __init__(self, sleep: Sleep) -> None:
        self._sleep = sleep

    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[str]:
        manner, count = wish_of(request.query[-1].content)
        if manner == "burst":
            for number in range(count):
                yield text_of(number)
        elif manner == "paced":
            for number in range(count):
                if number:
                    await self._sleep(PACE_SECONDS)
                yield text_of(number)
        else:
            yield text_of(0)
            await self._sleep(3600)


class OurBotOfEvents(Bot):
    """Makes an event of each text by itself; it knows bursts only."""

    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[Text]:
        _, count = wish_of(request.query[-1].content)
        for number in range(count):
            yield Text(text_of(number))


def ours(bot: Bot) -> BotApp:
    return BotApp(bot, allow_without_key=True, limits=LIMITS)


def bare(sleep: Sleep) -> Asgi:
    """No bot at all: the encoded events, one send each."""
    return _bare(sleep, encoded)


def bare_blocks(sleep: Sleep) -> Asgi:
    """The same in blocks of 64 KiB: all that the server under it can do."""
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
        elif manner == "paced":
            for number, event in enumerate(encoded(count)):
                if number:
                    await sleep(PACE_SECONDS)
                await send({"type": "http.response.body", "body": event, "more_body": True})
        else:
            await send({"type": "http.response.body", "body": encoded(1)[0], "more_body": True})
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        await send({"type": "http.response.body", "body": DONE})

    return app
