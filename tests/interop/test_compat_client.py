"""fastapi_poe's client and the one of poeproto_compat side by side: the same bot, the same messages and exceptions."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, Awaitable, Callable, Generator
from types import ModuleType
from typing import Any

import anyio.to_thread
import fastapi_poe
import fastapi_poe.client
import httpx
import pytest

import poeproto_compat.client
import poeproto_compat.types
from poeproto import Text
from poeproto_simulator import Canned, Simulator, ToolCaller

from ..support.bots import KEY
from ..support.fastapi_poe_peers import server_of
from ..support.scripted_peer import LAST_CHUNK, STREAM_HEAD, chunk, scripted

pytestmark = [
    pytest.mark.anyio,
    # fastapi_poe calls pydantic 2 by pydantic 1's names.
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20"),
]

THEIRS: tuple[ModuleType, ModuleType] = fastapi_poe.client, fastapi_poe.types
OURS: tuple[ModuleType, ModuleType] = poeproto_compat.client, poeproto_compat.types


@pytest.fixture
def anyio_backend() -> str:
    """fastapi_poe leaves generators to the garbage collector, which asyncio tolerates."""
    return "asyncio"


class Seen:
    """The results of a call that a program can observe."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, dict[str, Any]]] = []
        self.error = ""
        self.text: str | dict[str, Any] = ""
        self.failed_attempts = 0

    def on_error(self, exc: Exception, message: str) -> None:
        self.failed_attempts += "failed on try" in message

    def add(self, message: Any) -> None:
        dumped = message.model_dump()
        raw = dumped["raw_response"]
        if isinstance(raw, dict) and isinstance(raw.get("text"), str):
            raw["text"] = json.loads(raw["text"])  # ours is encoded again
        self.messages.append((type(message).__name__, dumped))

    def __eq__(self, other: object) -> bool:
        return vars(self) == vars(other)

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __repr__(self) -> str:
        return repr(vars(self))


def a_request(types: Any, text: str = "hello", **fields: Any) -> Any:
    message = types.ProtocolMessage(role="user", content=text)
    ids = {"user_id": "u", "conversation_id": "c", "message_id": "m"}
    return types.QueryRequest(version="1.2", type="query", query=[message], **ids, **fields)


async def see(side: tuple[Any, Any], address: str, text: str = "hello", **more: Any) -> Seen:
    client, types = side
    seen = Seen()
    options: dict[str, Any] = {"on_error": seen.on_error, "retry_sleep_time": 0, "base_url": address, **more}
    try:
        async for message in client.stream_request(a_request(types, text), "", KEY, **options):
            seen.add(message)
    except client.BotError as exc:
        seen.error = type(exc).__name__
        try:
            seen.text = {"allow_retry": True, **json.loads(str(exc))}  # ours is encoded again, with the default
        except ValueError:
            seen.text = str(exc).partition(":")[0]
    return seen


def record(event: str, data: object) -> bytes:
    payload = data if isinstance(data, str) else json.dumps(data)
    return f"event: {event}\r\ndata: {payload}\r\n\r\n".encode()


DONE = record("done", {})
FILE = {"url": "https://files.invalid/a", "name": "a.png", "content_type": "image/png", "inline_ref": "ab12"}
CHUNK = {"choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": None}]}
META = {"content_type": "text/plain", "linkify": True, "suggested_replies": True}

# Streams after which both show the same.
SAME = {
    "texts": [record("text", {"text": "naïve \u2028"}), record("text", {"text": ""}), DONE],
    "indexes": [record("text", {"text": "a", "index": 0}), record("text", {"text": "b", "index": 1}), DONE],
    "replace": [record("text", {"text": "a"}), record("replace_response", {"text": "b", "index": 3}), DONE],
    "suggest": [record("text", {"text": "a"}), record("suggested_reply", {"text": "b"}), DONE],
    "file": [record("file", FILE), record("text", {"text": "a"}), DONE],
    "file without a reference": [record("file", {**FILE, "inline_ref": None}), record("text", {"text": "a"}), DONE],
    "json": [record("json", CHUNK), record("text", {"text": "a"}), DONE],
    "json with an index": [record("json", {**CHUNK, "index": 1}), record("text", {"text": "a"}), DONE],
    "meta": [record("meta", META), record("text", {"text": "a"}), DONE],
    "meta of defaults": [record("meta", {"content_type": "text/markdown", "suggested_replies": False}), DONE],
    "late meta": [record("text", {"text": "a"}), record("meta", META), DONE],
    "ping": [record("ping", {}), record("text", {"text": "a"}), DONE],
    "nothing": [DONE],
    "unknown": [record("new_thing", {"a": 1}), record("text", {"text": "a"}), DONE],
    "error": [record("text", {"text": "a"}), record("error", {"allow_retry": False, "text": "no dogs"})],
    "error that allows a retry, late": [record("text", {"text": "a"}), record("error", {"allow_retry": True})],
    "error that allows a retry": [record("error", {"allow_retry": True, "text": "no", "error_type": "x"})],
    "error of defaults": [record("text", {"text": "a"}), record("error", {"text": "no"})],
    "after the end": [record("text", {"text": "a"}), DONE, record("text", {"text": "b"})],
}


