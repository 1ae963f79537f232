"""Each example, through the gateway and back: Poe bot, `OpenAIGateway`, `OpenAIBot`, the same reply."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import pytest

from poeproto import Context, Event, Json, QueryRequest, ToolCall
from poeproto.flows import ToolCallAggregator
from poeproto_openai import OpenAIBot, OpenAIGateway, UpstreamBot
from poeproto_simulator import ReceivedReply

from ..support.bots import KEY, FunctionBot
from ..support.example_stage import EXAMPLES, Stage, playing, playing_bot
from ..support.hypercorn_servers import serving

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

# Not those that charge, or that upload files: a request of OpenAI's has no query that Poe knows. Nor the one that asks
# who is present: it has no list of users either.
_NEED_POE = frozenset({"charging", "playing_media", "sending_files", "taking_minutes"})
BOTS = sorted(
    path.stem
    for path in EXAMPLES.glob("*.py")
    if re.search(r"^bot\b.*=", path.read_text(encoding="utf-8"), re.MULTILINE) and path.stem not in _NEED_POE
)
# Not "model": text in a chunk of OpenAI's is content for OpenAI's clients, but not on Poe.
WISHES = ("hello", "change", "picture", "help", "remember", "plain", "error")


@asynccontextmanager
async def through_the_gateway(stage: Stage) -> AsyncGenerator[str]:
    """Register at Poe the bot that calls the gateway that calls the bot on the stage; yields its name."""
    gateway = OpenAIGateway({"example": UpstreamBot(stage.url, KEY)}, allow_without_key=True)
    async with serving(gateway) as address, OpenAIBot(f"{address}v1", "example") as bot:
        stage.poe.register("Again", bot)
        yield "Again"


def calls_in(reply: ReceivedReply) -> list[ToolCall]:
    aggregator = ToolCallAggregator()
    for event in reply.fold.json:
        aggregator.add(event)
    return aggregator.calls


def content_of(reply: ReceivedReply) -> tuple[object, ...]:
    fold = reply.fold
    files = [(file.url, file.name, file.content_type, file.inline_ref) for file in fold.files]
    return fold.text, calls_in(reply), files, fold.suggested_replies, fold.metadata, reply.error is None


async def assert_same(stage: Stage, text: str) -> None:
    direct = await stage.say(text)
    async with through_the_gateway(stage) as name:
        assert content_of(await stage.poe.say(name, text)) == content_of(direct)


@pytest.mark.parametrize("example", BOTS)
async def test_an_example(example: str) -> None:
    async with playing(example) as stage:
        await assert_same(stage, "hello")


@pytest.mark.parametrize("wish", WISHES)
async def test_every_request_to_the_cat(wish: str) -> None:
    async with playing("cat") as stage:
        await assert_same(stage, wish)


def part(index: int, **function: str) -> dict[str, object]:
    return {"index": index, "id": f"call_{index}", "type": "function", "function": function}


async def calls(request: QueryRequest, context: Context) -> AsyncIterator[Event | str]:
    yield "Let me see. "
    for index in (0, 1):
        yield Json({"choices": [{"index": 0, "delta": {"tool_calls": [part(index, name="f", arguments="{")]}}]})
        yield Json({"choices": [{"index": 0, "delta": {"tool_calls": [part(index, arguments="}")]}}]})
    yield Json({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})


async def test_tool_calls() -> None:
    async with playing_bot(FunctionBot(calls)) as stage:
        await assert_same(stage, "hello")
