"""Where calls under fastapi_poe's names go: within a request to the server's Poe, unless `base_url` is another."""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import Any

import anyio
import pytest
from anyio.from_thread import BlockingPortal

import poeproto
import poeproto_compat as fp
from poeproto import Endpoints
from poeproto_compat.app import PoeApp
from poeproto_compat.client import (
    get_bot_response,
    get_bot_response_sync,
    get_final_response,
    stream_request,
    sync_bot_settings,
    upload_file,
    upload_file_sync,
)
from poeproto_compat.poe_of_request import base_url_in_request, poe_of_request
from poeproto_h11 import Client

from ...support.bots import KEY
from ...support.hypercorn_servers import serving
from ...support.peers_in_thread import scripted_in_thread
from .test_call_hooks import poe

BOT_QUERY = poeproto.QueryRequest([poeproto.Message("user", "hello")], bot_query_id="q", message_id="m")


class Calling(fp.PoeBot):
    """Makes each kind of call, with fastapi_poe's defaults."""

    async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
        async for message in stream_request(request, "Cat"):
            yield message
        await get_final_response(request, "Dog")
        async for _ in get_bot_response(request.query, "Hen", KEY):
            pass
        for _ in get_bot_response_sync(request.query, "Cow", KEY):
            pass
        await upload_file(b"a", file_name="a.txt", api_key=KEY)
        upload_file_sync(file_url="https://files.invalid/b", api_key=KEY)
        await self.post_message_attachment(message_id=request.message_id, file_data=b"c", filename="c.txt")
        cost = fp.CostItem(amount_usd_milli_cents=1)
        await self.authorize_cost(request, cost)
        await self.capture_cost(request, cost)
        sync_bot_settings("Owl", KEY)


UPLOAD = "/poe_api/file_upload_3RD_PARTY_POST"
TARGETS = [
    *("/bot/Cat", "/bot/Dog", "/bot/Hen", "/bot/Cow"),
    *(UPLOAD, UPLOAD, UPLOAD),
    *("/bot/cost/q/authorize", "/bot/cost/q/capture"),
    f"/bot/fetch_settings/Owl/{KEY}/1.2",
]


@pytest.mark.parametrize("way", ["endpoints of the application", "redirect_calls"])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_calls_within_a_request_go_to_the_poe_of_the_server(portal: BlockingPortal, backend: str, way: str) -> None:
    async def ask(address: str) -> None:
        endpoints = Endpoints.at(address)
        app = PoeApp([Calling(access_key=KEY)], endpoints=endpoints if way != "redirect_calls" else None)
        if way == "redirect_calls":
            app.service.redirect_calls(endpoints)
        async with serving(app) as url, Client(access_key=KEY) as client:
            assert await client.query(url, BOT_QUERY).text() == "hello"

    # In a thread of its own, since synchronous calls block the event loop of the bot.
    with scripted_in_thread(portal, poe) as server:
        anyio.run(ask, server.address, backend=backend)
        assert [request.line.split()[1] for request in server.requests] == TARGETS


class Elsewhere(fp.PoeBot):
    """Queries a bot at a base_url of its own."""

    base_url = ""

    async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
        yield fp.PartialResponse(text=await get_final_response(request, "Cat", base_url=self.base_url))


def test_a_base_url_of_the_callers_own_is_kept(portal: BlockingPortal) -> None:
    async def ask(address: str) -> None:
        bot = Elsewhere(access_key=KEY)
        bot.base_url = f"{address}mine/"
        app = PoeApp([bot], endpoints=Endpoints.at("http://127.0.0.1:9"))
        async with serving(app) as url, Client(access_key=KEY) as client:
            assert await client.query(url, BOT_QUERY).text() == "hello"

    with scripted_in_thread(portal, poe) as server:
        anyio.run(ask, server.address)
        assert [request.line.split()[1] for request in server.requests] == ["/mine/Cat"]


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("https://api.poe.com/bot/", "http://sim/bot/"),
        ("https://api.poe.com/", "http://sim/"),
        ("https://api.poe.com", "http://sim"),
        ("https://www.quora.com/poe_api/", "http://files/poe_api/"),
        ("https://api.poe.com.example/bot/", "https://api.poe.com.example/bot/"),
        ("http://127.0.0.1:9/", "http://127.0.0.1:9/"),
    ],
)
def test_only_poes_own_addresses_are_replaced(given: str, used: str) -> None:
    assert base_url_in_request(given) == given  # outside of a request
    endpoints: Any = Endpoints("http://sim", "http://files")
    token = poe_of_request.set(lambda: endpoints)
    try:
        assert base_url_in_request(given) == used
    finally:
        poe_of_request.reset(token)
