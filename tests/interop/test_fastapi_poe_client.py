"""fastapi_poe's client as a reader of our server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import anyio
import fastapi_poe
import httpx
import pytest
from fastapi_poe.client import BotError, BotErrorNoRetry, _BotContext, stream_request
from fastapi_poe.types import MetaResponse

from poeproto import (
    Bot,
    Context,
    Error,
    Event,
    File,
    Json,
    Limits,
    Meta,
    QueryRequest,
    ReplaceResponse,
    ReportErrorRequest,
    ReportFeedbackRequest,
    ReportReactionRequest,
    SettingsRequest,
    SettingsResponse,
    SuggestedReply,
    Text,
)
from poeproto_asgi import BotApp

from ..support.bots import KEY, SECRET
from ..support.fastapi_poe_peers import a_request, ignore_error
from ..support.hypercorn_servers import app_of, serving

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """fastapi_poe leaves generators to the garbage collector, which asyncio tolerates."""
    return "asyncio"


def as_event(message: fastapi_poe.PartialResponse) -> Event:
    """The event that a message of fastapi_poe was made from."""
    if isinstance(message, MetaResponse):
        return Meta(
            content_type=message.content_type, suggested_replies=message.suggested_replies, linkify=message.linkify
        )
    if message.attachment is not None:
        file = message.attachment
        return File(file.url, file.name, file.content_type, file.inline_ref, message.index)
    if message.data is not None:
        return Json(message.data, message.index)
    if message.is_suggested_reply:
        return SuggestedReply(message.text, message.index)
    if message.is_replace_response:
        return ReplaceResponse(message.text, message.index)
    return Text(message.text, message.index)


async def read(address: str, **more: Any) -> list[Event]:
    """The items that fastapi_poe's client reads from the bot at this address."""
    arguments: dict[str, Any] = {"num_tries": 1, "on_error": ignore_error, **more}
    messages = stream_request(a_request(), "", KEY, base_url=address, **arguments)
    return [as_event(message) async for message in messages]


@pytest.mark.parametrize(
    "events",
    [
        [Text("hello")],
        [Text("a"), Text(""), Text("naïve 🐈\n\r\n\u2028data: x\n\nevent: done\n\n")],
        [Text("a"), ReplaceResponse("b"), Text("c")],
        [Text("a"), SuggestedReply("And then?"), SuggestedReply("Why?")],
        [Meta(content_type="text/plain", suggested_replies=True, linkify=True), Text("a")],
        [Meta(linkify=False), Text("a")],
        [Text("a"), File("https://files.invalid/a.png", "a.png", "image/png")],
        [Text("a"), File("https://files.invalid/a.png", "a.png", "image/png", "ref")],
        [Text("a", 0), Text("b", 1), ReplaceResponse("c", 1), SuggestedReply("d", 0)],
        [Text("a"), Json({"choices": [{"delta": {"content": None}, "finish_reason": "stop"}], "é": [1.5, None]})],
        [*(Text(str(number)) for number in range(2000))],
    ],
)
async def test_fastapi_poe_reads_the_same_events(events: list[Event], caplog: pytest.LogCaptureFixture) -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[Event]:
        for event in events:
            yield event

    async with serving(app_of(bot)) as address:
        assert await read(address) == events
    # Their client shares the event loop of our server here. On a busy machine it blocks that long enough to be logged.
    complaints = [record for record in caplog.records if record.module != "loop_watch"]
    assert not complaints, "it has complained"


async def test_our_bot_reads_its_request() -> None:
    seen: list[QueryRequest] = []

    async def bot(request: QueryRequest, context: Context) -> str:
        seen.append(request)
        return "hello"

    async with serving(app_of(bot)) as address:
        await read(address)
    (request,) = seen
    assert [(message.role, message.content) for message in request.query] == [("user", "hello")]
    assert (request.user_id, request.conversation_id, request.message_id) == ("u", "c", "m")
    assert "keys-into-bodies" not in repr(request)


