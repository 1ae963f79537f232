"""A peer that repeats the key of its request, wherever HTTP and the protocol allow it: no failure shows the key."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

import pytest
from anyio.from_thread import BlockingPortal

from poeproto import (
    BotError,
    Context,
    CostItem,
    Endpoints,
    Error,
    PoeprotoError,
    QueryRequest,
    ReportErrorRequest,
    RequestHead,
    RequestRefused,
    RetryPolicy,
    SettingsResponse,
)
from poeproto_h11 import BlockingClient, Client, FetchPolicy

from ..support.calling_bots import CallingBot, calling
from ..support.canary import BEARER_CANARY, CANARY, all_logged, all_of, all_of_failure, assert_hidden, spellings
from ..support.canary_responses import RESPONSES
from ..support.memory_channel import MemoryChannel
from ..support.peers_in_thread import scripted_in_thread
from ..support.scripted_peer import answering, response, scripted

pytestmark = pytest.mark.anyio

Call = Callable[[Client, str], Awaitable[object]]


async def query(client: Client, url: str) -> None:
    async with client.query(url, "hello", access_key=CANARY) as reply:
        async for event in reply:
            if isinstance(event, Error):
                assert_hidden(*all_of(event), *all_of(reply))
        await reply.text()


CALLS: dict[str, Call] = {
    "query": query,
    "settings": lambda client, url: client.settings(url, access_key=CANARY),
    "report": lambda client, url: client.report_error(url, ReportErrorRequest("m", {}), access_key=CANARY),
    "sync": lambda client, url: client.sync_settings("Bot", SettingsResponse(), access_key=CANARY),
    "fetch settings": lambda client, url: client.sync_settings("Bot", access_key=CANARY),
    "upload": lambda client, url: client.upload(b"x", name="a.txt", access_key=CANARY),
    "upload by URL": lambda client, url: client.upload_by_url("https://f.invalid/a.txt", access_key=CANARY),
    "cost": lambda client, url: client.authorize_cost(CostItem(5, "words"), "q", access_key=CANARY),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("answer", RESPONSES)
async def test_no_failure_shows_a_key_that_a_peer_repeats(
    name: str, answer: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    once = RetryPolicy(attempts=1)
    failure: PoeprotoError | None = None

    async def script(peer: Any) -> None:
        await peer.answer(RESPONSES[answer])

    async with scripted(script) as server:
        async with Client(endpoints=Endpoints.at(server.address), retry=once) as client:
            try:
                await CALLS[name](client, server.address)
            except PoeprotoError as exc:
                failure = exc
        [request] = server.requests
        sent = f"{request.line} {request.headers} {request.body.decode()}"
        assert any(spelt in sent for spelt in spellings()), "it was asked with the key"
    if failure is not None:
        assert_hidden(*all_of_failure(failure))
    assert_hidden(*all_logged(caplog), *all_of(client))


@pytest.mark.parametrize("answer", ["body 0", "header line", "error event", "error in JSON, escaped"])
def test_no_failure_of_a_blocking_client_shows_the_key(
    answer: str, portal: BlockingPortal, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = BlockingClient(access_key=CANARY, retry=RetryPolicy(attempts=1))
    with scripted_in_thread(portal, answering(RESPONSES[answer])) as server, client:
        with pytest.raises(PoeprotoError) as caught, client.query(server.address, "hello") as reply:
            reply.text()
        assert_hidden(*all_of(client))
    assert_hidden(*all_of_failure(caught.value), *all_logged(caplog))


@pytest.mark.parametrize(
    "answer", ["body 0", "header line", "error event", "error event, escaped", "error in JSON, escaped"]
)
async def test_a_bot_does_not_forward_the_key(answer: str, caplog: pytest.LogCaptureFixture) -> None:
    """A key in another bot's answer is neither logged nor sent to the caller."""
    caplog.set_level(logging.DEBUG)
    failures: list[Exception] = []

    async def bot(request: QueryRequest, context: Context) -> str:
        assert context.access_key == CANARY
        assert_hidden(*all_of(context))
        try:
            return await context.final_text("Other", request)
        except Exception as exc:
            failures.append(exc)
            raise

    more: Any = {"access_key": CANARY, "retry": RetryPolicy(attempts=1)}
    async with calling(CallingBot(bot, Other=1), answering(RESPONSES[answer]), **more) as served:
        channel = MemoryChannel()
        await served.service.handle(RequestHead("POST", "/", [("authorization", BEARER_CANARY)]), "/", channel)
        assert_hidden(*all_of(served.service), *all_of(served.service.routes))
    [failure] = failures
    assert isinstance(failure, BotError if answer.startswith("error event") else PoeprotoError)
    assert isinstance(channel.events[-2], Error)
    assert_hidden(channel.stream, *all_of_failure(failure), *all_logged(caplog))


async def test_a_url_that_a_file_server_repeats_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    """The query of an attachment's URL grants access to the attachment."""
    caplog.set_level(logging.DEBUG)
    seen: list[Exception] = []
    query = f"signature={quote(CANARY, safe='')}"

    async def bot(request: QueryRequest, context: Context) -> str:
        try:
            await context.fetch_attachment(f"{files.address}a.pdf?{query}")
        except Exception as exc:  # noqa: BLE001 - what it is, is what the test is about
            seen.append(exc)
        return "over"

    async with scripted(answering(response(403, f"/a.pdf?{query} has expired".encode()))) as files:
        policy = FetchPolicy(origins=[files.address])
        async with calling(CallingBot(bot), answering(b""), fetch_policy=policy) as served:
            await served.answer()
        await files.until_closed(1)
    [error] = seen
    assert isinstance(error, RequestRefused)
    assert error.body_start == b"/a.pdf?<hidden> has expired"
    assert_hidden(*all_of_failure(error), *all_logged(caplog))
