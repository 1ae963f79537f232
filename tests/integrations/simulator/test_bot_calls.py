"""Bots with servers of their own that call the simulator: other bots, uploads, settings."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import anyio
import attrs
import pytest

from poeproto import (
    BotError,
    CostItem,
    Endpoints,
    Error,
    Event,
    FunctionDefinition,
    Message,
    QueryRequest,
    RemoteProtocolError,
    RequestRefused,
    SettingsResponse,
    Text,
    ToolDefinition,
    UploadRefused,
)
from poeproto.flows import ToolCallAggregator, parse_arguments, tool_result
from poeproto.schemas import settings_payload
from poeproto_h11 import Client
from poeproto_simulator import Canned, Echo, Fault, Scripted, Simulator, ToolCaller
from poeproto_simulator.records import settings_to_json

from ...support.bots import KEY
from ...support.served_simulator import a_place

pytestmark = pytest.mark.anyio


async def forwarding(request: QueryRequest, client: Client) -> AsyncIterator[Event | str]:
    """Forwards the query to Cat, and Cat's reply to the user."""
    async with client.query("Cat", request) as reply:
        async for event in reply:
            if isinstance(event, Text | Error):
                yield event


@pytest.mark.parametrize("strict", [True, False])
async def test_one_bot_calls_another(strict: bool) -> None:
    cat = Scripted(lambda request: f"Meow, {request.query[-1].content}")
    async with a_place(strict=strict) as place:
        place.simulator.register("Cat", cat)
        await place.add("Passer", forwarding, {"Cat": 1})
        reply = await place.simulator.say("Passer", "hello")
    assert reply.final_text() == "Meow, hello"
    (called,) = cat.requests
    assert called.message_id == reply.message_id
    assert called.bot_query_id != reply.query.request.bot_query_id, "its costs are its own"
    calls = [entry.details for entry in place.simulator.engine.log if entry.kind == "call"]
    assert calls == [{"caller": "Passer", "bot": "Cat", "number": 1, "declared": 1}]


async def test_both_have_servers_and_the_same_key() -> None:
    async def answering(request: QueryRequest, client: Client) -> AsyncIterator[Event | str]:
        yield f"Meow, {request.query[-1].content}"

    async with a_place() as place:
        await place.add("Cat", answering)
        await place.add("Passer", forwarding, {"Cat": 1})
        assert (await place.simulator.say("Passer", "hello")).final_text() == "Meow, hello"


@pytest.mark.parametrize("strict", [True, False])
async def test_an_undeclared_call_is_refused(strict: bool) -> None:
    async with a_place(strict=strict) as place:
        place.simulator.register("Cat", Echo())
        await place.add("Passer", forwarding)
        reply = await place.simulator.say("Passer", "hello")
    assert reply.error is not None
    assert reply.error.text == f"message {reply.message_id}: the settings of Passer declare no call to Cat"


async def test_declared_calls_are_counted_for_each_message() -> None:
    async def insisting(request: QueryRequest, client: Client) -> AsyncIterator[Event | str]:
        for _ in range(3):
            async with client.query("Cat", request) as reply:
                yield await reply.text()

    async with a_place() as place:
        place.simulator.register("Cat", Canned("Meow"))
        await place.add("Passer", insisting, {"Cat": 2})
        first = await place.simulator.say("Passer", "hello")
        second = await place.simulator.say("Passer", "hello", conversation=first)
    for reply in (first, second):
        assert reply.text == "MeowMeow"
        assert isinstance(reply.failure, BotError), "the bot did not catch it"
    refusals = [entry.details["reason"] for entry in place.simulator.engine.log if entry.kind == "refusal"]
    assert refusals == [
        f"message {reply.message_id}: the settings of Passer declare 2 calls to Cat, which have been made"
        for reply in (first, second)
    ]


async def test_a_call_without_a_message_is_refused_when_strict() -> None:
    async with a_place(strict=True) as place:
        place.simulator.register("Cat", Echo())
        await place.add("Passer", forwarding, {"Cat": 1})
        client = await place.client(KEY)
        with pytest.raises(BotError, match="Passer called without a message to answer"):
            async with client.query("Cat", "hello") as reply:
                await reply.text()


async def test_calls_are_counted_for_a_message_from_another_program() -> None:
    async def insisting(request: QueryRequest, client: Client) -> AsyncIterator[Event | str]:
        for _ in range(2):
            async with client.query("Cat", request) as reply:
                yield await reply.text()

    async with a_place() as place:
        place.simulator.register("Cat", Canned("Meow"))
        await place.add("Passer", insisting, {"Cat": 1})
        url = place.simulator.engine.bots["Passer"].url
        assert url is not None
        client = await place.client(KEY)
        for message_id in ("m-1", "m-2"):
            async with client.query(url, QueryRequest([Message("user", "hello")], message_id=message_id)) as reply:
                with pytest.raises(BotError):
                    await reply.text()
            assert reply.fold.text == "Meow"


