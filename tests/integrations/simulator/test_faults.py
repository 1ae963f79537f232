"""Fault injection, and how the client reports each fault."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import anyio
import pytest

from poeproto import (
    ConnectionLost,
    CostItem,
    DeadlineExceeded,
    Done,
    Endpoints,
    IncompleteReply,
    RemoteProtocolError,
    RequestRefused,
    RetryPolicy,
    SettingsResponse,
    Text,
    UploadRefused,
)
from poeproto_h11 import Client, Timeouts
from poeproto_simulator import Canned, Fault, Simulator

from ...support.bots import KEY
from ...support.raw_http import connect, fetch, http_request

pytestmark = pytest.mark.anyio


@pytest.fixture
async def simulator() -> AsyncGenerator[Simulator]:
    simulator = Simulator()
    simulator.register("Cat", Canned([Text("Meow"), Text("Purr"), Text("Hiss")]))
    async with simulator.serving():
        yield simulator


@pytest.fixture
async def client(simulator: Simulator) -> AsyncGenerator[Client]:
    once = RetryPolicy(attempts=1)
    async with Client("key", access_key=KEY, endpoints=Endpoints.at(simulator.address), retry=once) as client:
        yield client


async def ask(client: Client, bot: str = "Cat") -> str:
    async with client.query(bot, "hello") as reply:
        return await reply.text()


async def test_a_status(simulator: Simulator, client: Client) -> None:
    simulator.faults.add("Cat", Fault.status(503, retry_after=7, body="come back", headers=[("x-why", "because")]))
    assert await ask(client, "Dog") == "hello"
    with pytest.raises(RequestRefused) as caught:
        await ask(client)
    assert (caught.value.status, caught.value.retry_after, caught.value.body_start) == (503, "7", b"come back")
    assert await ask(client) == "MeowPurrHiss"
    assert [entry.details for entry in simulator.engine.log if entry.kind == "fault"] == [
        {"kind": "status", "path": "/bot/Cat"}
    ]


async def test_a_rate_limit_that_the_client_waits_for(simulator: Simulator) -> None:
    simulator.faults.add("Cat", Fault.rate_limited(retry_after=0.01))
    async with Client("key", endpoints=Endpoints.at(simulator.address)) as client:
        assert await ask(client) == "MeowPurrHiss"
    simulator.faults.add("Cat", Fault.rate_limited(retry_after=3600, limit=7))
    async with Client("key", endpoints=Endpoints.at(simulator.address)) as client:
        with pytest.raises(RequestRefused) as caught:
            await ask(client)
    assert (caught.value.status, caught.value.retry_after_seconds) == (429, 3600)
    assert caught.value.rate_limit is not None
    assert (caught.value.rate_limit.limit, caught.value.rate_limit.remaining) == (7, 0)


async def test_a_stream_cut_after_some_events(simulator: Simulator, client: Client) -> None:
    simulator.faults.add("Cat", Fault.truncate_events(2))
    with pytest.raises((IncompleteReply, ConnectionLost)) as caught:
        await ask(client)
    assert caught.value.partial is not None
    assert caught.value.partial.text == "MeowPurr"
    simulator.faults.add("Cat", Fault.truncate_events(3))
    with pytest.raises((IncompleteReply, ConnectionLost)) as caught:
        await ask(client)
    assert caught.value.partial is not None
    assert caught.value.partial.text == "MeowPurrHiss"
    simulator.faults.add("Cat", Fault.truncate_events(4))
    assert await ask(client) == "MeowPurrHiss"


async def test_a_stream_cut_after_some_bytes(simulator: Simulator, client: Client) -> None:
    simulator.faults.add("Cat", Fault.truncate(40))
    with pytest.raises((IncompleteReply, ConnectionLost)) as caught:
        await ask(client)
    assert caught.value.partial is not None
    assert caught.value.partial.text == "Meow"
    simulator.faults.add("Cat", Fault.reset())
    with pytest.raises((IncompleteReply, ConnectionLost)):
        await ask(client)
    simulator.faults.add("Cat", Fault.truncate(1_000_000))
    assert await ask(client) == "MeowPurrHiss"


async def test_garbage(simulator: Simulator, client: Client) -> None:
    simulator.faults.add("Cat", Fault.garbage())
    with pytest.raises(RemoteProtocolError):
        await ask(client)
    simulator.faults.add("Cat", Fault.garbage(b"<html>"))
    with pytest.raises(RemoteProtocolError):
        await client.settings("Cat")
    assert await client.settings("Cat") == SettingsResponse()


@pytest.mark.parametrize("after_head", [True, False])
async def test_no_response(simulator: Simulator, after_head: bool) -> None:
    simulator.faults.add("Cat", Fault.silent(after_head=after_head))
    short = Timeouts(header=0.05 if not after_head else 30, idle=0.05)
    async with Client("key", endpoints=Endpoints.at(simulator.address), timeouts=short) as client:
        with pytest.raises(DeadlineExceeded):
            await ask(client)


@pytest.mark.parametrize("hold_head", [True, False])
async def test_a_slow_response(simulator: Simulator, client: Client, hold_head: bool) -> None:
    go_on = anyio.Event()
    simulator.faults.add("Cat", Fault.slow(until=go_on, hold_head=hold_head))
    texts: list[str] = []

    async def asking() -> None:
        texts.append(await ask(client))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(asking)
        assert await ask(client, "Dog") == "hello"
        assert texts == []
        go_on.set()
    assert texts == ["MeowPurrHiss"]


async def test_faults_of_the_other_calls(simulator: Simulator, client: Client) -> None:
    simulator.faults.add("/poe_api", Fault.status(500))
    with pytest.raises(UploadRefused, match="500"):
        await client.upload(b"x", name="x.txt")
    simulator.faults.add("/bot/cost/b-1/capture", Fault.truncate(10))
    with pytest.raises((IncompleteReply, ConnectionLost)):
        await client.capture_cost(CostItem(5), "b-1")
    stored = await simulator.store_file(b"x", "x.txt")
    simulator.faults.add("/files", Fault.status(404))
    request = http_request(b"", method="GET", path=stored.url.removeprefix(simulator.address))
    assert (await fetch(simulator.address, request)).status == 404
    assert (await fetch(simulator.address, request)).status == 200


async def test_how_often_a_fault_applies(simulator: Simulator, client: Client) -> None:
    simulator.faults.add("Cat", Fault.status(500), times=2)
    simulator.faults.add("*", Fault.status(502), times=None)
    statuses: list[int] = []
    for _ in range(4):
        with pytest.raises(RequestRefused) as caught:
            await ask(client)
        statuses.append(caught.value.status)
    assert statuses == [500, 500, 502, 502]
    simulator.faults.clear()
    assert await ask(client) == "MeowPurrHiss"
    with pytest.raises(ValueError, match="times=0"):
        simulator.faults.add("Cat", Fault.reset(), times=0)


async def test_the_head_is_sent_before_the_cut(simulator: Simulator) -> None:
    simulator.faults.add("Cat", Fault.truncate_events(1))
    async with connect(simulator.address) as connection:
        await connection.send(http_request(path="/bot/Cat"))
        status, headers = await connection.read_head()
        assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert await connection.read_events(1) == [Text("Meow")]
        assert await connection.read_to_end() == b"", "not even the end of the body"


def test_faults_by_name() -> None:
    assert Fault.of("truncate_events", {"count": 1}).kind == "truncate_events"
    assert repr(Fault.of("reset", {})) == "<Fault reset>"
    with pytest.raises(ValueError, match="there is no fault called 'dance'; expected one of garbage, rate_limited"):
        Fault.of("dance", {})
    with pytest.raises(ValueError, match="does not take these arguments"):
        Fault.of("truncate", {"events": 1})


async def test_the_simulator_works_after_faults(simulator: Simulator, client: Client) -> None:
    simulator.faults.add("Cat", Fault.truncate_events(1), times=20)
    for _ in range(20):
        with pytest.raises((IncompleteReply, ConnectionLost)):
            await ask(client)
    async with client.query("Cat", "hello") as reply:
        assert [event async for event in reply][-1] == Done()