@pytest.mark.parametrize("name", SAME)
async def test_a_stream(name: str) -> None:
    whole = STREAM_HEAD + b"".join(map(chunk, SAME[name])) + LAST_CHUNK

    async def answer(peer: Any) -> None:
        while True:
            await peer.answer(whole)

    async with scripted(answer) as server:
        assert await see(OURS, server.address) == await see(THEIRS, server.address)


REFUSALS = {
    "401": b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno",
    "500": b"HTTP/1.1 500 Oh\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
    "200 without a stream": b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi",
    "no answer": b"",
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_a_refusal(name: str) -> None:
    async def answer(peer: Any) -> None:
        while await peer.answer(REFUSALS[name]):
            if name == "no answer":
                return

    async with scripted(answer) as server:
        for tries in (1, 3):
            ours, theirs = [await see(side, server.address, num_tries=tries) for side in (OURS, THEIRS)]
            assert ours == theirs
            assert ours.failed_attempts == tries


# --- deliberate differences


async def test_a_stream_without_done_is_an_error_here_unless_it_is_allowed() -> None:
    async def answer(peer: Any) -> None:
        while True:
            await peer.answer(STREAM_HEAD + chunk(record("text", {"text": "a"})) + LAST_CHUNK)

    async with scripted(answer) as server:
        theirs = await see(THEIRS, server.address)
        ours = await see(OURS, server.address)
        assert (ours.messages, ours.error, theirs.error) == (theirs.messages, "IncompleteReply", "")
        assert await see(OURS, server.address, allow_missing_done=True) == theirs


async def test_a_retry_here_repeats_no_output() -> None:
    async def cut(peer: Any) -> None:
        await peer.answer(STREAM_HEAD + chunk(record("text", {"text": "a"})))

    async with scripted(cut) as server:
        theirs, ours = await see(THEIRS, server.address), await see(OURS, server.address)
    assert (len(theirs.messages), len(ours.messages)) == (2, 1)
    assert ours.error == theirs.error == "BotError"


@pytest.mark.parametrize("bad", [record("text", "{"), record("text", {"text": 1}), record("meta", "1")])
async def test_an_invalid_event_is_not_retried(bad: bytes) -> None:
    whole = STREAM_HEAD + chunk(bad) + chunk(DONE) + LAST_CHUNK

    async def answer(peer: Any) -> None:
        while True:
            await peer.answer(whole)

    async with scripted(answer) as server:
        theirs, ours = await see(THEIRS, server.address), await see(OURS, server.address)
    assert ours.error == "BotErrorNoRetry"
    assert theirs.error in ("BotErrorNoRetry", "BotError")


# --- bots of fastapi_poe, and the simulator


class TheirBot(fastapi_poe.PoeBot):
    """Answers with the request, and with the reply that the message names."""

    async def get_response(self, request: fastapi_poe.QueryRequest) -> AsyncIterable[Any]:
        if request.query[-1].content == "request":
            yield fastapi_poe.PartialResponse(text=request.model_dump_json(exclude={"access_key", "api_key"}))
        for number in range(100):
            yield fastapi_poe.PartialResponse(text=f"{number} 🐈", index=number % 2)
        yield fastapi_poe.PartialResponse(text="see", attachment=fastapi_poe.Attachment(**FILE))


@pytest.fixture(scope="module")
def their_address() -> Generator[str]:
    with server_of(TheirBot()) as address:
        yield address


async def test_a_bot_of_fastapi_poe(their_address: str) -> None:
    async with httpx.AsyncClient() as session:
        theirs = await see(THEIRS, their_address)
        assert await see(OURS, their_address) == theirs
        assert await see(OURS, their_address, session=session) == theirs
        assert not session.is_closed
    assert len(theirs.messages) == 102


async def test_the_request_arrives_equally(their_address: str) -> None:
    ours, theirs = [await see(side, their_address, "request") for side in (OURS, THEIRS)]
    assert json.loads(ours.messages[0][1]["text"]) == json.loads(theirs.messages[0][1]["text"])


@pytest.fixture
async def simulator() -> Any:
    simulator = Simulator(strict=False, api_key="mine")
    simulator.register("Cat Bot", Canned([Text("Meow"), Text("!")]), access_key=KEY)
    async with simulator.serving():
        yield simulator


async def both(use: Callable[[Any, Any], Awaitable[Any]]) -> Any:
    """The result of a call with both libraries, which is the same."""
    theirs, ours = await use(*THEIRS), await use(*OURS)
    assert ours == theirs
    return ours


async def test_final_responses(simulator: Simulator) -> None:
    async def use(client: Any, types: Any) -> str:
        base_url = f"{simulator.address}/bot/"
        return await client.get_final_response(a_request(types), "Cat Bot", "mine", base_url=base_url)

    assert await both(use) == "Meow!"


async def test_bot_responses_by_blocking(simulator: Simulator) -> None:
    async def use(client: Any, types: Any) -> list[str]:
        def call() -> list[str]:
            messages = [types.ProtocolMessage(role="user", content="hello")]
            base_url = f"{simulator.address}/bot/"
            options = {"temperature": 0.5, "stop_sequences": ["x"], "base_url": base_url}
            return [part.text for part in client.get_bot_response_sync(messages, "Cat Bot", "mine", **options)]

        return await anyio.to_thread.run_sync(call)

    assert await both(use) == ["Meow", "!"]


async def test_tools(simulator: Simulator) -> None:
    def weather(town: str) -> str:
        return f"warm in {town}"

    async def later(town: str) -> dict[str, str]:
        return {"town": town}

    simulator.register("Model", ToolCaller({"weather": {"town": "Paris"}, "later": {"town": "Rome"}}))

    async def use(client: Any, types: Any) -> list[Any]:
        schema = {"type": "object", "properties": {"town": {"type": "string"}}}
        tools = [
            types.ToolDefinition(type="function", function={"name": name, "description": "", "parameters": schema})
            for name in ("weather", "later")
        ]
        options: dict[str, Any] = {"base_url": f"{simulator.address}/bot/", "tools": tools}
        run = client.stream_request(a_request(types), "Model", "mine", tool_executables=[weather, later], **options)
        told = client.stream_request(a_request(types), "Model", "mine", **options)
        calls = [[call.model_dump() for call in part.tool_calls] async for part in told]
        return ["".join([part.text async for part in run]), calls]

    text, calls = await both(use)
    assert "warm in Paris" in text
    assert calls


async def test_uploads(simulator: Simulator) -> None:
    async def use(client: Any, types: Any) -> list[Any]:
        base_url = f"{simulator.address}/poe_api/"
        options = {"api_key": "mine", "base_url": base_url}
        first = await client.upload_file(b"it is warm", file_name="weather.txt", **options)
        second = await client.upload_file(file_url=first.url, file_name="copy.txt", **options)
        return [(each.name, each.content_type) for each in (first, second)]

    assert await both(use) == [("weather.txt", "text/plain"), ("copy.txt", "text/plain")]


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"api_key": "k"},
        {"api_key": "k", "file": b"a"},
        {"api_key": "k", "file": b"a", "file_name": "a", "file_url": "https://a.invalid"},
        {"api_key": "k", "file": "text"},
    ],
)
async def test_wrong_arguments_of_an_upload(arguments: dict[str, Any]) -> None:
    async def use(client: Any, types: Any) -> None:
        with pytest.raises(ValueError):
            await client.upload_file(**arguments)

    await both(use)


@pytest.mark.parametrize("settings", [None, {"allow_attachments": True}])
async def test_settings(
    simulator: Simulator, settings: dict[str, Any] | None, capsys: pytest.CaptureFixture[str]
) -> None:
    async def use(client: Any, types: Any) -> str:
        def sync() -> None:
            client.sync_bot_settings("Cat Bot", KEY, settings=settings, base_url=f"{simulator.address}/bot/")

        await anyio.to_thread.run_sync(sync)
        return capsys.readouterr().out

    await both(use)


async def test_settings_that_are_refused(simulator: Simulator) -> None:
    async def use(client: Any, types: Any) -> None:
        def sync() -> None:
            client.sync_bot_settings("Cat Bot", "wrong", settings={}, base_url=f"{simulator.address}/nowhere/")

        with pytest.raises(client.BotError):
            await anyio.to_thread.run_sync(sync)

    await both(use)
