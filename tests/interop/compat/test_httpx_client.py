"""Calls of Poe and of bots through an httpx.AsyncClient."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import anyio
import httpx
import pytest

from poeproto import (
    ConnectFailed,
    CostItem,
    Done,
    Endpoints,
    Error,
    InsufficientFunds,
    LocalProtocolError,
    Message,
    PoeprotoError,
    QueryRequest,
    ReportErrorRequest,
    SettingsResponse,
    Text,
    ToolDefinition,
)
from poeproto.flows import as_tool_definition
from poeproto_h11 import Client
from poeproto_httpx import CallObservation, HttpxClient, Outcome
from poeproto_simulator import Canned, Simulator, ToolCaller

from ...support.bots import KEY
from ...support.scripted_peer import HELLO, LAST_CHUNK, STREAM_HEAD, Peer, answering, response, scripted, sent

pytestmark = pytest.mark.anyio


@pytest.fixture
async def session() -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=20) as session:
        yield session
        assert not session.is_closed


@pytest.fixture
async def simulator() -> AsyncGenerator[Simulator]:
    simulator = Simulator(api_key="mine")
    simulator.register("Cat", Canned([Text("Meow"), Text("!")]), access_key=KEY)
    async with simulator.serving():
        yield simulator


def client_of(session: httpx.AsyncClient, simulator: Simulator) -> HttpxClient:
    return HttpxClient(session, "mine", access_key=KEY, endpoints=Endpoints.at(simulator.address))


async def test_queries(session: httpx.AsyncClient, simulator: Simulator) -> None:
    client = client_of(session, simulator)
    assert await client.query("Cat", "hello").text() == "Meow!"
    async with client.query("Cat", QueryRequest([Message("user", "hello")])) as reply:
        assert [event async for event in reply] == [Text("Meow"), Text("!"), Done()]


async def test_tools(session: httpx.AsyncClient, simulator: Simulator) -> None:
    def weather(town: str) -> str:
        return f"warm in {town}"

    simulator.register("Model", ToolCaller({"weather": {"town": "Paris"}}))
    schema = {"type": "object", "properties": {"town": {"type": "string"}}}
    function = {"name": "weather", "description": "", "parameters": schema}
    tool: ToolDefinition = as_tool_definition({"type": "function", "function": function})
    reply = client_of(session, simulator).run_tools("Model", "hello", [tool], [weather])
    assert "warm in Paris" in await reply.text()


async def test_uploads_and_settings(session: httpx.AsyncClient, simulator: Simulator, tmp_path: Path) -> None:
    client = client_of(session, simulator)
    path = tmp_path / "a.txt"
    path.write_bytes(b"x" * 200_000)
    first = await client.upload(path)
    second = await client.upload_by_url(first.url, name="b.txt")
    assert (first.size, first.name, second.name) == (200_000, "a.txt", "b.txt")
    await client.sync_settings("Cat", SettingsResponse(allow_attachments=True))


async def test_calls_of_a_bot_server(session: httpx.AsyncClient) -> None:
    async with scripted(answering(response(200, b'{"allow_attachments": true}'))) as server:
        client = HttpxClient(session, "not-sent-here", access_key=KEY)
        assert (await client.settings(server.address)).allow_attachments
        await client.report_error(server.address, ReportErrorRequest("oh"), access_key="own")
        assert [request.all("authorization") for request in server.requests] == [[f"Bearer {KEY}"], ["Bearer own"]]


async def test_costs(session: httpx.AsyncClient) -> None:
    head = "Content-Type: text/event-stream"
    granted, refused = (b'event: result\ndata: {"status": "%b"}\n\n' % status for status in (b"success", b"no"))
    async with scripted(answering(response(200, granted, head))) as server:
        client = HttpxClient(session, access_key=KEY, endpoints=Endpoints.at(server.address))
        await client.authorize_cost(CostItem(10), "query")
    async with scripted(answering(response(200, refused, head))) as server:
        client = HttpxClient(session, access_key=KEY, endpoints=Endpoints.at(server.address))
        with pytest.raises(InsufficientFunds):
            await client.capture_cost([CostItem(10)], "query")


async def test_no_connection(session: httpx.AsyncClient) -> None:
    with pytest.raises(ConnectFailed, match="httpx: ConnectError"):
        await HttpxClient(session).query("http://127.0.0.1:9/", "hello").text()


@pytest.mark.parametrize("url", ["ftp://a.invalid/", "http://user:password@a.invalid/", "127.0.0.1:80"])
async def test_urls_that_cannot_be_called(session: httpx.AsyncClient, url: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        await HttpxClient(session).query(url, "hello").text()
    assert "password" not in str(caught.value)


async def test_a_cancelled_call_leaves_the_session_usable(session: httpx.AsyncClient) -> None:
    async def hang(peer: Peer) -> None:
        await peer.read_request()
        await anyio.sleep_forever()

    client = HttpxClient(session, access_key=KEY)
    async with scripted(hang, answering(HELLO)) as server:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.query(server.address, "hello").text)
            await server.until_asked()
            tasks.cancel_scope.cancel()
        assert await client.query(server.address, "hello").text() == "hello"


async def test_the_client_has_the_methods_of_httpx() -> None:
    names = {name for name in dir(Client) if not name.startswith("_")} - {"aclose", "connections_opened"}
    for name in names:
        assert getattr(HttpxClient, name) is getattr(Client, name), name


Use = Callable[[HttpxClient, str], Awaitable[object]]


async def read(client: HttpxClient, url: str) -> None:
    with suppress(PoeprotoError):
        await client.query(url, "hello").text()


async def leave(client: HttpxClient, url: str) -> None:
    async with client.query(url, "hello") as answer:
        await anext(answer)


async def cancel(client: HttpxClient, url: str) -> None:
    answer = client.query(url, "hello")
    await anext(answer)
    with anyio.move_on_after(0.01):
        await anext(answer)


CUT = STREAM_HEAD + sent(Text("a"))
ENDINGS: dict[str, tuple[Use, bytes, Outcome, str | None, int]] = {
    "complete": (read, HELLO, Outcome.COMPLETE, None, 1),
    "error": (read, STREAM_HEAD + sent(Error()) + LAST_CHUNK, Outcome.ERROR_EVENT, None, 0),
    "incomplete": (read, CUT + LAST_CHUNK, Outcome.INCOMPLETE, "IncompleteReply", 1),
    "refused": (read, response(400, b"no"), Outcome.REFUSED, "RequestRefused", 0),
    "cut short": (read, CUT, Outcome.DISCONNECTED, "IncompleteChunkedBody", 1),
    "left": (leave, CUT, Outcome.CANCELLED, None, 1),
    "cancelled": (cancel, CUT, Outcome.CANCELLED, None, 1),
}


@pytest.mark.parametrize("name", ENDINGS)
async def test_hooks_and_headers(session: httpx.AsyncClient, name: str) -> None:
    use, data, outcome, exception, events = ENDINGS[name]
    started: list[CallObservation] = []
    ended: list[CallObservation] = []

    async def script(peer: Peer) -> None:
        await peer.answer(data)
        if use is not read:
            await peer.until_left()

    def traceparent(seen: CallObservation) -> dict[str, str]:
        return {"traceparent": seen.id}

    client = HttpxClient(session, access_key=KEY, headers=traceparent, on_start=started.append, on_end=ended.append)
    async with scripted(script) as server:
        await use(client, server.address)
        [request] = server.requests
    [start], [end] = started, ended
    assert (end.outcome, end.exception_type, end.events) == (outcome, exception, events)
    assert request.all("traceparent") == [start.id]


async def test_exceptions_of_an_event_hook_of_the_session(simulator: Simulator) -> None:
    async def fail(request: httpx.Request) -> None:
        raise LookupError

    ended: list[CallObservation] = []
    async with httpx.AsyncClient(event_hooks={"request": [fail]}) as session:
        with pytest.raises(LookupError):
            await client_of(session, simulator).query("Cat", "hello", on_end=ended.append).text()
    assert (ended[0].outcome, ended[0].exception_type) == (Outcome.FAILED, "LookupError")
