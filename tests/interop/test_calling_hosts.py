"""Bots that call others, within other people's applications and their lifespans."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount

from poeproto import Bot, Context, Done, Endpoints, QueryRequest, SettingsRequest, SettingsResponse, Text
from poeproto_asgi import BotApp, Route

from ..support.bots import KEY
from ..support.raw_http import fetch, http_request
from ..support.scripted_peer import HELLO, Peer, response, scripted
from ..support.uvicorn_server import on_uvicorn

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Uvicorn knows asyncio only."""
    return "asyncio"


class Caller(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield f"{context.bot_name} heard "
        yield await context.final_text("Cat", request)

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        return SettingsResponse(server_bot_dependencies={"Cat": 1})


async def poe(peer: Peer) -> None:
    """Takes settings, and answers for the cat."""
    while True:
        request = await peer.read_request()
        await peer.send(HELLO if request.line.startswith("POST /bot/Cat ") else response(200, b"{}"))


def on_starlette(app: BotApp) -> Any:
    return Starlette(routes=[Mount("/bots", app=app)], lifespan=app.lifespan)


def on_fastapi(app: BotApp) -> Any:
    host = FastAPI(lifespan=app.lifespan)
    host.mount("/bots", app)
    return host


@pytest.mark.parametrize("host", [on_starlette, on_fastapi])
async def test_several_bots_in_a_host(host: Any) -> None:
    async with scripted(poe) as server:
        routes = {f"/{name}": Route(Caller(), access_key=KEY, bot_name=name) for name in ("one", "two")}
        app = BotApp(routes, endpoints=Endpoints.at(server.address))
        async with on_uvicorn(host(app)) as address:
            await server.until_asked(2)
            for name in ("one", "two", "one"):
                answer = await fetch(address, http_request(path=f"/bots/{name}"))
                assert answer.events == [Text(f"{name} heard "), Text("hello"), Done()]
        await server.until_closed(server.connections)
        assert server.connections <= 2  # those of the settings served for the calls
    assert sorted(request.line.split()[1].split("/")[2:4] for request in server.requests) == [
        *[["Cat"]] * 3,
        ["update_settings", "one"],
        ["update_settings", "two"],
    ]


async def test_a_host_that_does_not_run_the_lifespan() -> None:
    async with scripted(poe) as server:
        app = BotApp(Caller(), access_key=KEY, bot_name="one", endpoints=Endpoints.at(server.address))
        async with on_uvicorn(Starlette(routes=[Mount("/bots", app=app)])) as address:
            for number in range(2):
                answer = await fetch(address, http_request(path="/bots/"))
                assert answer.events == [Text("one heard "), Text("hello"), Done()]
                await server.until_closed(number + 1)  # nobody would close it later
    assert {request.line for request in server.requests} == {"POST /bot/Cat HTTP/1.1"}