async def test_a_bot_whose_settings_cannot_be_fetched_may_call_no_bot() -> None:
    async with a_place() as place:
        place.simulator.register("Cat", Echo())
        place.simulator.register("Down", "http://127.0.0.1:9/", access_key=KEY)
        client = await place.client(KEY)
        with pytest.raises(BotError, match="the settings of Down declare no call to Cat"):
            async with client.query("Cat", QueryRequest([Message("user", "hello")], message_id="m-1")) as reply:
                await reply.text()


async def test_settings_with_fields_that_poe_does_not_know() -> None:
    elsewhere = Simulator()
    elsewhere.faults.add("Cat", Fault.garbage('{"response_version": 2, "colour": "red"}'))
    async with elsewhere.serving() as url, Simulator() as simulator:
        simulator.register("Cat", f"{url}/bot/Cat")
        with pytest.raises(RemoteProtocolError, match="unknown settings: colour"):
            await simulator.fetch_settings("Cat")
        assert simulator.settings_of("Cat") is None


async def test_settings_of_a_later_version_are_forwarded_and_stored() -> None:
    controls = {"api_version": "3", "sections": [{"controls": [{"control": "dial", "turns": 3}], "added": 1}]}
    wire = {"response_version": 2, "parameter_controls": controls}
    elsewhere = Simulator()
    elsewhere.faults.add("Cat", Fault.garbage(json.dumps(wire)), times=None)
    async with elsewhere.serving() as url, a_place() as place:
        place.simulator.register("Cat", f"{url}/bot/Cat")
        assert settings_payload(await (await place.client(KEY)).settings("Cat")) == wire
        await place.simulator.fetch_settings("Cat")
        assert settings_to_json(place.simulator.settings_of("Cat")) == wire


async def test_the_settings_of_a_server_that_is_down() -> None:
    async with a_place() as place:
        place.simulator.register("Down", "http://127.0.0.1:9/")
        with pytest.raises(RequestRefused, match="the settings of Down could not be fetched") as caught:
            await (await place.client(KEY)).settings("Down")
    assert caught.value.status == 502


async def test_a_user_stops_a_reply() -> None:
    authorized, stopped = anyio.Event(), anyio.Event()

    async def holding(request: QueryRequest, client: Client) -> AsyncIterator[Event | str]:
        await client.authorize_cost(CostItem(700), request.bot_query_id)
        yield "so far"
        authorized.set()
        try:
            await anyio.sleep_forever()
        finally:
            stopped.set()

    async with a_place(balance=1000) as place:
        await place.add("Holder", holding)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(place.simulator.say, "Holder", "hello")
            await authorized.wait()
            tasks.cancel_scope.cancel()
        await stopped.wait()
        (query,) = place.simulator.engine.queries.values()
        assert query.authorized == 0
        (conversation,) = place.simulator.engine.conversations.values()
        assert [message.role for message in conversation.messages] == ["user"]


async def test_a_bot_is_queried_with_its_own_key() -> None:
    async with a_place() as place:
        place.simulator.register("Cat", Echo(), access_key=KEY)
        async with (await place.client(KEY)).query("Cat", "hello") as reply:
            assert await reply.text() == "hello"


async def test_a_bot_with_a_server_is_called_by_its_name() -> None:
    async def answering(request: QueryRequest, client: Client) -> AsyncIterator[Event | str]:
        yield f"{request.query[-1].content}, {len(request.bot_query_id)}"

    async with a_place(strict=True, api_key="mine") as place:
        await place.add("Cat", answering)
        client = await place.client("mine")
        async with client.query("Cat", "hello") as reply:
            assert await reply.text() == "hello, 34"
        assert (await client.settings("Cat")).server_bot_dependencies == {}
        with pytest.raises(RequestRefused) as caught:
            async with client.query("Dog", "hello") as reply:
                pass
    assert caught.value.status == 404


async def test_a_bot_whose_server_is_down() -> None:
    async with a_place() as place:
        place.simulator.register("Down", "http://127.0.0.1:9/")
        client = await place.client("mine")
        with pytest.raises(BotError, match="Down did not answer"):
            async with client.query("Down", "hello") as reply:
                await reply.text()


async def test_files_that_a_bot_uploads() -> None:
    async def drawing(request: QueryRequest, client: Client) -> AsyncIterator[Event | str]:
        picture = await client.upload(b"\x89PNG", name='täst "1".png')
        copy = await client.upload_by_url(picture.url, name="copy.png")
        yield picture.event("ref")
        yield copy.event()

    async with a_place(strict=True) as place:
        await place.add("Artist", drawing)
        reply = await place.simulator.say("Artist", "draw")
    assert reply.failure is None
    first, second = reply.files
    assert (first.name, first.content_type, first.inline_ref, first.data) == (
        'täst "1".png',
        "image/png",
        "ref",
        b"\x89PNG",
    )
    assert (second.name, second.content_type, second.data) == ("copy.png", "image/png", b"\x89PNG")
    assert first.url.startswith(f"{place.address}/files/")


