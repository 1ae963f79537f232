"""Bots that run in the simulator: calls, uploads, fetches and costs of their contexts go to the simulator."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from poeproto import (
    Context,
    CostItem,
    Endpoints,
    FetchForbidden,
    InsufficientFunds,
    Limits,
    LocalProtocolError,
    QueryRequest,
)
from poeproto_h11 import Client
from poeproto_simulator import Canned, Simulator

from ...support.bots import KEY, query_body
from ...support.calling_bots import CallingBot
from ...support.raw_http import fetch, http_request
from ...support.scripted_peer import answering, response, scripted

pytestmark = pytest.mark.anyio


def a_simulator(balance: int = 1_000_000) -> Simulator:
    # A long deadline: no test here is about time.
    simulator = Simulator(strict=True, api_key="mine", balance=balance, limits=Limits(first_answer_seconds=30))
    simulator.register("Cat", Canned("Meow"))
    return simulator


async def busy(request: QueryRequest, context: Context) -> AsyncIterator[str]:
    await context.authorize_cost(CostItem(70))
    yield await context.final_text("Cat", "hello")
    file = await context.post_attachment(b"warm", name="weather.txt")
    yield f", it is {(await context.fetch_attachment(file.url)).decode()}"
    await context.capture_cost(CostItem(70))


async def test_all_calls_reach_the_simulator() -> None:
    simulator = a_simulator(balance=200)
    simulator.register("Busy", CallingBot(busy, Cat=1), access_key=KEY)
    async with simulator.serving():
        reply = await simulator.say("Busy", "hello")
    assert reply.final_text() == "Meow, it is warm"
    assert [file.data for file in reply.files] == [b"warm"]
    assert reply.spent == 70
    assert simulator.balance == 130


async def test_all_calls_reach_the_simulator_for_a_query_over_http() -> None:
    simulator = a_simulator()
    simulator.register("Busy", CallingBot(busy, Cat=1), access_key=KEY)
    async with (
        simulator.serving() as address,
        Client("mine", endpoints=Endpoints.at(address)) as client,
        client.query("Busy", "hello") as reply,
    ):
        assert await reply.text() == "Meow, it is warm"


async def test_insufficient_funds_reach_the_bot() -> None:
    seen: list[Any] = []

    async def greedy(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        try:
            await context.capture_cost(CostItem(70))
        except InsufficientFunds as exc:
            seen.append(exc)
        yield "over"

    simulator = a_simulator(balance=69)
    simulator.register("Greedy", CallingBot(greedy), access_key=KEY)
    async with simulator.serving():
        assert (await simulator.say("Greedy", "hello")).final_text() == "over"
    assert len(seen) == 1


def failing(seen: list[str]) -> Any:
    """A bot that records the error of each of its calls."""

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        for call in (
            lambda: context.final_text("Cat", "hello"),
            lambda: context.authorize_cost(CostItem(1)),
            lambda: context.post_attachment(b"x", name="x.txt"),
            lambda: context.fetch_attachment("http://localhost/files/x/x.txt"),
        ):
            try:
                await call()
            except LocalProtocolError as exc:
                seen.append(str(exc))
        yield "over"

    return bot


async def test_without_an_address_every_call_fails() -> None:
    seen: list[str] = []
    simulator = a_simulator()
    simulator.register("Caller", CallingBot(failing(seen), Cat=1), access_key=KEY)
    async with simulator:
        assert (await simulator.say("Caller", "hello")).final_text() == "over"
    assert len(seen) == 4
    assert all("Simulator.serving()" in message and "address" in message for message in seen)


async def test_a_host_header_does_not_redirect_calls_and_keys() -> None:
    simulator = a_simulator()
    simulator.register("Busy", CallingBot(busy, Cat=1), access_key=KEY)
    async with scripted(answering(response(200))) as elsewhere, simulator.serving() as address:
        host = elsewhere.address.removeprefix("http://").rstrip("/")
        request = http_request(query_body(), path="/bot/Busy", key="Bearer mine")
        request = request.replace(b"Host: ", f"Host: {host}\r\nX-Other: ".encode(), 1)
        assert f"Host: {host}\r\n".encode() in request
        answer = await fetch(address, request)
        assert b"Meow" in answer.body
        assert elsewhere.connections == 0


async def test_files_of_other_local_servers_are_not_fetched() -> None:
    seen: list[Any] = []

    async def curious(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        try:
            await context.fetch_attachment(request.query[-1].content)
        except FetchForbidden as exc:
            seen.append(exc)
        yield "over"

    simulator = a_simulator()
    simulator.register("Curious", CallingBot(curious), access_key=KEY)
    async with scripted(answering(response(200))) as elsewhere, simulator.serving():
        await simulator.say("Curious", f"{elsewhere.address}secret.txt")
        assert elsewhere.connections == 0
    assert len(seen) == 1


async def test_an_exception_within_serving_is_raised_unwrapped() -> None:
    with pytest.raises(ZeroDivisionError):
        async with Simulator().serving():
            raise ZeroDivisionError
    with pytest.raises(ValueError, match="nowhere"):
        async with Simulator().serving("nowhere"):
            pass
