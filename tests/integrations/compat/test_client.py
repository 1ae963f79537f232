"""The calls of fastapi_poe's client on asyncio and trio: messages, keys, retries, tools, and connections."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

import anyio
import anyio.to_thread
import pytest

import poeproto_compat.client as client_module
from poeproto import Data, Error, File, Json, Meta, ReplaceResponse, SuggestedReply, Text
from poeproto.testing import TEST_ACCESS_KEY as KEY
from poeproto_compat import connections
from poeproto_compat.client import (
    BotError,
    BotErrorNoRetry,
    IncompleteReply,
    get_bot_response,
    get_bot_response_sync,
    get_final_response,
    set_bot_settings,
    stream_request,
    stream_request_base,
    sync_bot_settings,
)
from poeproto_compat.types import (
    Attachment,
    MetaResponse,
    PartialResponse,
    ProtocolMessage,
    QueryRequest,
    ToolCallDefinitionDelta,
    ToolDefinition,
)

from ...support.scripted_peer import (
    HELLO,
    LAST_CHUNK,
    STREAM_HEAD,
    Peer,
    Script,
    answering,
    chunk,
    reply,
    response,
    scripted,
    sent,
    starting,
)

pytestmark = pytest.mark.anyio


def a_query(text: str = "hello", **fields: Any) -> QueryRequest:
    ids = {"user_id": "u", "conversation_id": "c", "message_id": "m"}
    return QueryRequest(
        version="1.2", type="query", query=[ProtocolMessage(role="user", content=text)], **ids, **fields
    )


class Errors(list[str]):
    """An error handler that keeps its arguments."""

    def __call__(self, exc: Exception, message: str) -> None:
        self.append(type(exc).__name__)


async def read(address: str, **options: Any) -> list[PartialResponse]:
    options = {"request": a_query(), "bot_name": "", "api_key": KEY, "retry_sleep_time": 0, **options}
    return [message async for message in stream_request(base_url=address, **options)]


def failing_then(*answers: bytes) -> list[Script]:
    """A script for each connection, which closes it after its answer."""

    def answer_once(data: bytes) -> Script:
        async def script(peer: Peer) -> None:
            await peer.answer(data)

        return script

    return [answer_once(data) for data in answers]


# --- messages


async def test_messages_equal_those_of_their_constructors() -> None:
    events = [
        Meta("text/plain", True, linkify=True),
        Text("a"),
        Text('"\u2028', 1),
        Text("b", extra={"lang": "en"}),
        ReplaceResponse("c"),
        SuggestedReply("d", 2),
        File("https://files.invalid/a", "a.png", "image/png", "ab12"),
        Json({"x": 1}, 3),
        Data("kept by Poe"),
    ]
    async with scripted(answering(reply(*events))) as server:
        messages = await read(server.address)
    prompt = repr(a_query())

    def expected(text: str, kind: str = "text", **fields: Any) -> PartialResponse:
        payload = {"text": text, **({"index": fields["index"]} if "index" in fields else {})}
        raw = {"type": kind, "text": json.dumps(payload)}
        fields = {"raw_response": raw, **fields}
        return PartialResponse(text=text, full_prompt=prompt, **fields)

    with_lang = {"type": "text", "text": '{"text": "b", "lang": "en"}'}
    meta = {"content_type": "text/plain", "suggested_replies": True, "linkify": True}
    attachment = Attachment(url="https://files.invalid/a", content_type="image/png", name="a.png", inline_ref="ab12")
    assert messages == [
        MetaResponse(
            text="",
            raw_response=meta,
            full_prompt=prompt,
            linkify=True,
            suggested_replies=True,
            content_type="text/plain",
        ),
        expected("a"),
        expected('"\u2028', index=1),
        expected("b", raw_response=with_lang),
        expected("c", "replace_response", is_replace_response=True),
        expected("d", "suggested_reply", is_suggested_reply=True, index=2),
        PartialResponse(text="", attachment=attachment),
        PartialResponse(text="", data={"x": 1, "index": 3}, full_prompt=prompt, index=3),
    ]
    text = messages[1]
    assert (repr(text), text.model_dump()) == (repr(expected("a")), expected("a").model_dump())
    assert text.model_fields_set == {"text", "raw_response", "full_prompt", "is_replace_response", "index"}
    text.text = "mine"
    text.tool_calls.append(ToolCallDefinitionDelta.model_validate({"function": {"arguments": ""}}))
    assert (text.model_copy().text, messages[2].tool_calls) == ("mine", [])


async def test_the_request_is_shown_once_a_call() -> None:
    shown = 0

    class Counting(QueryRequest):
        def __repr__(self) -> str:
            nonlocal shown
            shown += 1
            return "the request"

    request = Counting(**a_query().model_dump())
    async with scripted(answering(reply(*map(Text, "abc")))) as server:
        messages = await read(server.address, request=request)
    assert [message.full_prompt for message in messages] == ["the request"] * 3
    assert shown == 1


async def test_a_meta_of_a_later_version_is_forwarded() -> None:
    async with scripted(answering(reply(Meta("text/x-new"), Text("a")))) as server:
        meta, _ = await read(server.address)
    assert isinstance(meta, MetaResponse)
    assert (meta.content_type, meta.linkify, meta.suggested_replies) == ("text/x-new", False, False)


async def test_errors_have_the_json_of_the_event() -> None:
    for event, error in ((Error(text="no"), BotError), (Error(False, "no"), BotErrorNoRetry)):
        async with scripted(answering(STREAM_HEAD + sent(Text("a"), event) + LAST_CHUNK)) as server:
            with pytest.raises(BotError) as caught:
                await read(server.address, on_error=Errors())
        assert type(caught.value) is error
        assert json.loads(str(caught.value)) == {"allow_retry": event.allow_retry, "text": "no"}


# --- keys and headers


async def bearer(address_of: Callable[[str], Any]) -> tuple[list[str], dict[str, Any]]:
    async with scripted(answering(HELLO)) as server:
        await address_of(server.address)
        [request] = server.requests
    return request.all("authorization"), json.loads(request.body)


async def test_the_key_is_the_argument_or_that_of_the_request_and_is_not_in_the_body() -> None:
    keyed = a_query(access_key="of-the-request", api_key="older")
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({"api_key": "mine", "request": keyed}, ["Bearer mine"]),
        ({"api_key": "", "request": keyed}, ["Bearer of-the-request"]),
        ({"api_key": "", "request": a_query(api_key="older")}, ["Bearer older"]),
        ({"api_key": ""}, []),
        ({"api_key": "", "extra_headers": {"authorization": "Basic x"}, "request": keyed}, ["Basic x"]),
    ]
    for options, expected in cases:
        keys, body = await bearer(lambda address, options=options: read(address, **options))
        assert keys == expected
        assert not {"access_key", "api_key"} & body.keys()


async def test_extra_headers_replace_those_of_the_same_name() -> None:
    async with scripted(answering(HELLO)) as server:
        await read(server.address, extra_headers={"X-Test": "1", "Accept": "text/x"})
    [request] = server.requests
    assert (request.all("x-test"), request.all("accept")) == (["1"], ["text/x"])


async def consume(result: Any) -> None:
    if isinstance(result, AsyncGenerator):
        assert [message.text async for message in result] == ["hello"]
    else:
        await result


@pytest.mark.parametrize("function", [stream_request, stream_request_base, get_final_response])
async def test_the_argument_access_key_is_deprecated(function: Callable[..., Any]) -> None:
    async def call(address: str) -> None:
        with pytest.warns(DeprecationWarning, match="pass the key as api_key") as caught:
            await consume(function(a_query(), "", access_key="old", base_url=address))
        assert [warning.filename for warning in caught] == [__file__]

    keys, _ = await bearer(call)
    assert keys == ["Bearer old"]


async def test_names_of_old() -> None:
    with pytest.warns(DeprecationWarning, match="use BotMessage"):
        assert client_module.BotMessageWithFunction is PartialResponse  # pyright: ignore
    assert client_module.MetaMessage is MetaResponse
    with pytest.raises(AttributeError):
        client_module.nothing  # noqa: B018  # pyright: ignore


async def test_a_bots_name_is_appended_to_the_base_url() -> None:
    async with scripted(answering(HELLO)) as server:
        for name in ("GPT 4", "a/b", "Who?", "Été"):
            await read(server.address, bot_name=name)
    lines = [request.line.split()[1] for request in server.requests]
    assert lines == ["/GPT%204", "/a/b", "/Who%3F", "/%C3%89t%C3%A9"]


async def test_a_request_that_was_made_unfit() -> None:
    request = a_query()
    request.query[0].content = 5  # pyright: ignore
    with pytest.raises(BotErrorNoRetry, match=r"cannot be sent: query\[0\]\.content"):
        await read("http://127.0.0.1:9/", request=request)


# --- attempts


async def test_a_call_that_fails_before_its_first_message_is_repeated() -> None:
    errors = Errors()
    async with scripted(*failing_then(response(500), b"", HELLO)) as server:
        [message] = await read(server.address, num_tries=3, on_error=errors)
    assert message.text == "hello"
    assert errors == ["RequestRefused", "ConnectionLost"]


async def test_a_call_is_not_repeated_once_a_message_was_received() -> None:
    errors = Errors()
    async with scripted(*failing_then(STREAM_HEAD + sent(Text("a")), HELLO)) as server:
        with pytest.raises(BotError, match="Error communicating with bot ") as caught:
            await read(server.address, on_error=errors)
        assert server.connections == 1
    assert type(caught.value) is BotError
    assert errors == ["IncompleteChunkedBody"]


async def test_an_error_that_forbids_a_retry_is_not_followed_by_one() -> None:
    async with scripted(answering(STREAM_HEAD + sent(Error(False)) + LAST_CHUNK)) as server:
        with pytest.raises(BotErrorNoRetry):
            await read(server.address, on_error=Errors())
        assert len(server.requests) == 1


async def test_a_fault_of_the_bot_is_reported_once_to_the_program_and_to_the_bot() -> None:
    cases = {
        b"": ("without a 'done' event", 1),
        chunk(b"event: text\ndata: {\n\n"): ("invalid event", 0),
        chunk(b"event: news\ndata: 1\n\nevent: news\ndata: 2\n\n" + b"event: done\ndata: {}\n\n"): ("unknown event", 0),
        chunk(b"event: done\ndata: {}\n\n"): ("no text", 0),
    }
    for body, (message, repeated) in cases.items():
        errors = Errors()
        reply_ = STREAM_HEAD + body + LAST_CHUNK
        async with scripted(answering(reply_)) as server:
            try:
                await read(server.address, on_error=errors)
            except BotError as exc:
                assert message in str(exc)  # noqa: PT017
            bodies = [json.loads(request.body) for request in server.requests]
        reports = [body for body in bodies if body["type"] == "report_error"]
        assert len(errors) == len(reports) == 1 + repeated
        assert message in reports[0]["message"]


async def test_a_reply_without_done_may_be_allowed() -> None:
    cut = STREAM_HEAD + sent(Text("a")) + LAST_CHUNK
    async with scripted(answering(cut)) as server:
        with pytest.raises(IncompleteReply):
            await read(server.address, on_error=Errors())
        [message] = await read(server.address, on_error=Errors(), allow_missing_done=True)
        options: dict[str, Any] = {"base_url": server.address, "on_error": Errors()}
        assert await get_final_response(a_query(), "", KEY, allow_missing_done=True, **options) == message.text
        with pytest.raises(IncompleteReply):
            await get_final_response(a_query(), "", KEY, **options)


async def test_a_reply_of_files_alone_is_not_a_fault() -> None:
    async with scripted(answering(reply(File("https://a.invalid", "a", "a/b")))) as server:
        errors = Errors()
        await read(server.address, on_error=errors)
        assert not errors
        assert await get_final_response(a_query(), "", KEY, base_url=server.address) == ""


async def test_final_responses() -> None:
    events = [Meta(), Text("a"), ReplaceResponse("b"), SuggestedReply("x"), Text("c")]
    async with scripted(answering(reply(*events))) as server:
        assert await get_final_response(a_query(), "", KEY, base_url=server.address) == "bc"
    async with scripted(answering(reply(Meta()))) as server:
        with pytest.raises(BotError, match="Bot Cat sent no response"):
            await get_final_response(a_query(), "Cat", KEY, base_url=server.address, on_error=Errors())


# --- replaced by tests


async def test_functions_are_looked_up_when_they_are_called(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fake(*_args: Any, **_options: Any) -> AsyncGenerator[PartialResponse]:
        yield PartialResponse(text="fake")

    with monkeypatch.context() as patch:
        patch.setattr(client_module, "stream_request", fake)
        assert await get_final_response(a_query(), "Cat") == "fake"
        assert [part.text async for part in get_bot_response([], "Cat", "k")] == ["fake"]
    monkeypatch.setattr(client_module, "stream_request_base", fake)
    assert await get_final_response(a_query(), "Cat") == "fake"


# --- connections


async def test_calls_share_connections() -> None:
    async with scripted(answering(HELLO)) as server:
        for _ in range(3):
            await read(server.address)
        assert server.connections == 1


async def test_leaving_early_closes_the_response() -> None:
    async with scripted(starting) as server:
        async with aclosing(stream_request(a_query(), "", KEY, base_url=server.address)) as messages:
            assert (await anext(messages)).text == "a"
        await server.until_closed(1)


async def test_a_cancelled_call_closes_the_response() -> None:
    async with scripted(starting) as server:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read, server.address)
            await server.until_asked()
            tasks.cancel_scope.cancel()
        await server.until_closed(1)


async def call_in_a_loop(address: str) -> None:
    assert await get_final_response(a_query(), "", KEY, base_url=address) == "hello"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
async def test_connections_are_closed_with_their_event_loop(backend: str) -> None:
    async with scripted(answering(HELLO)) as server:
        for count in (1, 2):
            await anyio.to_thread.run_sync(lambda: anyio.run(call_in_a_loop, server.address, backend=backend))
            await server.until_closed(count)


async def test_connections_of_a_loop_that_was_only_closed_are_closed_by_the_next_call() -> None:
    def call() -> None:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(call_in_a_loop(server.address))
        loop.close()

    async with scripted(answering(HELLO)) as server:
        await anyio.to_thread.run_sync(call)
        await read(server.address)
        await server.until_closed(1)
        assert len([each for each in connections._all if each.loop.is_over()]) == 0


# --- synchronous code


def call_sync(address: str) -> list[str]:
    messages = [ProtocolMessage(role="user", content="hello")]
    return [message.text for message in get_bot_response_sync(messages, "", KEY, base_url=address)]


async def test_synchronous_calls_without_an_event_loop_leave_none_behind() -> None:
    async with scripted(answering(reply(Text("a"), Text("b")))) as server:
        assert await anyio.to_thread.run_sync(call_sync, server.address) == ["a", "b"]
        await server.until_closed(1)


def test_synchronous_calls_within_an_event_loop(anyio_backend: str) -> None:
    address: list[str] = []
    ready, over = threading.Event(), threading.Event()

    async def serve() -> None:
        async with scripted(answering(reply(Text("a"), Text("b")))) as server:
            address.append(server.address)
            ready.set()
            await anyio.to_thread.run_sync(over.wait)

    async def main() -> list[str]:
        return call_sync(address[0])  # blocks this loop

    thread = threading.Thread(target=anyio.run, args=(serve,))
    thread.start()
    try:
        ready.wait()
        assert anyio.run(main, backend=anyio_backend) == ["a", "b"]
    finally:
        over.set()
        thread.join()


async def test_a_synchronous_call_may_be_left_early() -> None:
    def call(address: str) -> str:
        messages = get_bot_response_sync([], "", KEY, base_url=address)
        text = next(messages).text
        messages.close()
        return text

    async with scripted(starting) as server:
        assert await anyio.to_thread.run_sync(call, server.address) == "a"
        await server.until_closed(1)


async def test_a_session_belongs_to_its_event_loop() -> None:
    with pytest.raises(ValueError, match="an event loop is running"):
        next(get_bot_response_sync([], "", KEY, session=object()))  # pyright: ignore


# --- tools


def a_tool(name: str) -> ToolDefinition:
    parameters = {"type": "object", "properties": {"town": {"type": "string"}}}
    function = {"name": name, "description": "", "parameters": parameters}
    return ToolDefinition.model_validate({"type": "function", "function": function})


def openai(delta: dict[str, Any] | None, finish_reason: str | None = None) -> Json:
    choice = {"index": 0, "finish_reason": finish_reason, **({} if delta is None else {"delta": delta})}
    return Json({"object": "chat.completion.chunk", "choices": [choice]})


def called(index: int | None, name: str | None, arguments: str, **more: Any) -> dict[str, Any]:
    function = {"arguments": arguments, **({} if name is None else {"name": name})}
    begun = {} if name is None else {"id": f"call-{name}", "type": "function"}
    place = {} if index is None else {"index": index}
    return {"tool_calls": [{**place, **begun, "function": function, **more}]}


async def use_tools(first: list[Json], *functions: Callable[..., Any]) -> tuple[list[str], list[Any]]:
    """The texts, and the results that the model is sent."""
    async with scripted(*failing_then(reply(*first), reply(Text("done"))), answering(HELLO)) as server:
        names = [function.__name__ for function in functions]
        tools = list(map(a_tool, names))
        messages = await read(server.address, tools=tools, tool_executables=list(functions))
        bodies = [json.loads(request.body) for request in server.requests]
    return [message.text for message in messages], bodies[-1].get("tool_results") or []


def weather(town: str = "nowhere") -> str:
    return f"warm in {town}"


async def test_tools_are_run_and_the_model_is_queried_again() -> None:
    async def later(town: str) -> dict[str, str]:
        return {"town": town}

    chunks = [
        openai({"role": "assistant", "content": None, "tool_calls": None}),
        openai({"content": "let me see"}),
        openai(called(0, "weather", '{"town":')),
        openai(called(0, None, ' "Rome"}')),
        openai(called(1, "later", '{"town": "Oslo"}')),
        openai({}, "tool_calls"),
        openai(None),
        Json({"choices": [], "usage": {"total_tokens": 1}}),
    ]
    texts, results = await use_tools(chunks, weather, later)
    assert texts == ["let me see", "", "done"]
    assert [(each["tool_call_id"], each["name"], each["content"]) for each in results] == [
        ("call-weather", "weather", '"warm in Rome"'),
        ("call-later", "later", '{"town": "Oslo"}'),
    ]


async def test_calls_and_text_of_the_chunk_that_finishes_are_not_lost() -> None:
    _, results = await use_tools([openai(called(None, "weather", ""), "tool_calls")], weather)
    assert results[0]["content"] == '"warm in nowhere"'
    texts, results = await use_tools([openai({"content": "bye"}, "stop")], weather)
    assert (texts, results) == (["bye"], [])


@pytest.mark.parametrize(("name", "arguments"), [("sunshine", "{}"), ("weather", "{"), ("weather", "[]")])
async def test_a_call_that_fits_no_tool_is_the_models_to_correct(name: str, arguments: str) -> None:
    texts, [result] = await use_tools([openai(called(0, name, arguments))], weather)
    assert texts == ["done"]
    assert "error" in json.loads(result["content"])


async def test_a_tool_that_fails_fails_the_call() -> None:
    def fail(town: str = "") -> None:
        raise LookupError(town)

    async with scripted(answering(reply(openai(called(0, "fail", "{}"))))) as server:
        with pytest.raises(LookupError):
            await read(server.address, tools=[a_tool("fail")], tool_executables=[fail])


@pytest.mark.parametrize("functions", [None, [weather]])
async def test_calls_of_another_form_are_an_error(functions: list[Callable[..., Any]] | None) -> None:
    chunk_ = openai({"tool_calls": [{"index": "first", "function": {"name": "weather", "arguments": 5}}]})
    async with scripted(answering(reply(chunk_))) as server:
        with pytest.raises(BotErrorNoRetry, match="tool calls that cannot be read"):
            await read(server.address, tools=[a_tool("weather")], tool_executables=functions)


async def test_without_functions_the_calls_are_handed_out() -> None:
    chunks = [openai(called(0, "weather", "{")), openai({"tool_calls": [{"index": 0, "function": {}}]})]
    async with scripted(answering(reply(*chunks))) as server:
        messages = await read(server.address, tools=[a_tool("weather")])
        [request] = server.requests
    assert [delta.function.arguments for message in messages for delta in message.tool_calls] == ["{", ""]
    assert json.loads(request.body)["tools"][0]["function"]["name"] == "weather"


# --- settings


async def sync(address: str, **arguments: Any) -> None:
    def call() -> None:
        sync_bot_settings("Cat Bot", KEY, base_url=address, **arguments)

    await anyio.to_thread.run_sync(call)


async def test_settings_are_sent_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    async with scripted(answering(response(200, f"fine, {KEY}".encode()))) as server:
        await sync(server.address, settings={"foo": "bar"})
        await sync(server.address)
    first, second = server.requests
    assert first.line.split()[1] == f"/update_settings/Cat%20Bot/{KEY}/1.2"
    assert second.line.split()[1] == f"/fetch_settings/Cat%20Bot/{KEY}/1.2"
    assert (json.loads(first.body), second.body) == ({"foo": "bar"}, b"")
    assert capsys.readouterr().out == "fine, …\n" * 2


async def test_settings_that_are_refused() -> None:
    async with scripted(answering(response(403, f"no, {KEY}".encode()))) as server:
        with pytest.raises(BotError, match="Cat Bot: no, …"):
            await sync(server.address, settings={})
    with pytest.raises(BotError, match="Cat Bot: no connection"):
        await sync("http://127.0.0.1:9/")


def test_the_older_name_of_the_settings_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def fake(*args: Any, **options: Any) -> None:
        seen.append((args, options))

    monkeypatch.setattr(client_module, "sync_bot_settings", fake)
    with pytest.warns(DeprecationWarning, match="use sync_bot_settings"):
        set_bot_settings(bot_name="Cat", access_key="k", settings={"a": 1})
    assert seen == [(("Cat", "k"), {"settings": {"a": 1}})]


# --- modules


def test_nothing_of_fastapi_poe_is_imported() -> None:
    code = """
import sys
import poeproto_compat.client, poeproto_compat.connections, poeproto_compat.received_messages
heavy = {"httpx", "httpx_sse", "pydantic", "fastapi", "starlette", "sse_starlette", "uvicorn", "trio", "fastapi_poe"}
print(sorted(heavy & sys.modules.keys()))
"""
    assert subprocess.check_output([sys.executable, "-c", code], text=True, timeout=30) == "[]\n"
