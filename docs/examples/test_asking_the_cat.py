"""Tests of a bot: in memory, behind a simulated Poe, on a socket, and with recorded replies of another bot.

Run them with `pytest docs/examples/test_asking_the_cat.py`.
"""

from __future__ import annotations

import anyio
import pytest

from poeproto import Bot, BotError, Context, CostItem, Done, Error, QueryRequest, SettingsRequest, SettingsResponse
from poeproto_pytest import (
    BotFactory,
    RecordingFactory,
    assert_calls,
    assert_charged,
    assert_duration,
    assert_events,
    assert_failed,
    assert_first_event_within,
    assert_gaps_within,
    assert_no_findings,
    assert_text,
)
from poeproto_simulator import Canned

pytestmark = [pytest.mark.anyio, pytest.mark.poe_no_network]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class AskingBot(Bot):
    """Asks the cat, and charges for it."""

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        return SettingsResponse(server_bot_dependencies={"Cat": 1})

    async def get_response(self, request: QueryRequest, context: Context):
        if not request.query[-1].content:
            yield Error(text="Ask something.", error_type="user_caused_error", allow_retry=False)
            return
        yield "The cat says: "
        async for event in context.query_bot("Cat", request):
            yield event
        await context.capture_cost(CostItem(amount_usd_milli_cents=100, description="a cat's time"))


async def test_in_memory(poe_bot: BotFactory) -> None:
    bot = poe_bot(AskingBot(), bots={"Cat": Canned("meow")})
    reply = await bot.say("hello")
    assert_text(reply, "The cat says: meow")
    assert_calls(reply, {"Cat": 1})
    assert_charged(reply, 100)
    assert_no_findings(reply)  # of the rules of the protocol


async def test_an_error(poe_bot: BotFactory) -> None:
    reply = await poe_bot(AskingBot()).say("")
    assert_failed(reply, BotError, error_type="user_caused_error", text="Ask something.")


class SlowBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context):
        for word in ("one ", "two"):
            yield word
            await anyio.sleep(0.01)


async def test_times(poe_bot: BotFactory) -> None:
    reply = await poe_bot(SlowBot()).say("count")
    assert_events(reply, ["one two", Done()])
    assert_first_event_within(reply, 5)
    assert_gaps_within(reply, 5)
    assert_duration(reply, at_least=0.02)


async def test_on_a_socket(poe_bot: BotFactory) -> None:
    bot = poe_bot(AskingBot(), bots={"Cat": Canned("meow")})
    async with bot.serving() as url:
        assert url.startswith("http://127.0.0.1:")
        assert_text(await bot.say("hello"), "The cat says: meow")


async def test_with_recorded_replies(poe_bot: BotFactory, poe_recording: RecordingFactory) -> None:
    bot = poe_bot(AskingBot(), calls=poe_recording("cat.jsonl"))
    reply = await bot.query("hello")
    assert reply.text == "The cat says: meow"
    assert_calls(reply, ["Cat"])
