"""fastapi_poe's client and bots, pointed at the simulator by its base address alone."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import anyio.to_thread
import fastapi_poe
import pytest
from fastapi_poe import types
from fastapi_poe.base import InsufficientFundError
from fastapi_poe.client import BotError, sync_bot_settings

from poeproto import Divider, ParameterControls, Section, SettingsResponse, Tab, Text, TextField
from poeproto_simulator import Canned, Echo, Fault, Simulator, ToolCaller

from ..support.bots import KEY
from ..support.fastapi_poe_peers import a_request, ignore_error, server_of

pytestmark = [
    pytest.mark.anyio,
    # fastapi_poe calls pydantic 2 by pydantic 1's names.
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20"),
]


@pytest.fixture
def anyio_backend() -> str:
    """fastapi_poe leaves generators to the garbage collector, which asyncio tolerates."""
    return "asyncio"


@pytest.fixture(params=[True, False], ids=["strict", "lenient"])
async def simulator(request: pytest.FixtureRequest) -> AsyncGenerator[Simulator]:
    simulator = Simulator(strict=request.param, api_key="mine")
    simulator.register("Cat Bot", Canned([Text("Meow"), Text("!")]), access_key=KEY)
    async with simulator.serving():
        yield simulator


async def text_of(simulator: Simulator, bot_name: str, **more: Any) -> str:
    messages = fastapi_poe.stream_request(
        a_request(),
        bot_name,
        "mine",
        base_url=f"{simulator.address}/bot/",
        num_tries=1,
        on_error=ignore_error,
        **more,
    )
    return "".join([message.text async for message in messages])


async def test_fastapi_poe_queries_a_bot(simulator: Simulator) -> None:
    assert await text_of(simulator, "Cat Bot") == "Meow!"
    assert "keys-into-bodies" not in repr(simulator.engine.queries)


async def test_fastapi_poe_runs_tools(simulator: Simulator) -> None:
    def weather(town: str) -> str:
        return f"warm in {town}"

    simulator.register("Model", ToolCaller({"weather": {"town": "Paris"}}))
    schema = {"type": "object", "properties": {"town": {"type": "string"}}}
    definition = {"type": "function", "function": {"name": "weather", "description": "", "parameters": schema}}
    tools = [fastapi_poe.ToolDefinition.model_validate(definition)]
    answer = await text_of(simulator, "Model", tools=tools, tool_executables=[weather])
    assert answer == 'weather says: "warm in Paris"\n'


async def test_fastapi_poe_meets_misbehaviour(simulator: Simulator) -> None:
    simulator.faults.add("Cat Bot", Fault.status(500))
    with pytest.raises(BotError):
        await text_of(simulator, "Cat Bot")


async def test_fastapi_poe_uploads(simulator: Simulator) -> None:
    base_url = f"{simulator.address}/poe_api/"
    first = await fastapi_poe.upload_file(b"it is warm", file_name="weather.txt", api_key="mine", base_url=base_url)
    assert (first.name, first.content_type) == ("weather.txt", "text/plain")
    second = await fastapi_poe.upload_file(file_url=first.url, file_name="copy.txt", api_key="mine", base_url=base_url)
    for uploaded in (first, second):
        stored = simulator.files.find(uploaded.url)
        assert stored is not None
        assert await simulator.files.read(stored) == b"it is warm"


async def test_fastapi_poe_syncs_settings(simulator: Simulator) -> None:
    def sync(settings: dict[str, Any] | None) -> None:
        sync_bot_settings("Cat Bot", KEY, settings=settings, base_url=f"{simulator.address}/bot/")

    await anyio.to_thread.run_sync(sync, {"introduction_message": "hi", "response_version": 2})
    assert simulator.settings_of("Cat Bot") == SettingsResponse(introduction_message="hi")
    await anyio.to_thread.run_sync(sync, None)
    assert simulator.settings_of("Cat Bot") == SettingsResponse()


async def test_fastapi_poe_syncs_controls(simulator: Simulator) -> None:
    """fastapi_poe's client writes a null for every key that is not set."""
    tab = types.Tab(controls=[types.TextField(label="L", parameter_name="p")])
    sections = [types.Section(tabs=[tab]), types.Section(controls=[types.Divider()])]
    theirs = fastapi_poe.SettingsResponse(parameter_controls=types.ParameterControls(sections=sections))

    def sync() -> None:
        sync_bot_settings("Cat Bot", KEY, settings=theirs.model_dump(), base_url=f"{simulator.address}/bot/")

    await anyio.to_thread.run_sync(sync)
    ours = [Section(tabs=[Tab(controls=[TextField(label="L", parameter_name="p")])]), Section(controls=[Divider()])]
    assert simulator.settings_of("Cat Bot") == SettingsResponse(parameter_controls=ParameterControls(ours))


class Caller(fastapi_poe.PoeBot):
    """A bot of fastapi_poe that calls another, uploads a file and charges for it."""

    def __init__(self, address: str, price: int) -> None:
        super().__init__()
        self.address = address
        self.price = price

    async def get_settings(self, setting: fastapi_poe.SettingsRequest) -> fastapi_poe.SettingsResponse:
        return fastapi_poe.SettingsResponse(server_bot_dependencies={"Dog": 1})

    async def get_response(self, request: fastapi_poe.QueryRequest) -> AsyncIterator[Any]:
        cost = fastapi_poe.CostItem(amount_usd_milli_cents=self.price, description="a call")
        try:
            await self.authorize_cost(request, cost, base_url=f"{self.address}/")
        except InsufficientFundError:
            yield fastapi_poe.PartialResponse(text="too dear")
            return
        base_url = f"{self.address}/bot/"
        async for message in fastapi_poe.stream_request(request, "Dog", KEY, base_url=base_url):
            yield message
        await self.post_message_attachment(
            message_id=request.message_id, file_data=b"x", filename="x.txt", base_url=f"{self.address}/poe_api/"
        )
        await self.capture_cost(request, cost, base_url=f"{self.address}/")


async def test_a_bot_of_fastapi_poe_calls_uploads_and_charges(simulator: Simulator) -> None:
    simulator.balance = 100
    simulator.register("Dog", Echo())
    with server_of(Caller(simulator.address, 80)) as url:
        simulator.register("Caller", url, access_key=KEY)
        simulator.register("Cat Bot", Echo())  # which has no key of its own any more
        first = await simulator.say("Caller", "hello")
        assert first.failure is None
        assert (first.text, first.spent, simulator.balance) == ("hello", 80, 20)
        assert [(file.name, file.data) for file in first.files] == [("x.txt", b"x")]
        assert (await simulator.say("Caller", "hello")).text == "too dear"
