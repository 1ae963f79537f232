"""Hooks of the calls under fastapi_poe's names: those of the server within a request, else those of the program."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, Generator
from contextlib import contextmanager
from typing import Any

import anyio
import anyio.to_thread
import pytest
from anyio.from_thread import BlockingPortal

import poeproto
import poeproto_compat as fp
from poeproto_compat.call_hooks import observed_calls, program_calls
from poeproto_compat.client import (
    get_bot_response_sync,
    get_final_response,
    stream_request,
    sync_bot_settings,
    upload_file,
    upload_file_sync,
)
from poeproto_h11 import CallHooks, CallObservation, Client, Outcome

from ...support.bots import KEY
from ...support.hypercorn_servers import serving
from ...support.memory_channel import MemoryChannel
from ...support.peers_in_thread import scripted_in_thread
from ...support.scripted_peer import HELLO, Peer, Received, answering, response, scripted
from .test_client import Errors, a_query

UPLOADED = response(200, json.dumps({"attachment_url": "https://files.invalid/a", "mime_type": "text/x"}).encode())
GRANTED = response(200, b'event: result\ndata: {"status": "success"}\n\n', "Content-Type: text/event-stream")


class Observed:
    """Hooks that keep the ends of calls, and a header of each request."""

    def __init__(self) -> None:
        self.ends: list[CallObservation] = []
        self.hooks = CallHooks(on_end=self.ends.append)

    def headers(self, seen: CallObservation) -> dict[str, str]:
        return {"x-call": seen.id}

    @property
    def operations(self) -> list[str]:
        return [seen.operation for seen in self.ends]


@contextmanager
def observing_the_program() -> Generator[Observed]:
    observed = Observed()
    program_calls.add_hooks(observed.hooks, observed.headers)
    try:
        yield observed
    finally:
        program_calls.remove_hooks(observed.hooks, observed.headers)


async def poe(peer: Peer) -> None:
    """Poe: bots that say hello, uploads, costs and settings, by the path."""
    while True:
        request = await peer.read_request()
        target = request.line.split()[1]
        if "file_upload" in target:
            await peer.send(UPLOADED)
        elif "cost" in target:
            await peer.send(GRANTED)
        elif "settings" in target:
            await peer.send(response(200, b"{}"))
        else:
            await peer.send(HELLO)


class Calling(fp.PoeBot):
    """Makes each kind of call."""

    def __init__(self, poe: str) -> None:
        super().__init__(access_key=KEY)
        self._poe = poe

    async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
        async for message in stream_request(request, "Cat", base_url=self._poe):
            yield message
        text = await get_final_response(request, "Dog", base_url=self._poe)
        at_poe: dict[str, Any] = {"api_key": KEY, "base_url": self._poe}
        for _ in get_bot_response_sync(request.query, "Cow", **at_poe):
            text += "!"
        await upload_file(b"a", file_name="a.txt", **at_poe)
        upload_file_sync(file_url="https://files.invalid/b", **at_poe)
        await self.authorize_cost(request, fp.CostItem(amount_usd_milli_cents=1), base_url=self._poe)
        sync_bot_settings("Hen", KEY, base_url=self._poe)
        yield fp.PartialResponse(text=text)


CALLS = [
    ("query", "Cat"),
    ("query", "Dog"),
    ("query", "Cow"),
    ("upload", None),
    ("upload_by_url", None),
    ("authorize_cost", None),
    ("sync_settings", "Hen"),
]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_calls_within_a_request_have_the_hooks_of_the_server(portal: BlockingPortal, backend: str) -> None:
    observed = Observed()

    async def ask(poe: str) -> None:
        query = poeproto.QueryRequest([poeproto.Message("user", "hello")], bot_query_id="q")
        app = fp.make_app(Calling(poe))
        app.service.add_call_hooks(observed.hooks, observed.headers)
        async with serving(app) as url, Client(access_key=KEY) as client:
            assert await client.query(url, query).text() == "hellohello!"

    # In a thread of its own, since synchronous calls block the event loop of the bot.
    with scripted_in_thread(portal, poe) as server, observing_the_program() as of_program:
        anyio.run(ask, server.address, backend=backend)
        assert of_program.ends == []
        assert [(seen.operation, seen.bot_name) for seen in observed.ends] == CALLS
        assert {(seen.outcome, seen.attempts, seen.status) for seen in observed.ends} == {(Outcome.COMPLETE, 1, 200)}
        assert [header_of(request) for request in server.requests] == [seen.id for seen in observed.ends]
        assert all(KEY not in seen.url for seen in observed.ends)


def header_of(request: Received) -> str:
    (value,) = request.all("x-call")
    return value


@pytest.mark.anyio
async def test_calls_outside_of_a_request_have_those_of_the_program() -> None:
    async with scripted(poe) as server:
        with observing_the_program() as observed:
            assert await get_final_response(a_query(), "Cat", KEY, base_url=server.address) == "hello"

            def ask() -> None:
                upload_file_sync(b"a", file_name="a.txt", api_key=KEY, base_url=server.address)

            await anyio.to_thread.run_sync(ask)
        await upload_file(b"a", file_name="a.txt", api_key=KEY, base_url=server.address)
    assert observed.operations == ["query", "upload"]
    assert [request.all("x-call") for request in server.requests] == [[seen.id] for seen in observed.ends] + [[]]


@pytest.mark.anyio
async def test_a_task_that_has_answered_a_request_has_those_of_the_program_again() -> None:
    """As a test has that calls the application in its own task."""
    at_server, seen = Observed(), list[object]()

    class Bot(fp.PoeBot):
        async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
            seen.append(observed_calls())
            yield fp.PartialResponse(text="hello")

    app = fp.make_app(Bot(), allow_without_key=True)
    app.service.add_call_hooks(at_server.hooks)
    await app.service.handle(poeproto.RequestHead("POST", "/", []), "/", MemoryChannel())
    assert seen == [app.service.outbound]
    assert observed_calls() is program_calls


@pytest.mark.anyio
async def test_each_attempt_is_a_call_of_its_own() -> None:
    async with scripted(answering(response(500, b"no"))) as server:
        with observing_the_program() as observed, pytest.raises(fp.BotError):
            options: dict[str, Any] = {"on_error": Errors(), "retry_sleep_time": 0, "base_url": server.address}
            await get_final_response(a_query(), "Cat", KEY, **options)
    assert [(seen.outcome, seen.status) for seen in observed.ends] == [(Outcome.REFUSED, 500)] * 2


@pytest.mark.anyio
async def test_a_reply_that_is_left_early_is_cancelled() -> None:
    async with scripted(poe) as server:
        with observing_the_program() as observed:
            messages = stream_request(a_query(), "Cat", KEY, base_url=server.address)
            await anext(messages)
            await messages.aclose()
    assert [(seen.outcome, seen.events) for seen in observed.ends] == [(Outcome.CANCELLED, 1)]


@pytest.mark.anyio
async def test_extra_headers_of_a_call_override_those_of_the_hooks() -> None:
    async with scripted(poe) as server:
        with observing_the_program():
            headers = {"X-Call": "own"}
            query = stream_request(a_query(), "Cat", KEY, base_url=server.address, extra_headers=headers)
            assert [message.text async for message in query] == ["hello"]
    assert header_of(server.requests[0]) == "own"


@pytest.mark.anyio
async def test_hooks_of_another_kind_are_refused() -> None:
    with pytest.raises(TypeError, match="CallHooks"):
        program_calls.add_hooks(print)  # pyright: ignore[reportArgumentType]
