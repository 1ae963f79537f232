"""Our client as a reader of a bot server of fastapi_poe."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, Generator
from typing import Any

import fastapi_poe
import pytest
from fastapi_poe.types import MetaResponse

from poeproto import (
    BotError,
    Data,
    Done,
    Error,
    Event,
    File,
    IncompleteReply,
    Json,
    Message,
    Meta,
    QueryRequest,
    ReplaceResponse,
    RequestRefused,
    SettingsResponse,
    SuggestedReply,
    Text,
)
from poeproto.testing import sample_query
from poeproto_h11 import BlockingClient, Client, get_bot_response_sync, get_final_response

from ..support.bots import KEY, SECRET
from ..support.fastapi_poe_peers import server_of

pytestmark = [
    pytest.mark.anyio,
    # fastapi_poe calls pydantic 2 by pydantic 1's names.
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20"),
]

CHUNK = {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "id": "call"}]}}]}
ATTACHMENT = fastapi_poe.Attachment(url="https://files.invalid/a.png", content_type="image/png", name="a.png")


def part(text: str, **options: Any) -> fastapi_poe.PartialResponse:
    return fastapi_poe.PartialResponse(text=text, **options)


def meta(content_type: Any, suggested_replies: bool) -> MetaResponse:
    return MetaResponse(text="", content_type=content_type, suggested_replies=suggested_replies)


# The responses that fastapi_poe's bot yields, and the events that our client reads from it.
CASES: dict[str, tuple[list[Any], list[Event]]] = {
    "text": ([part("naïve "), part("🐈\r\n\n"), part("")], [Text("naïve "), Text("🐈\r\n\n"), Text("")]),
    "replace": ([part("no"), part("yes", is_replace_response=True)], [Text("no"), ReplaceResponse("yes")]),
    "suggest": ([part("this?"), part("yes", is_suggested_reply=True)], [Text("this?"), SuggestedReply("yes")]),
    "markdown": (
        [meta("text/markdown", True), part("a")],
        [Meta(suggested_replies=True, linkify=True, refetch_settings=False), Text("a")],
    ),
    "plain": (
        [meta("text/plain", False), part("a")],
        [Meta("text/plain", linkify=True, refetch_settings=False), Text("a")],
    ),
    "late meta": ([part("a"), meta("text/plain", False), part("b")], [Text("a"), Text("b")]),
    "file": ([part("look", attachment=ATTACHMENT)], [File(ATTACHMENT.url, "a.png", "image/png"), Text("look")]),
    "data": (
        [part("noted"), fastapi_poe.DataResponse(metadata='{"seen": 1}')],
        [Text("noted"), Data('{"seen": 1}')],
    ),
    "burst": ([part(f"{number} ") for number in range(1000)], [Text(f"{number} ") for number in range(1000)]),
}


class TheirBot(fastapi_poe.PoeBot):
    """Answers with the reply that the message names."""

    async def get_response(self, request: fastapi_poe.QueryRequest) -> AsyncIterable[Any]:
        wish = request.query[-1].content
        if wish == "error":
            yield part("so far")
            yield fastapi_poe.ErrorResponse(
                text="no dogs", allow_retry=False, error_type="user_caused_error", raw_response="woof"
            )
        elif wish == "raise":
            yield part("so far")
            raise RuntimeError(SECRET)
        elif wish == "request":
            yield part(request.model_dump_json(exclude={"http_request", "access_key", "api_key"}))
        elif wish == "json":
            event = self.text_event("")
            event.event, event.data = "json", json.dumps(CHUNK)
            yield event
        elif wish != "nothing":
            for message in CASES[wish][0]:
                yield message

    async def get_settings(self, setting: fastapi_poe.SettingsRequest) -> fastapi_poe.SettingsResponse:
        return fastapi_poe.SettingsResponse(
            allow_attachments=True,
            introduction_message="naïve 🐈",
            server_bot_dependencies={"Cat": 2},
            enable_multi_bot_chat_prompting=True,
        )


@pytest.fixture(scope="module")
def address() -> Generator[str]:
    """The address of a server with their bot."""
    with server_of(TheirBot()) as address:
        yield address


async def events_of(address: str, wish: str) -> list[Event]:
    async with Client(access_key=KEY) as client, client.query(address, wish) as reply:
        return [event async for event in reply]


@pytest.mark.parametrize("wish", CASES)
async def test_events(address: str, wish: str) -> None:
    assert await events_of(address, wish) == [*CASES[wish][1], Done()]


async def test_json(address: str) -> None:
    assert await events_of(address, "json") == [Json(CHUNK), Done()]


async def test_an_error(address: str) -> None:
    error = Error(allow_retry=False, text="no dogs", raw_response="'woof'", error_type="user_caused_error")
    assert await events_of(address, "error") == [Text("so far"), error]
    async with Client(access_key=KEY) as client, client.query(address, "error") as reply:
        with pytest.raises(BotError, match="no dogs") as caught:
            await reply.text()
    assert caught.value.event == error


async def test_a_failure(address: str) -> None:
    text, error = await events_of(address, "raise")
    assert text == Text("so far")
    assert isinstance(error, Error)
    assert not error.allow_retry


async def test_an_empty_reply_is_not_a_success(address: str) -> None:
    async with Client(access_key=KEY) as client, client.query(address, "nothing") as reply:
        with pytest.raises(IncompleteReply, match="without any answer"):
            await reply.text()


async def test_their_server_understands_our_query(address: str) -> None:
    query = sample_query("request")
    async with Client(access_key=KEY) as client, client.query(address, query) as reply:
        read = json.loads(await reply.text())
    assert [message["content"] for message in read["query"]] == [message.content for message in query.query]
    assert read["query"][1]["attachments"][0]["url"] == query.query[1].attachments[0].url
    for name in ("user_id", "conversation_id", "message_id", "temperature", "logit_bias", "stop_sequences"):
        assert read[name] == getattr(query, name)


async def test_a_connection_is_used_again(address: str) -> None:
    async with Client(access_key=KEY) as client:
        for _ in range(3):
            async with client.query(address, QueryRequest([Message("user", "text")])) as reply:
                assert await reply.text() == "naïve 🐈\r\n\n"
        assert client.connections_opened == 1


@pytest.mark.parametrize("key", [None, "wrong"])
async def test_a_refusal(address: str, key: str | None) -> None:
    async with Client(access_key=key) as client:
        with pytest.raises(RequestRefused) as caught:
            await client.settings(address)
    assert caught.value.status in (401, 403)


async def test_settings(address: str) -> None:
    async with Client(access_key=KEY) as client:
        assert await client.settings(address) == SettingsResponse(
            allow_attachments=True,
            introduction_message="naïve 🐈",
            server_bot_dependencies={"Cat": 2},
            enable_multi_entity_prompting=True,
        )


# --- the client that blocks, and one-liners


@pytest.mark.parametrize("wish", CASES)
def test_events_for_a_client_that_blocks(address: str, wish: str) -> None:
    with BlockingClient(access_key=KEY) as client:
        for _ in range(2):
            with client.query(address, wish) as reply:
                assert list(reply) == [*CASES[wish][1], Done()]
        assert client.connections_opened == 1


def test_errors_and_settings_for_a_blocking_client(address: str) -> None:
    with BlockingClient(access_key=KEY) as client:
        with client.query(address, "error") as reply, pytest.raises(BotError, match="no dogs"):
            reply.text()
        assert client.settings(address).introduction_message == "naïve 🐈"
    with BlockingClient(access_key="wrong") as client, pytest.raises(RequestRefused):
        client.settings(address)


async def test_shortcuts(address: str) -> None:
    assert await get_final_response("text", address, access_key=KEY) == "naïve 🐈\r\n\n"
    assert list(get_bot_response_sync("replace", address, access_key=KEY)) == [*CASES["replace"][1], Done()]
