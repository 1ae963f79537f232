"""Telemetry has no content and no key, wherever they were."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import anyio
import pytest

from poeproto import Context, Error, Message, PoeprotoError, QueryRequest, RequestRefused, Text
from poeproto_asgi import BotApp
from poeproto_h11 import Client
from poeproto_runtime import Route

from ...support.bots import FunctionBot
from ...support.canary import CANARY, all_logged, assert_hidden
from ...support.hypercorn_servers import serving
from ...support.telemetry import Telemetry

pytestmark = pytest.mark.anyio

PATH = "/bots/cat"


async def content(request: QueryRequest, context: Context) -> AsyncIterator[Text]:
    yield Text(CANARY)
    await anyio.lowlevel.checkpoint()
    yield Text(request.query[-1].content)


async def error(request: QueryRequest, context: Context) -> AsyncIterator[Error]:
    yield Error(text=CANARY, error_type=CANARY, raw_response=CANARY)


async def failure(request: QueryRequest, context: Context) -> AsyncIterator[Text]:
    yield Text(CANARY)
    raise RuntimeError("the bot failed")


def recorded(telemetry: Telemetry) -> list[object]:
    """All that the SDK would export."""
    return [*(span.to_json() for span in telemetry.spans), str(telemetry.metrics())]


@pytest.mark.parametrize("respond", [content, error, failure])
async def test_neither_content_nor_a_key_is_recorded(
    telemetry: Telemetry, caplog: pytest.LogCaptureFixture, respond: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    app = BotApp({PATH: Route(FunctionBot(respond), access_key=CANARY)})
    telemetry.instrument(app)
    query = QueryRequest([Message("user", CANARY)], user_id=CANARY, conversation_id=CANARY, message_id=CANARY)
    headers = {"x-key": CANARY, "user-agent": CANARY, "cookie": CANARY, "referer": CANARY}
    async with serving(app) as url, Client(access_key=CANARY) as client:
        telemetry.instrument(client, chunk_interval=1)
        base = url.rstrip("/") + PATH
        for target, key in ((f"{base}?key={CANARY}", CANARY), (f"{base}#{CANARY}", CANARY), (base, CANARY[::-1])):
            with suppress(PoeprotoError):
                await client.query(target, query, access_key=key, headers=headers).text()
        await telemetry.until_ended(6)
    assert [span.name for span in telemetry.spans].count(f"POST {PATH}") == 3
    assert {str((span.attributes or {}).get("url.full", "")) for span in telemetry.spans} == {"", base}
    assert_hidden(*recorded(telemetry))
    if respond is not error:  # an error that a bot means is logged with its text
        assert_hidden(*all_logged(caplog))


async def test_the_path_of_a_request_to_no_bot_is_not_recorded(telemetry: Telemetry) -> None:
    app = BotApp(FunctionBot(content), access_key="a" * 32)
    telemetry.instrument(app)
    async with serving(app) as url, Client() as client:
        with pytest.raises(RequestRefused):
            await client.query(f"{url}/{CANARY.replace('/', '_')}", "hello").text()
        await telemetry.until_ended(1)
    assert telemetry.span.name == "POST"
    assert_hidden(*recorded(telemetry))
