"""Costs that bots charge in the simulator."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest

from poeproto import (
    BotError,
    CostItem,
    Error,
    Event,
    InsufficientFunds,
    QueryRequest,
)
from poeproto_h11 import Client

from ...support.served_simulator import a_place

pytestmark = pytest.mark.anyio


async def test_costs_are_paid() -> None:
    async def charging(request: QueryRequest, client: Client) -> AsyncIterator[Event | str]:
        items = [CostItem(300, "thinking"), CostItem(200)]
        await client.authorize_cost(items, request.bot_query_id)
        yield "thought"
        await client.capture_cost(items, request.bot_query_id)

    async with a_place(strict=True, balance=1200) as place:
        await place.add("Thinker", charging)
        first = await place.simulator.say("Thinker", "hello")
        second = await place.simulator.say("Thinker", "hello")
        third = await place.simulator.say("Thinker", "hello")
    assert (first.spent, second.spent, third.spent) == (500, 500, 0)
    assert [item.description for item in first.charges[0].items] == ["thinking", None]
    assert (first.charges[0].bot_name, place.simulator.balance) == ("Thinker", 200)
    assert [charge.amount for charge in place.simulator.charges] == [500, 500]
    assert isinstance(third.failure, BotError), "the bot did not catch it"


async def test_insufficient_funds_are_a_status_of_their_own() -> None:
    caught: list[InsufficientFunds] = []

    async def charging(request: QueryRequest, client: Client) -> AsyncIterator[Event | str]:
        try:
            await client.authorize_cost(CostItem(2), request.bot_query_id)
        except InsufficientFunds as exc:
            caught.append(exc)
            yield Error(text="too dear", error_type="insufficient_fund", allow_retry=False)

    async with a_place(balance=1) as place:
        await place.add("Thinker", charging)
        await place.simulator.say("Thinker", "hello")
    assert caught[0].status == "insufficient_fund"


async def test_an_authorised_amount_is_reserved_until_the_reply_has_ended() -> None:
    authorized, go_on = anyio.Event(), anyio.Event()

    async def holding(request: QueryRequest, client: Client) -> AsyncIterator[Event | str]:
        await client.authorize_cost(CostItem(700), request.bot_query_id)
        authorized.set()
        await go_on.wait()
        yield "done"

    async def wanting(request: QueryRequest, client: Client) -> AsyncIterator[Event | str]:
        try:
            await client.capture_cost(CostItem(700), request.bot_query_id)
            yield "paid"
        except InsufficientFunds:
            yield "too dear"

    async with a_place(balance=1000) as place:
        await place.add("Holder", holding, key="h" * 32)
        await place.add("Wanter", wanting)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(place.simulator.say, "Holder", "hello")
            await authorized.wait()
            assert (await place.simulator.say("Wanter", "hello")).text == "too dear"
            go_on.set()
        assert (await place.simulator.say("Wanter", "hello")).text == "paid"
        assert place.simulator.balance == 300