async def test_uploads_from_another_server() -> None:
    elsewhere = Simulator()
    async with elsewhere.serving() as origin, Simulator(fetch_origins=[origin]).serving() as address:
        other = await elsewhere.store_file(b"warm", "weather.txt")
        async with Client(access_key=KEY, endpoints=Endpoints.at(address)) as client:
            fetched = await client.upload_by_url(other.url)
            assert (fetched.name, fetched.content_type, fetched.size) == ("weather.txt", "text/plain", 4)
            elsewhere.files.expire(other.url, 410)
            with pytest.raises(UploadRefused, match="400") as caught:
                await client.upload_by_url(other.url)
            assert json.loads(caught.value.body_start)["error"] == "the file could not be fetched: status 410"
            with pytest.raises(UploadRefused, match="403"):
                await client.upload_by_url("http://127.0.0.1:9/x")


async def test_settings_are_pushed_and_fetched() -> None:
    async with a_place(strict=True) as place:

        async def answering(request: QueryRequest, client: Client) -> AsyncIterator[Event | str]:
            yield "yes"

        await place.add("Cat", answering, {"Dog": 3})
        client = await place.client(KEY)
        pushed = SettingsResponse(introduction_message="hi")
        assert await client.sync_settings("Cat", pushed) is None
        assert place.simulator.settings_of("Cat") == pushed
        fetched = await client.sync_settings("Cat")
        assert fetched is not None
        assert fetched.server_bot_dependencies == {"Dog": 3}
        assert place.simulator.settings_of("Cat") == fetched
        with pytest.raises(RequestRefused) as caught:
            await client.sync_settings("Cat", pushed, access_key="x" * 32)
    assert caught.value.status == 401


async def test_settings_that_a_bot_pushes_before_it_is_registered() -> None:
    async with a_place() as place:
        pushed = SettingsResponse(server_bot_dependencies={"Cat": 1})
        await (await place.client(KEY)).sync_settings("Passer", pushed)
        assert place.simulator.settings_of("Passer") == pushed
        await place.add("Passer", forwarding)
        assert place.simulator.settings_of("Passer") == pushed
        assert (await place.simulator.say("Passer", "hello")).final_text() == "hello"
        await place.add("Passer", forwarding)
        assert place.simulator.settings_of("Passer") is None, "another bot of that name"


@pytest.mark.parametrize("calls", [None, {"weather": {"town": "Paris"}}, [("weather", {"town": "é"}), ("weather", {})]])
async def test_a_model_that_calls_tools(calls: object) -> None:
    parameters: dict[str, Any] = {
        "type": "object",
        "properties": {"town": {"type": "string"}, "days": {"type": "integer"}},
    }
    parameters["properties"]["unit"] = {"enum": ["K", "C"]}
    parameters["properties"]["any"] = True
    tool = ToolDefinition(function=FunctionDefinition("weather", "The weather", parameters))
    async with a_place() as place:
        place.simulator.register("Model", ToolCaller(calls))  # pyright: ignore[reportArgumentType]
        client = await place.client("mine")
        aggregator = ToolCallAggregator()
        request = QueryRequest([Message("user", "London")], tools=[tool])
        async with client.query("Model", request) as reply:
            async for _ in reply:
                pass
            for event in reply.fold.json:
                aggregator.add(event)
        made = aggregator.calls
        results = [tool_result(each, "sunny") for each in made]
        async with client.query("Model", attrs.evolve(request, tool_calls=made, tool_results=results)) as reply:
            assert await reply.text() == "weather says: sunny\n" * len(made)
        async with client.query("Model", "hello") as reply:
            assert await reply.text() == "hello"
    arguments = list(map(parse_arguments, made))
    if calls is None:
        assert arguments == [{"town": "London", "days": 1, "unit": "K", "any": "London"}]
    else:
        pairs = calls.items() if isinstance(calls, dict) else calls
        assert arguments == [wanted for _, wanted in pairs]  # pyright: ignore[reportGeneralTypeIssues]


async def test_fifty_conversations_through_a_bot_that_calls_two() -> None:
    async def both(request: QueryRequest, client: Client) -> AsyncIterator[Event | str]:
        for name in ("Cat", "Dog"):
            async with client.query(name, request) as reply:
                yield await reply.text()

    async with a_place(strict=True) as place:
        place.simulator.register("Cat", Scripted(lambda request: f"cat {request.query[-1].content} "))
        place.simulator.register("Dog", Scripted(lambda request: f"dog {request.query[-1].content}"))
        await place.add("Both", both, {"Cat": 1, "Dog": 1})
        texts: dict[int, str] = {}

        async def talk(number: int) -> None:
            texts[number] = (await place.simulator.say("Both", str(number))).final_text()

        async with anyio.create_task_group() as tasks:
            for number in range(50):
                tasks.start_soon(talk, number)
    assert texts == {number: f"cat {number} dog {number}" for number in range(50)}
