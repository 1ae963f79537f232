"""Bots in place of names and applications: in `load_app`, `serve`, `run` and `BotApp`."""

from __future__ import annotations

from typing import Any

import anyio
import anyio.abc
import pytest

from poeproto import Bot, Context, QueryRequest
from poeproto_asgi import AccessKeyMissing, BotApp, Route, TargetError, load_app, serve
from poeproto_compat import PoeBot
from poeproto_h11 import get_final_response

from ...support.bots import KEY, FunctionBot


class EchoBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> str:
        return request.query[-1].content


class NoContext(Bot):
    async def get_response(self, request: QueryRequest) -> str:  # type: ignore[override]
        return "hello"


def test_targets_that_load_app_accepts() -> None:
    bot = EchoBot()
    assert load_app(bot, access_key=KEY).service.routes["/"].bot is bot
    assert isinstance(load_app(EchoBot, allow_without_key=True).service.routes["/"].bot, EchoBot)
    assert set(load_app({"/a": bot, "/b": EchoBot}, access_key=KEY).service.routes) == {"/a", "/b"}
    app = BotApp(bot, access_key=KEY)
    assert load_app(app) is app


def test_targets_that_load_app_rejects() -> None:
    other: Any = 5
    with pytest.raises(
        TargetError, match=r"^the int that was passed is not a bot, a class of bots, a BotApp, or a dict"
    ):
        load_app(other)
    with pytest.raises(TargetError, match=r"or a dict of bots by path: 5$"):
        load_app(other)
    with pytest.raises(
        TargetError, match=r"test_bots_as_targets\.py:\d+: NoContext\.get_response must take \(self, re"
    ):
        load_app(NoContext, allow_without_key=True)


class Website:
    async def __call__(self, scope: object, receive: object, send: object) -> None: ...


def test_an_application_of_another_framework_needs_an_asgi_server() -> None:
    website = Website()
    applications: list[Any] = [website, website.__call__]
    for application in applications:
        with pytest.raises(
            TargetError, match=r"is not a bot.*; serve an ASGI application with an ASGI server, such as h"
        ):
            load_app(application)


def test_a_bot_of_fastapi_poes_names_needs_its_application() -> None:
    bots: list[Any] = [PoeBot, PoeBot()]
    for bot in bots:
        with pytest.raises(TargetError, match=r"is a bot of poeproto_compat.*write app = make_app\(bot"):
            load_app(bot, access_key=KEY)


def test_bots_and_routes_by_path() -> None:
    bot = EchoBot()
    app = BotApp({"/a": bot, "/b": Route(bot, allow_without_key=True)}, access_key=iter([KEY]))
    assert [route.accepted_keys for route in app.service.routes.values()] == [{KEY.encode()}, None]
    with pytest.raises(AccessKeyMissing, match=r"^the bot at '/a': pass access_key"):
        BotApp({"/a": bot})
    with pytest.raises(TypeError, match="bot_name are for a single bot"):
        BotApp({"/a": bot}, access_key=KEY, bot_name="Echo")


@pytest.mark.anyio
async def test_a_bot_is_served() -> None:
    async with anyio.create_task_group() as tasks:
        bot = FunctionBot(EchoBot().get_response)

        async def start(*, task_status: anyio.abc.TaskStatus[str]) -> None:
            await serve(bot, bind="127.0.0.1:0", access_key=KEY, task_status=task_status)

        address = await tasks.start(start)
        assert await get_final_response("hello", address, access_key=KEY) == "hello"
        tasks.cancel_scope.cancel()


@pytest.mark.anyio
async def test_an_application_has_its_own_keys() -> None:
    with pytest.raises(TypeError, match="an application has its own access_key"):
        await serve(BotApp(EchoBot(), access_key=KEY), access_key=KEY)
