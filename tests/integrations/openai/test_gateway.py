"""The gateway with bots in its process: paths, methods, keys, streams and responses, errors, and how replies end."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from poeproto import Bot, Context, Error, Event, Json, Limits, QueryRequest, ReplaceResponse, Text
from poeproto_asgi import Observation, Outcome, Route
from poeproto_h11 import serve
from poeproto_openai import OpenAIGateway, UpstreamBot
from poeproto_openai.reply_exchange import ReplyExchange

from ...support.bots import KEY, SECRET, FunctionBot
from ...support.embedded_servers import EchoBot, WaitingBot
from ...support.openai_gateway import CHAT, chat, chunks_of, error_of, text_of
from ...support.raw_http import connect, http_request
from ...support.scripted_asgi import DISCONNECT, Answer, body_messages, converse, http_scope, request

pytestmark = pytest.mark.anyio

QUESTION = json.dumps({"model": "bot", "messages": [{"role": "user", "content": "hello"}], "stream": True}).encode()


def gateway(bot: Any = None, **more: Any) -> OpenAIGateway:
    if "allow_without_key" not in more:
        more.setdefault("api_keys", KEY)
    return OpenAIGateway({"bot": bot or EchoBot()}, **more)


async def test_a_response() -> None:
    answer = await chat(gateway())
    assert (answer.status, text_of(answer)) == (200, "hello")
    body = json.loads(answer.body)
    assert body["object"] == "chat.completion"
    assert body["model"] == "bot"
    assert "usage" not in body
    assert body["id"] == f"chatcmpl-{answer.headers['x-request-id']}"


async def test_a_stream() -> None:
    answer = await chat(gateway(), stream=True)
    assert (answer.status, text_of(answer)) == (200, "hello")
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["x-request-id"]
    first, *_, last = chunks_of(answer)
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "hello"}
    assert last["choices"][0]["finish_reason"] == "stop"


async def test_a_burst_is_one_write_and_each_event_a_chunk() -> None:
    async def burst(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield "first"
        await anyio.lowlevel.checkpoint()
        for number in range(100):
            yield f"{number} "
        await anyio.sleep(0.001)

    answer = await chat(gateway(FunctionBot(burst)), stream=True)
    assert text_of(answer) == "first" + "".join(f"{number} " for number in range(100))
    assert len(chunks_of(answer)) == 102
    assert len(answer.messages) <= 5


async def test_the_query_of_a_bot() -> None:
    seen: list[QueryRequest] = []

    async def look(request: QueryRequest, context: Context) -> str:
        seen.append(request)
        return "a"

    await chat(gateway(FunctionBot(look)), temperature=0.5, size="large")
    [query] = seen
    assert query.message_id.startswith("m-")
    assert query.temperature == 0.5
    assert query.query[-1].parameters == {"size": "large"}


async def test_attachments_are_inserted_by_the_settings_of_the_bot() -> None:
    async def look(request: QueryRequest, context: Context) -> str:
        return "|".join(message.content for message in request.query)

    file = {"type": "file", "file": {"filename": "a.txt", "file_data": "data:text/plain,swordfish"}}
    body = {"model": "bot", "messages": [{"role": "user", "content": [{"type": "text", "text": "read"}, file]}]}
    answer = await request(gateway(FunctionBot(look)), json.dumps(body).encode(), path=CHAT)
    assert "swordfish" in text_of(answer)
    assert text_of(answer).endswith("|read")


# --- paths, methods and keys


@pytest.mark.parametrize(
    "path", [CHAT, "/chat/completions", f"{CHAT}/", "//v1/chat/completions", "/v1//chat/completions"]
)
async def test_paths_of_chat_completions(path: str) -> None:
    assert (await request(gateway(), QUESTION, path=path)).status == 200


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/embeddings", "/v1/chat", "/v1/files", "/v1/modelsx", "/v2/models", "/v1/v1/models"]
)
async def test_other_paths(path: str) -> None:
    answer = await request(gateway(), QUESTION, path=path)
    assert answer.status == 404
    error = error_of(answer)
    known = "/v1/chat/completions, /v1/responses and /v1/models"
    assert error == {
        "message": f"there is nothing at the path {path!r}; there are {known}",
        "type": "invalid_request_error",
        "param": None,
        "code": "unknown_url",
    }


@pytest.mark.parametrize(("method", "path", "allowed"), [("GET", CHAT, "POST"), ("POST", "/v1/models", "GET, HEAD")])
async def test_other_methods(method: str, path: str, allowed: str) -> None:
    answer = await request(gateway(), method=method, path=path)
    assert (answer.status, answer.headers["allow"]) == (405, allowed)
    assert error_of(answer)["code"] == "method_not_allowed"


async def test_the_models() -> None:
    app = OpenAIGateway(
        {"one": EchoBot(), "two": "http://127.0.0.1:9/", "three": "poe:GPT-4o", "a/b c": EchoBot()}, api_keys=KEY
    )
    listed = json.loads((await request(app, b"", "GET", "/v1/models")).body)
    assert listed["object"] == "list"
    owners = {model["id"]: model["owned_by"] for model in listed["data"]}
    assert owners == {"one": "poeproto", "two": "poeproto", "three": "poe", "a/b c": "poeproto"}
    one = json.loads((await request(app, b"", "GET", "/v1/models/a/b c")).body)
    assert one in listed["data"]
    assert one["object"] == "model"
    answer = await request(app, b"", "GET", "/v1/models/none")
    assert (answer.status, error_of(answer)["code"]) == (404, "model_not_found")


async def test_the_head_of_the_models() -> None:
    assert (await request(gateway(), b"", "HEAD", "/v1/models")).status == 200


async def test_an_unknown_model() -> None:
    answer = await chat(gateway(), model="other")
    assert answer.status == 404
    error = error_of(answer)
    assert (error["code"], error["param"]) == ("model_not_found", "model")
    assert error["message"] == "there is no model 'other' here; the models are: bot"


@pytest.mark.parametrize("key", [None, "Bearer wrong", KEY, "Basic x"])
@pytest.mark.parametrize(("method", "path"), [("POST", CHAT), ("GET", "/v1/models")])
async def test_without_the_key(key: str | None, method: str, path: str) -> None:
    answer = await request(gateway(), QUESTION, method, path, key=key)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.received == 0
    assert (error_of(answer)["type"], error_of(answer)["code"]) == ("authentication_error", "invalid_api_key")


async def test_several_keys_and_none() -> None:
    app = gateway(api_keys=["first-key", "second-key"])
    for key in ("first-key", "second-key"):
        assert (await chat(app, key=f"Bearer {key}")).status == 200
    for key in (None, "Bearer anything"):
        assert (await chat(gateway(allow_without_key=True), key=key)).status == 200


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "pass api_keys, or allow_without_key=True"),
        ({"api_keys": "k", "allow_without_key": True}, "exclude each other"),
        ({"api_keys": []}, "key"),
        ({"api_keys": "a b"}, "key"),
        ({"poe": True, "poe_key": "p"}, "pass api_keys"),
        ({"api_keys": "k", "allow_origins": ["app.example.com"]}, "is not an origin"),
        ({"api_keys": "k", "allow_origins": "https://app.example.com/"}, "is not an origin"),
        ({"allow_without_key": True, "usage": "estimate"}, "usage='estimate' needs tiktoken"),
    ],
)
def test_arguments_that_cannot_be(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, ModuleNotFoundError), match=message):
        OpenAIGateway({"bot": EchoBot()}, **arguments)


@pytest.mark.parametrize(
    ("bots", "message"),
    [
        ({}, "no bots"),
        ({"": EchoBot()}, "empty"),
        ({"a": "b"}, "neither a URL nor poe:NAME"),
        ({"a": 5}, "must be a Bot"),
    ],
)
def test_bots_that_cannot_be(bots: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        OpenAIGateway(bots, allow_without_key=True)


async def test_a_route_of_its_own() -> None:
    keys: list[str | None] = []

    async def look(request: QueryRequest, context: Context) -> str:
        keys.append(context.access_key)
        return "a"

    app = gateway(Route(FunctionBot(look), access_key="the-key-for-poe-itself"))
    assert (await chat(app)).status == 200
    assert keys == ["the-key-for-poe-itself"]


# --- web pages

PAGE = ("origin", "https://app.example.com")
PREFLIGHT = [
    PAGE,
    ("access-control-request-method", "POST"),
    ("access-control-request-headers", "authorization,content-type,x-stainless-os"),
]


@pytest.mark.parametrize("origins", ["*", "https://app.example.com", ["https://other.example.com", PAGE[1]]])
async def test_a_page_whose_origin_is_allowed(origins: Any) -> None:
    app = gateway(allow_origins=origins)
    asked = await request(app, b"", "OPTIONS", CHAT, key=None, headers=PREFLIGHT)
    assert asked.status == 200
    assert asked.headers["access-control-allow-origin"] == PAGE[1]
    assert asked.headers["access-control-allow-methods"] == "GET, POST"
    assert asked.headers["access-control-allow-headers"] == "authorization,content-type,x-stainless-os"
    whole = json.dumps({**json.loads(QUESTION), "stream": False}).encode()
    for answer in (
        await request(app, QUESTION, path=CHAT, headers=[PAGE]),
        await request(app, whole, path=CHAT, headers=[PAGE]),
        await request(app, b"{", path=CHAT, headers=[PAGE]),
        await request(app, b"", "GET", "/v1/models", headers=[PAGE]),
    ):
        assert answer.headers["access-control-allow-origin"] == PAGE[1]
        assert answer.headers["vary"] == "origin"
        assert "x-request-id" in answer.headers["access-control-expose-headers"]


async def test_other_pages() -> None:
    for app in (gateway(), gateway(allow_origins="https://other.example.com")):
        assert (await request(app, b"", "OPTIONS", CHAT, key=None, headers=PREFLIGHT)).status == 405
        answer = await request(app, QUESTION, path=CHAT, headers=[PAGE])
        assert (answer.status, answer.headers.get("access-control-allow-origin")) == (200, None)


async def test_without_a_key_no_other_page_is_answered() -> None:
    for method, path in (("POST", CHAT), ("GET", "/v1/models")):
        answer = await request(gateway(allow_without_key=True), QUESTION, method, path, key=None, headers=[PAGE])
        assert (answer.status, error_of(answer)["code"]) == (403, "origin_not_allowed")
        assert answer.received == 0
    app = gateway(allow_without_key=True, allow_origins=PAGE[1])
    assert (await request(app, QUESTION, path=CHAT, key=None, headers=[PAGE])).status == 200
    assert (await request(app, QUESTION, path=CHAT, key=None, headers=[("origin", "null")])).status == 403
    assert (await chat(app, key=None)).status == 200


@pytest.mark.parametrize("names", ["x\r\ny", "\xe9", ""])
async def test_malformed_names_in_a_preflight_are_not_repeated(names: str) -> None:
    headers = [*PREFLIGHT[:2], ("access-control-request-headers", names)]
    asked = await request(gateway(allow_origins="*"), b"", "OPTIONS", CHAT, key=None, headers=headers)
    assert asked.headers["access-control-allow-headers"] == "authorization, content-type"


# --- bodies


async def test_a_body_that_is_too_large() -> None:
    app = gateway(limits=Limits(request_body=100))
    answer = await request(app, b" " * 101, path=CHAT)
    assert (answer.status, error_of(answer)["code"]) == (413, "request_too_large")
    answer = await request(app, b"", path=CHAT, headers=[("content-length", "1000000")])
    assert (answer.status, answer.received) == (413, 0)


async def test_a_body_that_cannot_be_read() -> None:
    answer = await request(gateway(), b"{", path=CHAT)
    assert (answer.status, error_of(answer)["type"]) == (400, "invalid_request_error")
    assert answer.headers["x-should-retry"] == "false"


async def test_a_client_that_disconnects_before_its_body_is_complete() -> None:
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": b"{", "more_body": True}, DISCONNECT]
    assert (await converse(gateway(), http_scope(path=CHAT), messages)).messages == []


# --- errors and ends


@pytest.mark.parametrize("stream", [False, True])
async def test_a_bot_that_fails_at_once(stream: bool, caplog: pytest.LogCaptureFixture) -> None:
    async def fail(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        raise ValueError(SECRET)
        yield ""

    answer = await chat(gateway(FunctionBot(fail)), stream=stream)
    assert (answer.status, answer.headers["x-should-retry"]) == (500, "false")
    assert answer.headers["content-type"] == "application/json"
    assert SECRET.encode() not in answer.body
    assert answer.headers["x-request-id"] in error_of(answer)["message"]
    assert SECRET in caplog.text


@pytest.mark.parametrize("pause", [False, True])
async def test_a_bot_that_fails_later(pause: bool) -> None:
    async def fail(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield "hello"
        if pause:
            await anyio.sleep(0.001)
        raise ValueError(SECRET)

    answer = await chat(gateway(FunctionBot(fail)), stream=True)
    assert answer.status == 200
    assert b"[DONE]" not in answer.body
    assert b'"content":"hello"' in answer.body
    assert error_of(answer)["code"] == "bot_error"
    whole = await chat(gateway(FunctionBot(fail)))
    assert (whole.status, error_of(whole)["code"]) == (500, "bot_error")


async def test_a_bot_that_says_nothing() -> None:
    async def silent(request: QueryRequest, context: Context) -> None:
        return None

    for stream in (False, True):
        answer = await chat(gateway(FunctionBot(silent)), stream=stream)
        assert answer.status == 500
        assert "gave no answer" in error_of(answer)["message"]


async def test_an_error_event_has_a_status() -> None:
    async def refuse(request: QueryRequest, context: Context) -> AsyncIterator[Event]:
        yield Error(allow_retry=False, text="Too long.", error_type="user_message_too_long")

    answer = await chat(gateway(FunctionBot(refuse)), stream=True)
    assert (answer.status, error_of(answer)["code"]) == (400, "context_length_exceeded")


async def test_a_malformed_chunk_of_a_bot_is_a_failure() -> None:
    async def broken(request: QueryRequest, context: Context) -> AsyncIterator[Event]:
        yield Json({"choices": [{"delta": {"tool_calls": "none"}}]})

    assert (await chat(gateway(FunctionBot(broken)), stream=True)).status == 500


async def test_replacements_are_appended_or_held() -> None:
    async def thinking(request: QueryRequest, context: Context) -> AsyncIterator[Event]:
        yield Text("Thinking...")
        yield ReplaceResponse("Hello")

    assert text_of(await chat(gateway(FunctionBot(thinking)), stream=True)) == "Thinking...\n\nHello"
    assert text_of(await chat(gateway(FunctionBot(thinking), on_replace="hold"), stream=True)) == "Hello"
    assert text_of(await chat(gateway(FunctionBot(thinking)))) == "Hello"


async def test_usage_is_counted_by_the_function_given() -> None:
    app = gateway(usage="estimate", count_tokens=len)
    answer = await chat(app, "abc", stream=True, stream_options={"include_usage": True})
    assert chunks_of(answer)[-1]["usage"] == {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6}


async def test_an_idle_stream_is_kept_open() -> None:
    bot = WaitingBot()
    app = gateway(bot, limits=Limits(heartbeat_seconds=0.05, answer_seconds=0.25))
    answer = await chat(app, stream=True)
    assert answer.status == 200
    assert b'"delta":{},' in answer.body
    assert b"\n:" not in answer.body
    assert "took too long" in error_of(answer)["message"]
    assert bot.closed.is_set()


async def test_a_stream_that_is_idle_from_the_beginning_is_kept_open(monkeypatch: pytest.MonkeyPatch) -> None:
    async def slow(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        nonlocal heartbeat_sent
        heartbeat_sent = anyio.Event()
        await heartbeat_sent.wait()
        yield "hello"

    def heartbeat(exchange: ReplyExchange) -> bytes:
        heartbeat_sent.set()
        return make_heartbeat(exchange)

    heartbeat_sent, make_heartbeat = anyio.Event(), ReplyExchange.heartbeat
    monkeypatch.setattr(ReplyExchange, "heartbeat", heartbeat)
    app = gateway(FunctionBot(slow), limits=Limits(heartbeat_seconds=0.01))
    answer = await chat(app, stream=True)
    assert chunks_of(answer)[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert text_of(answer) == "hello"
    assert text_of(await chat(app)) == "hello"


async def test_a_disconnect_cancels_the_bot() -> None:
    for stream in (True, False):
        bot = WaitingBot()
        body = json.dumps({**json.loads(QUESTION), "stream": stream}).encode()
        await converse(gateway(bot), http_scope(path=CHAT), [*body_messages(body), DISCONNECT])
        assert bot.ended.is_set()
        assert bot.closed.is_set()


async def test_shutdown_ends_replies_with_an_error() -> None:
    app = gateway(WaitingBot())
    async with anyio.create_task_group() as tasks:
        address: str = await tasks.start(_serve, app)
        async with connect(address) as connection:
            await connection.send(http_request(QUESTION, path=CHAT))
            status, _ = await connection.read_head()
            assert status == 200
            assert b"hello" in await connection.read_chunk()
            tasks.cancel_scope.cancel()
            rest = b""
            with anyio.CancelScope(shield=True):
                while data := await connection.read_chunk():
                    rest += data
            assert b'"allow_retry":true' in rest
            assert b"[DONE]" not in rest


@pytest.mark.parametrize("stream", [False, True])
async def test_shutdown_before_any_output_allows_a_retry(stream: bool) -> None:
    async def wait(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        waiting.set()
        await anyio.sleep_forever()
        yield ""

    waiting = anyio.Event()
    app = gateway(FunctionBot(wait))
    answers: list[Answer] = []

    async def ask() -> None:
        answers.append(await chat(app, stream=stream))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await waiting.wait()
        app.stop_streams()
    answers.append(await chat(app, stream=stream))  # the server has stopped already
    for answer in answers:
        assert answer.status == 503
        assert "x-should-retry" not in answer.headers
        assert "restarting" in error_of(answer)["message"]
        assert (error_of(answer)["code"], error_of(answer)["poe"]) == ("server_stopping", {"allow_retry": True})


async def test_a_bot_that_took_too_long_is_not_repeated() -> None:
    answer = await chat(gateway(WaitingBot(), limits=Limits(answer_seconds=0.05)))
    assert (answer.status, answer.headers["x-should-retry"]) == (504, "false")
    error = error_of(answer)
    assert (error["type"], error["code"], error["poe"]) == ("server_error", "reply_timeout", {"allow_retry": True})
    assert "too long" in error["message"]


async def _serve(app: OpenAIGateway, *, task_status: Any) -> None:
    await serve(app, bind="127.0.0.1:0", task_status=task_status)


# --- hooks and secrets


async def test_hooks_see_the_status_that_was_sent() -> None:
    seen: list[Observation] = []

    async def respond(request: QueryRequest, context: Context) -> AsyncIterator[Event]:
        yield Error(text="no") if request.query[-1].content == "fail" else Text("yes")

    app = gateway(FunctionBot(respond), on_end=seen.append)
    await chat(app, stream=True)
    await chat(app, "fail", stream=True)
    await chat(app, model="other")
    assert [(one.status, one.outcome) for one in seen] == [
        (200, Outcome.COMPLETE),
        (500, Outcome.REFUSED),
        (404, Outcome.REFUSED),
    ]


def test_keys_are_in_no_repr() -> None:
    app = OpenAIGateway({"bot": UpstreamBot("http://127.0.0.1:9/", SECRET), "gpt": "poe:GPT"}, api_keys=SECRET)
    assert SECRET not in repr(app) + repr(vars(app.service))
    assert SECRET not in repr(UpstreamBot("http://127.0.0.1:9/", SECRET))


async def test_a_bot_with_a_method_of_other_parameters() -> None:
    class Broken(Bot):
        async def get_response(self) -> str:  # type: ignore[override]
            return ""

    with pytest.raises(TypeError, match="get_response"):
        gateway(Broken())