async def test_tool_calls_reach_its_callers() -> None:
    def chunk(delta: dict[str, Any]) -> Json:
        return Json({"choices": [{"delta": delta, "finish_reason": None}]})

    call = {"index": 0, "id": "call-1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
    seen: list[QueryRequest] = []

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[Event]:
        seen.append(request)
        if request.tool_results is None:
            yield chunk({"tool_calls": [call]})
        else:
            yield Text(request.tool_results[0].content)

    def add(a: int) -> int:
        return a + 1

    tools = [
        fastapi_poe.ToolDefinition.model_validate(
            {
                "type": "function",
                "function": {
                    "name": "add",
                    "description": "adds one",
                    "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}},
                },
            }
        )
    ]
    async with serving(app_of(bot)) as address:
        assert await read(address, tools=tools, tool_executables=[add]) == [Text("2")]
    first, second = seen
    assert [tool.function and tool.function.name for tool in first.tools or ()] == ["add"]
    assert [call.function and call.function.arguments for call in second.tool_calls or ()] == ['{"a": 1}']


@pytest.mark.parametrize(("allow_retry", "error"), [(True, BotError), (False, BotErrorNoRetry)])
async def test_fastapi_poe_reads_errors(allow_retry: bool, error: type[Exception]) -> None:
    sent = Error(allow_retry=allow_retry, text="You asked too much.", error_type="user_caused_error")

    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[Event]:
        yield Text("before")
        yield sent

    async with serving(app_of(bot)) as address:
        with pytest.raises(BotError) as caught:
            await read(address)
    assert type(caught.value) is error
    assert json.loads(str(caught.value)) == {
        "allow_retry": allow_retry,
        "text": "You asked too much.",
        "error_type": "user_caused_error",
    }


async def test_fastapi_poe_reads_the_apology_for_a_bot_that_raises() -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield "before"
        raise LookupError(SECRET)

    async with serving(app_of(bot)) as address:
        with pytest.raises(BotErrorNoRetry) as caught:
            await read(address)
    assert "Error id" in str(caught.value)
    assert SECRET not in str(caught.value)


async def test_fastapi_poe_ignores_heartbeats() -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        await anyio.sleep(0.05)
        yield "awake"

    async with serving(app_of(bot, Limits(heartbeat_seconds=0.005))) as address:
        assert await read(address) == [Text("awake")]


class Listener(Bot):
    def __init__(self) -> None:
        self.heard: list[object] = []

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        return SettingsResponse(introduction_message="Hello!", server_bot_dependencies={"Other": 2})

    async def on_feedback(self, request: ReportFeedbackRequest, context: Context) -> None:
        self.heard.append(request)

    async def on_reaction(self, request: ReportReactionRequest, context: Context) -> None:
        self.heard.append(request)

    async def on_error(self, request: ReportErrorRequest, context: Context) -> None:
        self.heard.append(request)


async def test_other_calls_of_fastapi_poe() -> None:
    bot = Listener()
    async with serving(BotApp(bot, access_key=KEY)) as address, httpx.AsyncClient() as session:
        caller = _BotContext(endpoint=address, session=session, api_key=KEY)
        settings: Any = await caller.fetch_settings()
        await caller.report_feedback("m", "u", "c", "like")
        await caller.report_reaction("m", "u", "c", "heart")
        await caller.report_error("wrong", {"message_id": "m"})
    assert fastapi_poe.SettingsResponse.model_validate(settings).introduction_message == "Hello!"
    assert bot.heard == [
        ReportFeedbackRequest(message_id="m", user_id="u", conversation_id="c", feedback_type="like"),
        ReportReactionRequest(message_id="m", user_id="u", conversation_id="c", reaction="heart"),
        ReportErrorRequest(message="wrong", metadata={"message_id": "m"}),
    ]
