"""Served bots against the simulator: costs, and the push of the settings."""

from __future__ import annotations

from collections.abc import AsyncIterable
from contextlib import closing

import anyio
import pytest

import poeproto_compat as fp
from poeproto import Endpoints, Error
from poeproto_compat.app import PoeApp

from ...support.bots import KEY
from ...support.hypercorn_servers import serving
from ...support.reserved_port import ReservedPort
from ...support.served_simulator import Place, a_place

pytestmark = pytest.mark.anyio


class Charging(fp.PoeBot):
    """Charges for its reply; `base_url` is set by the test."""

    base_url = ""
    amount = 300

    async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
        cost = fp.CostItem(amount_usd_milli_cents=self.amount, description="thinking")
        await self.authorize_cost(request, cost, base_url=self.base_url)
        yield fp.PartialResponse(text="thought")
        await self.capture_cost(request, [cost, cost], base_url=self.base_url)


async def say(place: Place, bot: Charging) -> str:
    bot.base_url = f"{place.address}/"
    async with serving(fp.make_app(bot, KEY)) as url:
        place.simulator.register("Thinker", url, access_key=KEY)
        reply = await place.simulator.say("Thinker", "hello")
        errors = [event.error_type for event in reply.events if isinstance(event, Error)]
        return f"{errors or reply.final_text()} {reply.spent}"


async def test_costs_are_charged() -> None:
    async with a_place(balance=1000) as place:
        assert await say(place, Charging()) == "thought 600"


async def test_a_user_who_cannot_pay_is_informed() -> None:
    async with a_place(balance=100) as place:
        assert await say(place, Charging()) == "['insufficient_fund'] 0"


async def test_a_call_about_a_cost_that_fails() -> None:
    query = fp.QueryRequest(
        version="1.2", type="query", query=[], user_id="u", conversation_id="c", message_id="m", bot_query_id="q"
    )
    bot = fp.PoeBot(access_key=KEY)
    with closing(ReservedPort()) as port:
        address = f"http://127.0.0.1:{port.number}/"
        with pytest.raises(fp.CostRequestError, match="no connection"):
            await bot.authorize_cost(query, fp.CostItem(amount_usd_milli_cents=1), base_url=address)
        with pytest.raises(fp.CostRequestError, match="greater than zero"):
            await bot.capture_cost(query, fp.CostItem(amount_usd_milli_cents=0), base_url=address)


async def test_settings_are_pushed_in_the_lifespan() -> None:
    class Introduced(fp.PoeBot):
        async def get_settings(self, setting: fp.SettingsRequest) -> fp.SettingsResponse:
            assert setting.type == "settings"
            return fp.SettingsResponse(introduction_message="hi", enable_multi_bot_chat_prompting=True)

    async with a_place() as place:
        place.simulator.register("Cat", "http://127.0.0.1:9/", access_key=KEY)
        app = PoeApp([Introduced(bot_name="Cat", access_key=KEY)], endpoints=Endpoints.at(place.address))
        assert place.simulator.settings_of("Cat") is None
        async with app.lifespan():
            while (settings := place.simulator.settings_of("Cat")) is None:
                await anyio.wait_all_tasks_blocked()
    assert settings.introduction_message == "hi"
    assert settings.enable_multi_entity_prompting
