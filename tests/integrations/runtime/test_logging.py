"""Log records of refused requests, errors of other bots, and `get_settings` without a result."""

from __future__ import annotations

import logging
from typing import cast

import anyio
import pytest

from poeproto import (
    Bot,
    BotError,
    Context,
    Error,
    Limits,
    QueryRequest,
    RequestHead,
    SettingsRequest,
    SettingsResponse,
    Text,
)
from poeproto_asgi import BotApp
from poeproto_runtime import BotService, Route

from ...support.bots import KEY, FunctionBot
from ...support.hypercorn_servers import serving
from ...support.memory_channel import MemoryChannel, answer
from ...support.raw_http import fetch, http_request

pytestmark = pytest.mark.anyio


async def echo(request: QueryRequest, context: Context) -> str:
    return request.query[-1].content


@pytest.mark.parametrize(
    ("method", "path", "key", "line"),
    [
        ("POST", "/nope", KEY, "POST /nope refused: 404 there is no bot at this path"),
        ("POST", "/a%0Ab", KEY, "POST /a%0Ab refused: 404 there is no bot at this path"),
        ("POST", "/", "swordfish", "POST / refused: 401 the access key is missing or wrong"),
        ("POST", "/", f"Bearer {KEY}", "POST / refused: 400 "),
        ("GET", "/nope", None, None),
        ("GET", "/", None, None),
    ],
)
async def test_a_refused_request_is_logged(
    method: str, path: str, key: str | None, line: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(BotApp(FunctionBot(echo), access_key=KEY)) as address:
        await fetch(address, http_request(b"{" if method == "POST" else b"", method=method, path=path, key=key))
    logged = [record.getMessage() for record in caplog.records if record.name == "poeproto"]
    if line is None:
        assert logged == []
    else:
        [only] = logged
        assert only.startswith(line)
        assert KEY not in only
        assert "swordfish" not in only


async def test_an_error_that_a_task_group_wrapped_is_logged_in_its_words(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "poeproto")

    async def fails() -> None:
        raise BotError(Error(allow_retry=False, text="no dogs here", error_type="user_caused_error"))

    async def bot(request: QueryRequest, context: Context) -> str:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fails)
            tasks.start_soon(fails)
        return ""

    await answer(bot)
    assert "no dogs here (user_caused_error)" in caplog.text
    assert "TaskGroup" not in caplog.text


async def test_get_settings_without_a_result_is_named_before_a_query_too(caplog: pytest.LogCaptureFixture) -> None:
    class Mistaken(Bot):
        async def get_response(self, request: QueryRequest, context: Context) -> str:
            return "hello"

        async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
            return cast("SettingsResponse", {"server_bot_dependencies": {}})

    channel = MemoryChannel()
    service = BotService({"/": Route(Mistaken(), access_key=KEY)}, Limits())
    await service.handle(RequestHead("POST", "/", [("authorization", f"Bearer {KEY}")]), "/", channel)
    assert channel.events[0] == Text("hello")
    assert "get_settings failed before a query, which continues" in caplog.text
    assert "TypeError: get_settings must return a SettingsResponse; it returned {" in caplog.text
