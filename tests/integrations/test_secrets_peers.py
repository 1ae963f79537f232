"""A peer that repeats the key it was asked with, wherever HTTP and the protocol let it: no failure shows the key."""

from __future__ import annotations

import json
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
    Done,
    Endpoints,
    Error,
    PoeprotoError,
    QueryRequest,
    ReportErrorRequest,
    RequestHead,
    RequestRefused,
    RetryPolicy,
    SettingsResponse,
    encode_event,
    encode_sse,
)
from poeproto_h11 import BlockingClient, Client, FetchPolicy

from ..support.calling_bots import CallingBot, calling
from ..support.canary import BEARER_CANARY, CANARY, all_logged, all_of, all_of_failure, assert_hidden, spellings
from ..support.memory_channel import MemoryChannel
from ..support.peers_in_thread import scripted_in_thread
from ..support.scripted_peer import LAST_CHUNK, STREAM_HEAD, answering, chunk, response, scripted

pytestmark = pytest.mark.anyio

ESCAPED = "".join(f"\\u{ord(character):04x}" for character in CANARY)
IN_JSON = json.dumps(CANARY)


def streamed(*records: bytes) -> bytes:
    return STREAM_HEAD + b"".join(map(chunk, records)) + LAST_CHUNK


def answered(body: str) -> bytes:
    return response(200, body.encode(), "Content-Type: application/json")


# Whatever is asked, it is answered with one of these.
RESPONSES: dict[str, bytes] = {
    "reason": f"HTTP/1.1 500 {CANARY}\r\nContent-Length: 0\r\n\r\n".encode(),
    "header": response(500, b"", f"X-Echo: {CANARY}", f"Retry-After: {CANARY}", f"WWW-Authenticate: {CANARY}"),
    "rate limit": response(429, b"", f"X-Ratelimit-Limit: {CANARY}", f"Retry-After: {CANARY}"),
    "redirect": response(302, b"", f"Location: https://elsewhere.invalid/?key={CANARY}"),
    "cookie": response(403, b"", f"Set-Cookie: key={CANARY}"),
    "body cut": f"HTTP/1.1 500 No\r\nContent-Length: 999\r\n\r\nyou are {CANARY[:20]}".encode(),
    "content type": response(200, b"", f"Content-Type: text/{CANARY}"),
    "content coding": response(200, b"", "Content-Type: text/event-stream", f"Content-Encoding: {CANARY}"),
    "status line": f"HTTP/1.1 {CANARY}\r\n\r\n".encode(),
    "no status line": f"{CANARY}\r\n\r\n".encode(),
    "header line": f"HTTP/1.1 200 OK\r\n{CANARY}\r\n\r\n".encode(),
    "header name": f"HTTP/1.1 200 OK\r\n{CANARY}: x\r\n\r\n".encode(),
    "header value": f"HTTP/1.1 200 OK\r\nX: {CANARY}\x00\r\n\r\n".encode(),
    "content length": f"HTTP/1.1 200 OK\r\nContent-Length: {CANARY}\r\n\r\n".encode(),
    "transfer encoding": f"HTTP/1.1 200 OK\r\nTransfer-Encoding: {CANARY}\r\n\r\n".encode(),
    "chunk": STREAM_HEAD + f"{CANARY}\r\n".encode(),
    "settings": answered(f'{{"introduction_message": {{{IN_JSON}: 1}}, "response_version": 2}}'),
    "dependencies": answered(f'{{"server_bot_dependencies": {{{IN_JSON}: "x"}}}}'),
    "control": answered(
        f'{{"parameter_controls": {{"sections": [{{"controls": [{{"control": "slider", "label": {IN_JSON},'
        f' "parameter_name": {IN_JSON}, "default_value": {IN_JSON}, "min_value": 1, "max_value": 0, "step": 1}}]}}]}}}}'
    ),
    "upload": answered(f'{{"attachment_url": [{IN_JSON}], "mime_type": {IN_JSON}}}'),
    "no JSON": answered(f"{{{IN_JSON}"),
    "result": streamed(encode_sse("result", json.dumps({"status": CANARY}))),
    "no result": streamed(encode_sse("result", json.dumps({CANARY: CANARY}))),
    "error event": streamed(
        encode_event(
            Error(
                allow_retry=False,
                text=f"no such key: {CANARY}",
                raw_response={"you": [CANARY], CANARY: 1},
                error_type=CANARY,
                extra={"more": CANARY},
            )
        ),
        encode_event(Done()),
    ),
    "error event, escaped": streamed(f'event: error\ndata: {{"text": "{ESCAPED}"}}\n\n'.encode()),
    "event that is none": streamed(f"event: text\ndata: {{{IN_JSON}: 1}}\n\n".encode()),
    "event without JSON": streamed(f"event: text\ndata: {CANARY}\n\n".encode()),
    "event of wrong types": streamed(f'event: text\ndata: {{"text": [{IN_JSON}]}}\n\n'.encode()),
    "event name": streamed(f"event: {CANARY}\ndata: {CANARY}\n\n: {CANARY}\nid: {CANARY}\n\n".encode()),
    "stream cut": STREAM_HEAD + chunk(f": {CANARY}\n".encode()),
    "error in JSON, escaped": response(500, f'{{"error": "wrong key: {ESCAPED}"}}'.encode()),
}
for number, spelt in enumerate(spellings()):
    RESPONSES[f"body {number}"] = response(401, f"wrong key: {spelt}!".encode())
    if "\\" not in spelt:
        RESPONSES[f"error in JSON {number}"] = response(500, json.dumps({"error": f"wrong key: {spelt}"}).encode())

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
async def test_no_failure_shows_what_a_peer_repeats(name: str, answer: str, caplog: pytest.LogCaptureFixture) -> None:
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
def test_no_failure_of_a_blocking_client_shows_it(
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
async def test_a_bot_passes_on_nothing_of_it(answer: str, caplog: pytest.LogCaptureFixture) -> None:
    """What another bot says of the key is neither logged nor sent to whoever asked."""
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
    """Whoever has the query of an attachment's URL has the attachment."""
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
