"""A recording made before fastapi_poe's server gives equal events to both clients."""

from __future__ import annotations

from collections.abc import AsyncIterable

import fastapi_poe
import pytest
from fastapi_poe.client import BotError, stream_request

from poeproto import BotError as OurBotError
from poeproto import Event, Message, QueryRequest
from poeproto_h11 import Client

from ..support.bots import KEY
from ..support.fastapi_poe_peers import a_request, ignore_error, server_of
from ..support.recording_servers import recording, replaying

pytestmark = [
    pytest.mark.anyio,
    # fastapi_poe calls pydantic 2 by pydantic 1's names.
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20"),
]


@pytest.fixture
def anyio_backend() -> str:
    """fastapi_poe leaves generators to the garbage collector, which asyncio tolerates."""
    return "asyncio"


class Bot(fastapi_poe.PoeBot):
    """Answers with events of every kind, or with an error."""

    async def get_response(self, request: fastapi_poe.QueryRequest) -> AsyncIterable[fastapi_poe.PartialResponse]:
        said = request.query[-1].content
        if said == "fail":
            yield fastapi_poe.ErrorResponse(text="no such thing", allow_retry=False)
            return
        yield fastapi_poe.MetaResponse(text="", suggested_replies=True, content_type="text/markdown", linkify=True)
        for piece in (said, " – ", "ä\u2028\U0001f600"):
            yield fastapi_poe.PartialResponse(text=piece)
        yield fastapi_poe.PartialResponse(text="again", is_replace_response=True)
        yield fastapi_poe.PartialResponse(text="more?", is_suggested_reply=True)


async def theirs(url: str, text: str) -> list[object]:
    """The items that fastapi_poe's client makes of a reply."""
    messages: list[object] = []
    try:
        async for message in stream_request(
            a_request(text), "bot", api_key=KEY, base_url=url, num_tries=1, on_error=ignore_error
        ):
            messages.append(message)
    except BotError as exc:
        messages.append(str(exc))
    return messages


async def ours(url: str, text: str) -> list[Event | str]:
    """The events that our client receives."""
    events: list[Event | str] = []
    query = QueryRequest([Message("user", text)])
    async with Client() as client:
        try:
            async with client.query(url, query, access_key=KEY) as reply:
                async for event in reply:
                    events.append(event)
        except OurBotError as exc:
            events.append(str(exc))
    return events


async def test_a_replay_has_the_events_of_the_bot() -> None:
    texts = ("hello", "fail")
    with server_of(Bot(path="/bot")) as url:
        async with recording(url) as (address, tape):
            their_events = [await theirs(address, text) for text in texts]
            our_events = [await ours(f"{address}bot", text) for text in texts]
            await tape.ended(4)
    assert len(their_events[0]) > 5
    assert len(our_events[0]) > 5
    assert KEY.encode() not in tape.getvalue()
    async with replaying(tape.recording(), speed=0) as replay:
        assert [await theirs(replay, text) for text in texts] == their_events
        assert [await ours(f"{replay}bot", text) for text in texts] == our_events
