"""Cancelling every call of the client wherever it suspends, over sockets: no leaks, and no answer to another call."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Coroutine, Generator
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import anyio
import pytest

from poeproto import (
    CostItem,
    Endpoints,
    QueryRequest,
    ReportReactionRequest,
    RequestRefused,
    RetryPolicy,
    SettingsRequest,
    SettingsResponse,
    Text,
    decode_request,
    encode_settings,
)
from poeproto_h11 import Client

from ...support.bots import KEY
from ...support.scripted_peer import Peer, Received, ScriptedServer, reply, response, scripted
from ...support.tls_peer import Certificate, certificate, serving_tls
from ...support.tool_models import WEATHER, calls

__all__ = ["certificate"]  # a fixture

pytestmark = pytest.mark.anyio

SETTINGS = SettingsResponse(introduction_message="hello")
UPLOADED = json.dumps({"attachment_url": "https://files.invalid/a", "mime_type": "text/plain"}).encode()
GRANTED = b'event: result\ndata: {"status": "success"}\n\n'
Call = Callable[[Client, str], Awaitable[object]]


class Suspensions:
    """Runs a coroutine, and calls a function whenever the coroutine is about to suspend."""

    def __init__(self, coroutine: Coroutine[Any, Any, object], about_to: Callable[[], object]) -> None:
        self._coroutine = coroutine
        self._about_to = about_to

    def __await__(self) -> Generator[Any, Any, None]:
        step: Callable[[], Any] = lambda: self._coroutine.send(None)  # noqa: E731 - the first of many
        while True:
            try:
                awaited = step()
            except StopIteration:
                return
            self._about_to()
            try:
                outcome = yield awaited
            except BaseException as exc:  # noqa: BLE001 - the coroutine's to handle
                step = _throwing(self._coroutine, exc)
            else:
                step = _sending(self._coroutine, outcome)


def _throwing(coroutine: Coroutine[Any, Any, object], exc: BaseException) -> Callable[[], Any]:
    return lambda: coroutine.throw(exc)


def _sending(coroutine: Coroutine[Any, Any, object], outcome: object) -> Callable[[], Any]:
    return lambda: coroutine.send(outcome)


# --- a server that answers whatever it is asked, a query with its own text, as far as it is short


def answer_to(request: Received, busy: set[str]) -> bytes:
    if "file_upload" in request.line:
        return response(200, UPLOADED)
    if "/cost/" in request.line:
        return response(200, GRANTED, "Content-Type: text/event-stream")
    if "_settings/" in request.line:
        return response(200, encode_settings(SETTINGS))
    asked = decode_request(request.body)
    if isinstance(asked, SettingsRequest):
        return response(200, encode_settings(SETTINGS))
    if not isinstance(asked, QueryRequest):
        return response(200, b"{}")
    text = asked.query[-1].content
    if text.startswith("no"):
        return response(500, b"no" * 100)
    if text.startswith("tools") and not asked.tool_results:
        return calls(("weather", '{"at": "Rome"}'))
    if text.startswith("busy") and text not in busy:
        busy.add(text)
        return response(503, b"busy", "Retry-After: 0")
    return reply(*map(Text, text[:30]))


def obliging() -> Callable[[Peer], Awaitable[None]]:
    busy: set[str] = set()

    async def script(peer: Peer) -> None:
        while True:
            answer = answer_to(await peer.read_request(), busy)
            # Within the head, within the body, and before its last chunk.
            places = [0, 40, min(99, len(answer) - 5), len(answer) - 5, len(answer)]
            for start, end in pairwise(places):
                await peer.send(answer[start:end])

    return script


# --- the calls

_number = count()


async def query(client: Client, url: str) -> None:
    text = f"question {next(_number)}"
    async with client.query(url, text) as answer:
        assert await answer.text() == text


async def query_and_leave(client: Client, url: str) -> None:
    async with client.query(url, f"hello {next(_number)}") as answer:
        assert await anext(answer) == Text("h")


async def query_a_busy_bot(client: Client, url: str) -> None:
    text = f"busy {next(_number)}"
    async with client.query(url, text) as answer:
        assert await answer.text() == text


async def query_with_tools(client: Client, url: str) -> None:
    def weather(at: str) -> str:
        return "rain"

    text = f"tools {next(_number)}"
    async with client.run_tools(url, text, [WEATHER], [weather]) as answer:
        assert await answer.text() == text


async def be_refused(client: Client, url: str) -> None:
    with pytest.raises(RequestRefused):
        async with client.query(url, "no"):
            pass


async def large_query(client: Client, url: str) -> None:
    async with client.query(url, "h" + "e" * 300_000) as answer:
        assert await anext(answer) == Text("h")


async def settings(client: Client, url: str) -> None:
    assert await client.settings(url) == SETTINGS


async def report(client: Client, url: str) -> None:
    await client.report_reaction(url, ReportReactionRequest(message_id="m", reaction="heart"))


async def upload(client: Client, url: str) -> None:
    assert (await client.upload(b"content" * 20_000, name="a.txt")).content_type == "text/plain"


async def upload_a_file(client: Client, url: str) -> None:
    assert (await client.upload(Path(__file__))).content_type == "text/plain"


async def sync_settings(client: Client, url: str) -> None:
    await client.sync_settings("Cat", SETTINGS)


async def authorize_cost(client: Client, url: str) -> None:
    await client.authorize_cost(CostItem(100), "query")


CALLS: list[Call] = [
    query,
    query_and_leave,
    query_a_busy_bot,
    query_with_tools,
    be_refused,
    large_query,
    settings,
    report,
    upload,
    upload_a_file,
    sync_settings,
    authorize_cost,
]


async def was_cancelled(call: Call, client: Client, url: str, at: int) -> bool:
    """Make the call, and cancel it at the suspension of that number; returns whether it got there."""
    number = 0

    def cancel_there() -> None:
        nonlocal number
        if number == at:
            scope.cancel()
        number += 1

    async def made() -> None:
        await call(client, url)

    with anyio.CancelScope() as scope:
        await Suspensions(made(), cancel_there)
    return scope.cancelled_caught


async def only_idle_connections_are_open(client: Client, server: ScriptedServer) -> None:
    """Wait until the server has seen the end of all other connections."""
    idle = len(client._pool._idle)
    assert idle <= 1
    await server.until_closed(client.connections_opened - idle)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("warm", [False, True], ids=["to be connected", "connected"])
async def test_a_call_can_be_cancelled_at_any_suspension(call: Call, warm: bool) -> None:
    at = 0
    for at in count():
        async with scripted(obliging()) as server:
            poe = Endpoints.at(server.address)
            async with Client(access_key=KEY, endpoints=poe, retry=RetryPolicy(delay=0)) as client:
                if warm:
                    await query(client, server.address)
                cancelled = await was_cancelled(call, client, server.address, at)
                await query(client, server.address)
                assert client.connections_opened <= 2 + warm
                await only_idle_connections_are_open(client, server)
            await server.until_closed(server.connections)
        if not cancelled:
            break
    assert at >= 3, "that was not every await"


async def test_a_call_over_tls_can_be_cancelled_at_any_await(certificate: Certificate) -> None:
    trusting = certificate.trusting_client()
    at = 0
    async with serving_tls(certificate.server(), obliging()) as url:
        for at in count():
            async with Client(access_key=KEY, ssl_context=trusting) as client:
                cancelled = await was_cancelled(query, client, url, at)
                await query(client, url)
                assert len(client._pool._idle) == 1
            if not cancelled:
                break
    assert at >= 5, "that was not every await"
