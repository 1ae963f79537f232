"""`OpenAIBot` against a scripted endpoint on loopback: requests, costs, errors, and disconnects."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import attrs
import pytest

from poeproto import (
    Attachment,
    Bot,
    Done,
    DropDown,
    Error,
    Event,
    FunctionCall,
    FunctionDefinition,
    InvalidValue,
    Json,
    Limits,
    LocalProtocolError,
    Message,
    QueryRequest,
    RequestHead,
    SettingsRequest,
    SettingsResponse,
    Slider,
    Text,
    ToolCall,
    ToolDefinition,
    ToolResult,
)
from poeproto_h11 import FetchPolicy, Timeouts
from poeproto_openai import OpenAIBot, OpenAIGateway, RateCard
from poeproto_runtime.context import RequestContext
from poeproto_runtime.routes import Route

from ...support.calling_bots import QUERY, Served, calling
from ...support.openai_gateway import chat, error_of
from ...support.scripted_peer import (
    LAST_CHUNK,
    STREAM_HEAD,
    Peer,
    Script,
    ScriptedServer,
    answering,
    chunk,
    response,
    scripted,
)

pytestmark = pytest.mark.anyio

API_KEY = "sk-canary-0123456789abcdef"


def record(delta: dict[str, Any], finish_reason: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return b"data: %b\n\n" % json.dumps({"choices": [choice], **more}).encode()


USAGE = {"prompt_tokens": 1000, "completion_tokens": 500, "prompt_tokens_details": {"cached_tokens": 400}}
HELLO = [record({"role": "assistant", "content": ""}), record({"content": "Hel"}), record({"content": "lo"})]
END = [record({}, "stop"), b"data: [DONE]\n\n"]


def streamed(*records: bytes) -> bytes:
    return STREAM_HEAD + b"".join(map(chunk, records)) + LAST_CHUNK


NO_POE = answering(response(404))
ANSWER = streamed(*HELLO, *END)
CHARGED = streamed(*HELLO, record({}, "stop", usage=USAGE), b"data: [DONE]\n\n")


@attrs.frozen
class Stage:
    """A bot that is served, its endpoint, and Poe."""

    bot: OpenAIBot
    endpoint: ScriptedServer
    served: Served

    async def answer(self, query: QueryRequest = QUERY) -> list[Event]:
        return await self.served.answer(query)

    def body(self, number: int = -1) -> dict[str, Any]:
        return json.loads(self.endpoint.requests[number].body)


@asynccontextmanager
async def stage(
    *scripts: Script, poe: Script = NO_POE, policy: FetchPolicy | None = None, **options: Any
) -> AsyncGenerator[Stage]:
    async with scripted(*(scripts or (answering(ANSWER),))) as endpoint:
        options = {"model": "m", "api_key": API_KEY, **options}
        bot = OpenAIBot(f"{endpoint.address}v1/", **options)
        async with bot, calling(bot, poe, fetch_policy=policy) as served:
            yield Stage(bot, endpoint, served)
        await endpoint.until_closed(endpoint.connections)


def asked(*messages: Message, **more: Any) -> QueryRequest:
    return attrs.evolve(QUERY, query=list(messages), **more)


async def settings_of(bot: Bot) -> SettingsResponse:
    context = RequestContext(RequestHead("POST", "/"), Route(bot, allow_without_key=True), Limits())
    return await bot.get_settings(SettingsRequest(), context)


# --- requests


async def test_a_conversation_and_its_answer() -> None:
    async with stage() as here:
        query = asked(
            Message("system", "Be brief."), Message("user", "hi"), Message("bot", "Hi."), Message("user", "?")
        )
        assert await here.answer(query) == [Text("Hel"), Text("lo"), Done()]
        [request] = here.endpoint.requests
        assert request.line == "POST /v1/chat/completions HTTP/1.1"
        assert request.all("authorization") == [f"Bearer {API_KEY}"]
        assert json.loads(request.body) == {
            "model": "m",
            "stream": True,
            "stream_options": {"include_usage": True},
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": "Hi."},
                {"role": "user", "content": "?"},
            ],
        }


async def test_connections_are_kept_until_the_bot_is_closed() -> None:
    async with stage() as here:
        for _ in range(3):
            await here.answer()
        assert (here.endpoint.connections, here.endpoint.closed) == (1, 0)
        await here.bot.aclose()
        await here.endpoint.until_closed(1)
        assert await here.answer() == [Text("Hel"), Text("lo"), Done()]


async def test_the_url_query_headers_and_keys_of_azure() -> None:
    async with scripted(answering(ANSWER)) as endpoint:
        bot = OpenAIBot(
            f"{endpoint.address}openai/deployments/d/chat/completions?api-version=1",
            "m",
            headers={"api-key": API_KEY},
            extra_body={"data_sources": [], "stream_options": None},
            ask_usage=False,
            system_prompt="You are a cat.",
        )
        async with bot, calling(bot, NO_POE) as served:
            await served.answer()
            await served.answer(attrs.evolve(QUERY, skip_system_prompt=True))
        first, second = endpoint.requests
        assert first.line == "POST /openai/deployments/d/chat/completions?api-version=1 HTTP/1.1"
        assert (first.all("authorization"), first.all("api-key")) == ([], [API_KEY])
        body = json.loads(first.body)
        assert (body["data_sources"], body["stream_options"]) == ([], None)
        assert body["messages"][0] == {"role": "system", "content": "You are a cat."}
        assert json.loads(second.body)["messages"] == [{"role": "user", "content": "hello"}]
        assert API_KEY not in repr(bot)


async def test_tools_are_offered_and_their_calls_and_results_are_sent_back() -> None:
    weather = ToolDefinition(FunctionDefinition("weather", "of a place", {"type": "object", "properties": {}}))
    call = ToolCall("call_1", FunctionCall("weather", "{}"))
    calls = {"index": 0, "id": "call_2", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    reply = streamed(record({"tool_calls": [calls]}), record({}, "tool_calls"), b"data: [DONE]\n\n")
    async with stage(answering(reply)) as here:
        query = asked(
            Message("user", "earlier"),
            Message("bot", json.dumps([{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]),
                    message_type="function_call"),
            Message("tool", json.dumps([{"tool_call_id": "a", "name": "f", "content": "1", "role": "tool"}])),
            Message("user", "now"),
            tools=[weather], tool_calls=[call], tool_results=[ToolResult("call_1", "weather", "sunny")],
        )  # fmt: skip
        first, finish, done = await here.answer(query)
        assert isinstance(first, Json)
        assert first.data["choices"][0]["delta"]["tool_calls"] == [calls]
        assert isinstance(finish, Json)
        assert finish.data["choices"][0]["finish_reason"] == "tool_calls"
        assert done == Done()
        body = here.body()
        assert [each["function"]["name"] for each in body["tools"]] == ["weather"]
        assert [each["role"] for each in body["messages"]] == ["user", "assistant", "tool", "user", "assistant", "tool"]
        assert body["messages"][1]["tool_calls"][0]["id"] == "a"
        assert body["messages"][2] == {"role": "tool", "tool_call_id": "a", "content": "1"}
        assert body["messages"][4]["tool_calls"][0]["id"] == "call_1"
        assert body["messages"][5] == {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (Message("tool", "42"), [{"role": "user", "content": "42"}]),
        (Message("bot", ""), []),
        (Message("narrator", "Later."), [{"role": "user", "content": "Later."}]),
        (Message("bot", "[1]", message_type="function_call"), [{"role": "assistant", "content": "[1]"}]),
        (Message("tool", '{"a": 1}'), [{"role": "user", "content": '{"a": 1}'}]),
    ],
)
async def test_messages_that_openai_has_no_form_for(message: Message, expected: list[dict[str, str]]) -> None:
    async with stage() as here:
        await here.answer(asked(message, Message("user", "and?")))
        assert here.body()["messages"] == [*expected, {"role": "user", "content": "and?"}]


PICTURE = Attachment("https://files.example/cat.png", "image/png", "cat.png", parsed_content="cat.png***a cat")
NOTES = Attachment("https://files.example/notes.txt", "text/plain", "notes.txt", parsed_content="Buy milk.")
PAPER = Attachment("https://files.example/paper.pdf", "application/pdf", "paper.pdf")


async def test_attachments_by_url() -> None:
    async with stage() as here:
        await here.answer(
            asked(
                Message("user", "look", attachments=[PICTURE, NOTES, PAPER]),
                Message("bot", "", attachments=[PICTURE]),
                Message("user", "", attachments=[NOTES]),
            )
        )
        first, second, third = here.body()["messages"]
        assert first["content"] == [
            {"type": "image_url", "image_url": {"url": PICTURE.url}},
            {"type": "text", "text": "[The attached file notes.txt:]\nBuy milk.\n[End of file]"},
            {
                "type": "text",
                "text": "[The file paper.pdf (application/pdf) is attached, but its content is not included here.]",
            },
            {"type": "text", "text": "look"},
        ]
        assert second["content"] == "[The file cat.png (image/png) was attached to this message.]"
        assert third["content"] == "[The attached file notes.txt:]\nBuy milk.\n[End of file]"


async def test_attachments_with_their_content() -> None:
    async with scripted(answering(response(200, b"\x89PNG"))) as files:
        picture = attrs.evolve(PICTURE, url=f"{files.address}cat.png")
        paper = attrs.evolve(PAPER, url=f"{files.address}paper.pdf")
        known = Attachment("data:text/plain;base64,QQ==", "text/plain", "a.txt")
        policy = FetchPolicy(origins=[files.address])
        async with stage(attachments="data", policy=policy) as here:
            await here.answer(asked(Message("user", "look", attachments=[picture, paper, known, NOTES])))
            image, file, other, notes, _ = here.body()["messages"][0]["content"]
            assert image == {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}}
            assert file["file"] == {"filename": "paper.pdf", "file_data": "data:application/pdf;base64,iVBORw=="}
            assert other["file"]["file_data"] == known.url
            assert notes["type"] == "text"
            assert [request.all("authorization") for request in files.requests] == [[], []]


async def test_attachments_that_cannot_be_fetched(caplog: pytest.LogCaptureFixture) -> None:
    async with stage(attachments="data") as here:
        await here.answer(asked(Message("user", "look", attachments=[PAPER])))
        assert "its content is not included here" in here.body()["messages"][0]["content"]
        assert "give it a FetchPolicy" in caplog.text
    async with scripted(answering(response(500))) as files:
        paper = attrs.evolve(PAPER, url=f"{files.address}paper.pdf")
        async with stage(attachments="data", policy=FetchPolicy(origins=[files.address])) as here:
            await here.answer(asked(Message("user", "look", attachments=[paper])))
            assert "its content is not included here" in here.body()["messages"][0]["content"]
            assert "an attachment is left out" in caplog.text


# --- options


async def test_options_of_the_user_and_of_the_bot() -> None:
    options = ("temperature", "max_tokens", "stop", "reasoning_effort", "show_reasoning", "seed")
    async with stage(
        model=["small", "large"], options=options, defaults={"top_p": 0.5}, max_tokens=1000,
        max_tokens_field="max_completion_tokens",
    ) as here:  # fmt: skip
        await here.answer()
        body = here.body()
        assert {key: body[key] for key in ("model", "top_p", "max_completion_tokens")} == {
            "model": "small",
            "top_p": 0.5,
            "max_completion_tokens": 1000,
        }
        assert "temperature" not in body
        parameters = {
            "model": "large", "temperature": 0.3, "max_tokens": "20", "stop": "a,b", "reasoning_effort": "low",
            "seed": 7.0, "top_p": 1, "n": 5, "messages": [], "stream": False, "show_reasoning": "true",
        }  # fmt: skip
        await here.answer(asked(Message("user", "hi", parameters=parameters), temperature=1.5, logit_bias={"5": -100}))
        body = here.body()
        del body["messages"], body["stream_options"]
        assert body == {
            "model": "large", "temperature": 0.3, "max_completion_tokens": 20, "stop": ["a", "b"],
            "logit_bias": {"5": -100}, "reasoning_effort": "low", "seed": 7, "top_p": 0.5, "stream": True,
        }  # fmt: skip
        await here.answer(asked(Message("user", "hi"), temperature=1.5, stop_sequences=["x"]))
        assert (here.body()["temperature"], here.body()["stop"]) == (1.5, ["x"])
        await here.answer(asked(Message("user", "hi"), extra_params={"temperature": 0.1, "max_tokens": ""}))
        assert here.body()["temperature"] == 0.1
        settings = await settings_of(here.bot)
        assert settings.parameter_controls is not None
        [section] = settings.parameter_controls.sections
        model, limit, *others = section.controls or []
        assert isinstance(model, DropDown)
        assert [option.value for option in model.options] == ["small", "large"]
        assert isinstance(limit, Slider)
        assert (limit.max_value, limit.default_value) == (1000, 1000)
        assert len(others) == len(options) - 1


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"temperature": 3}, "temperature must be a number from 0 to 2"),
        ({"temperature": "warm"}, "temperature must be a number from 0 to 2"),
        ({"temperature": True}, "temperature must be a number from 0 to 2"),
        ({"max_tokens": 1001}, "max_tokens must be a number from 1 to 1000"),
        ({"reasoning_effort": "huge"}, "reasoning_effort must be one of minimal, low, medium, high"),
        ({"show_reasoning": "perhaps"}, "show_reasoning must be true or false"),
        ({"stop": 5}, "stop must be a text, or a list of texts"),
        ({"model": "other"}, "model must be one of small, large"),
    ],
)
async def test_an_option_out_of_range_reaches_no_endpoint(parameters: dict[str, Any], expected: str) -> None:
    options = ("temperature", "max_tokens", "reasoning_effort", "show_reasoning", "stop")
    async with stage(model=["small", "large"], options=options, max_tokens=1000) as here:
        error, _ = await here.answer(asked(Message("user", "hi", parameters=parameters)))
        assert error == Error(False, f"The option {expected}.", error_type="user_caused_error")
        assert not here.endpoint.requests


async def test_temperature_is_not_sent_where_it_is_not_offered() -> None:
    async with stage(options=()) as here:
        await here.answer(asked(Message("user", "hi", parameters={"temperature": 1}), temperature=0.5))
        assert "temperature" not in here.body()
        assert (await settings_of(here.bot)).parameter_controls is None


@pytest.mark.parametrize("by_default", [True, False])
async def test_reasoning_on_request(by_default: bool) -> None:
    reply = streamed(record({"reasoning_content": "Hm.\nSo"}), *HELLO, *END)
    async with stage(answering(reply), show_reasoning=by_default, options=["show_reasoning"]) as here:
        shown = [Text("*Thinking...*\n\n> Hm.\n> So"), Text("\n\nHel"), Text("lo"), Done()]
        assert await here.answer() == (shown if by_default else [Text("Hel"), Text("lo"), Done()])
        other = {"show_reasoning": not by_default}
        events = await here.answer(asked(Message("user", "hi", parameters=other)))
        assert (events == shown) is not by_default
        assert "show_reasoning" not in here.body()


# --- costs


def granted(status: str = "success") -> bytes:
    return STREAM_HEAD + chunk(b'event: result\ndata: {"status": "%b"}\n\n' % status.encode()) + LAST_CHUNK


def amounts(poe: ScriptedServer) -> list[tuple[str, dict[str, Any]]]:
    found: list[tuple[str, dict[str, Any]]] = []
    for request in poe.requests:
        [item] = json.loads(request.body)["amounts"]
        found.append((request.line.split()[1].rpartition("/")[2], item))
    return found


CARD = RateCard(input=3, output=15, cached_input=0.3)


async def test_an_upper_bound_is_authorised_and_the_reported_usage_is_captured() -> None:
    async with stage(answering(CHARGED), poe=answering(granted()), rate_card=CARD, max_tokens=2000) as here:
        *texts, usage, done = await here.answer()
        assert (texts, done) == ([Text("Hel"), Text("lo")], Done())
        assert isinstance(usage, Json)
        assert usage.data["usage"] == USAGE
        (first, authorised), (second, captured) = amounts(here.served.poe)
        assert (first, second) == ("authorize", "capture")
        # 600 + 400 cached + 500 tokens at 3, 0.3 and 15 dollars a million: 0.00942 dollars.
        assert captured == {"amount_usd_milli_cents": 942, "description": "1000 (400 cached) + 500 tokens"}
        assert authorised["amount_usd_milli_cents"] >= 2000 * 1.5
        assert here.body()["max_tokens"] == 2000
        assert (await settings_of(here.bot)).rate_card == (
            "| Type | Price |\n| --- | --- |\n| Input | $3 for 1 million tokens |\n"
            "| Cached input | $0.3 for 1 million tokens |\n| Output | $15 for 1 million tokens |"
        )


async def test_without_funds_no_request_is_sent() -> None:
    async with stage(poe=answering(granted("insufficient_balance")), rate_card=CARD, max_tokens=10) as here:
        [error, _] = await here.answer()
        assert isinstance(error, Error)
        assert error.error_type == "insufficient_fund"
        assert not here.endpoint.requests


@pytest.mark.parametrize("rule", ["free", "estimate"])
async def test_without_usage_the_rule_of_the_rate_card_holds_and_is_logged(
    rule: Any, caplog: pytest.LogCaptureFixture
) -> None:
    card = RateCard(input=100, output=100, without_usage=rule)
    async with stage(poe=answering(granted()), rate_card=card, max_tokens=10) as here:
        await here.answer()
        captured = [item for verb, item in amounts(here.served.poe) if verb == "capture"]
        assert "the endpoint reported no usage, so" in caplog.text
        if rule == "free":
            assert captured == []
            assert "nothing is charged" in caplog.text
        else:
            [item] = captured
            assert item["description"].startswith("estimated: ")
            assert "an estimate is charged" in caplog.text


async def test_a_reply_that_fails_costs_nothing() -> None:
    broken = STREAM_HEAD + chunk(record({"content": "a"}, usage=USAGE)) + LAST_CHUNK
    async with stage(answering(broken), poe=answering(granted()), rate_card=CARD, max_tokens=10) as here:
        _, error, _ = await here.answer()
        assert isinstance(error, Error)
        assert [verb for verb, _ in amounts(here.served.poe)] == ["authorize"]


async def test_a_free_model_makes_no_calls_of_poe() -> None:
    card = RateCard(input=0, output=0)
    async with stage(answering(CHARGED), rate_card=card, max_tokens=10) as here:
        await here.answer()
        assert not here.served.poe.requests


def test_attachments_count_in_the_upper_bound() -> None:
    card = RateCard(input=10, output=0, cached_input=20, attachment_tokens=100)
    item = card.upper_bound(50, 2, 10)
    assert item is not None
    assert item.amount_usd_milli_cents == 250 * 2


@pytest.mark.parametrize("wrong", [{"input": -1}, {"output": float("inf")}, {"without_usage": "guess"}])
def test_a_rate_card_that_is_invalid(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^RateCard\."):
        wrong_card: dict[str, Any] = {"input": 1, "output": 1, **wrong}
        RateCard(**wrong_card)


# --- errors


@pytest.mark.parametrize(
    ("status", "body", "retry", "words"),
    [
        (400, {"error": {"message": "bad tool"}}, False, "reported an error: bad tool"),
        (400, {"error": {"message": "no", "code": "content_filter"}}, False, "reported an error: no"),
        (400, {"error": {"message": "long", "code": "context_length_exceeded"}}, False, "long"),
        (401, {"error": {"message": f"Incorrect API key: {API_KEY}"}}, False, "refused the bot's API key"),
        (401, None, False, "refused the bot's API key"),
        (402, {"error": "pay"}, False, "no credit left"),
        (403, {"detail": "no"}, False, "does not allow the bot's API key"),
        (404, {"error": {"message": "no such model"}}, False, "no such model or path"),
        (408, None, True, "status 408"),
        (413, None, False, "status 413"),
        (429, {"error": {"message": "slow down"}}, True, "slow down"),
        (429, {"error": {"message": "pay", "code": "insufficient_quota"}}, False, "pay"),
        (500, {"error": {"message": f"boom {API_KEY}"}}, True, "boom <hidden>"),
        (502, None, True, "status 502"),
        (503, {"message": "warming up", "code": 1}, True, "warming up"),
        (301, None, False, "status 301"),
    ],
)
async def test_a_status_becomes_an_error(
    status: int, body: Any, retry: bool, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    content = b"<html>" if body is None else json.dumps(body).encode()
    with caplog.at_level(logging.DEBUG):
        async with stage(answering(response(status, content))) as here:
            error, done = await here.answer()
            assert done == Done()
            assert isinstance(error, Error)
            assert error.allow_retry is retry
            assert words in (error.text or "")
            assert error.raw_response["status"] == status
            assert len(here.endpoint.requests) == 1  # nothing is retried
        assert API_KEY not in repr(error)
    assert f"answered with status {status}" in caplog.text
    assert API_KEY not in caplog.text


@pytest.mark.parametrize("value", [API_KEY, f"Bearer {API_KEY}"])
async def test_a_key_in_an_extra_header_is_hidden_likewise(value: str, caplog: pytest.LogCaptureFixture) -> None:
    refusal = response(400, json.dumps({"error": {"message": f"wrong: {API_KEY}"}}).encode())
    broken = streamed(record({"content": "a"}), b'data: {"error": {"message": "wrong: %b"}}\n\n' % API_KEY.encode())
    with caplog.at_level(logging.DEBUG):
        for script in (refusal, broken):
            async with stage(answering(script), api_key=None, headers={"x-key": value}) as here:
                error = (await here.answer())[-2]
                assert here.endpoint.requests[0].all("x-key") == [value]
            assert isinstance(error, Error)
            assert "wrong: <hidden>" in (error.text or "")
            assert API_KEY not in repr(error)
    assert API_KEY not in caplog.text


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_kept(status: int) -> None:
    async with stage(answering(response(status, b'{"error": {"message": "later"}}', "Retry-After: 7"))) as here:
        error, _ = await here.answer()
        assert isinstance(error, Error)
        assert error.allow_retry
        assert (error.raw_response["retry_after"], error.raw_response["retry_after_seconds"]) == ("7", 7)
        assert error.text is not None
        assert error.text.endswith("It asks to wait 7 seconds before a retry.")


@pytest.mark.parametrize("retry_after", ["7", "a\\r\\nb", None])
async def test_a_gateway_before_the_bot_keeps_retry_after(retry_after: str | None) -> None:
    headers = [] if retry_after is None else [f"Retry-After: {retry_after}"]
    refused = response(429, b'{"error": {"message": "later"}}', *headers)
    async with scripted(answering(refused)) as endpoint, OpenAIBot(f"{endpoint.address}v1", "m") as bot:
        answer = await chat(OpenAIGateway({"bot": bot}, allow_without_key=True), stream=True)
        assert answer.status == 429
        assert answer.headers.get("retry-after") == (retry_after if retry_after == "7" else None)
        assert error_of(answer)["code"] == "rate_limit_exceeded"
        assert len(endpoint.requests) == 1


async def test_the_error_types_that_poe_knows() -> None:
    for code, error_type in (
        ("context_length_exceeded", "user_message_too_long"),
        ("content_filter", "user_caused_error"),
    ):
        body = json.dumps({"error": {"message": "no", "code": code}}).encode()
        async with stage(answering(response(400, body))) as here:
            error, _ = await here.answer()
            assert isinstance(error, Error)
            assert error.error_type == error_type


async def hangs_up(peer: Peer) -> None:
    await peer.read_request()


async def resets(peer: Peer) -> None:
    await peer.answer(STREAM_HEAD + chunk(HELLO[1]))


async def test_an_endpoint_without_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    async with stage(hangs_up) as here:
        error, _ = await here.answer()
        assert error == Error(text="The model's endpoint cannot be reached at the moment.")
    async with OpenAIBot("http://127.0.0.1:1/v1", "m") as bot, calling(bot, NO_POE) as served:
        error, _ = await served.answer()
        assert error == Error(text="The model's endpoint cannot be reached at the moment.")
    assert "no connection to http://127.0.0.1:1" in caplog.text


async def test_an_answer_that_breaks_off() -> None:
    async with stage(resets) as here:
        text, error, done = await here.answer()
        assert (text, done) == (Text("Hel"), Done())
        assert isinstance(error, Error)
        assert error.allow_retry
        assert "peer closed the connection" in error.raw_response["reason"]
        assert len(here.endpoint.requests) == 1


async def test_an_endpoint_that_stops_sending() -> None:
    async def silent(peer: Peer) -> None:
        await peer.answer(STREAM_HEAD + chunk(HELLO[1]))
        await peer.until_left()

    async with stage(silent, timeouts=Timeouts(idle=0.05)) as here:
        _, error, _ = await here.answer()
        assert isinstance(error, Error)
        assert "idle timeout" in error.raw_response["reason"]


@pytest.mark.parametrize("count", range(5))
async def test_a_connection_cut_after_any_chunk_is_an_error(count: int) -> None:
    records = [*HELLO, *END]

    async def cut(peer: Peer) -> None:
        await peer.answer(STREAM_HEAD + b"".join(map(chunk, records[:count])))

    async with stage(cut) as here:
        *_, error, done = await here.answer()
        assert isinstance(error, Error)
        assert error.allow_retry
        assert done == Done()


@pytest.mark.parametrize("head", ["Content-Type: text/plain", "Content-Type: application/json"])
async def test_a_complete_response_whatever_its_content_type(head: str) -> None:
    whole = {"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}]}
    async with stage(answering(response(200, json.dumps(whole).encode(), head))) as here:
        assert await here.answer() == [Text("Hello"), Done()]


async def test_an_answer_that_is_compressed() -> None:
    async with stage(answering(response(200, b"\x1f\x8b", "Content-Encoding: gzip"))) as here:
        error, _ = await here.answer()
        assert isinstance(error, Error)
        assert error.raw_response == {"status": 200}


# --- disconnects


async def test_a_disconnect_closes_the_connection_to_the_endpoint() -> None:
    async def starts(peer: Peer) -> None:
        await peer.answer(STREAM_HEAD + chunk(HELLO[1]))
        await peer.until_left()

    async with stage(starts) as here, anyio.create_task_group() as tasks:
        scope = anyio.CancelScope()

        async def ask() -> None:
            with scope:
                await here.answer()

        tasks.start_soon(ask)
        await here.endpoint.until_asked()
        await anyio.wait_all_tasks_blocked()
        scope.cancel()
        with anyio.fail_after(1):
            await here.endpoint.until_closed(1)


async def test_a_disconnect_before_the_response_closes_the_connection() -> None:
    async def says_nothing(peer: Peer) -> None:
        await peer.read_request()
        await peer.until_left()

    async with stage(says_nothing) as here, anyio.create_task_group() as tasks:
        scope = anyio.CancelScope()

        async def ask() -> None:
            with scope:
                await here.answer()

        tasks.start_soon(ask)
        await here.endpoint.until_asked()
        scope.cancel()
        with anyio.fail_after(1):
            await here.endpoint.until_closed(1)


# --- construction


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: OpenAIBot("localhost:1/v1", "m"), LocalProtocolError, "expected an http or https URL"),
        (lambda: OpenAIBot("http://u:p@host/v1", "m"), LocalProtocolError, "must not contain credentials"),
        (lambda: OpenAIBot("http://host/v1", ""), ValueError, "model must be the name of a model"),
        (lambda: OpenAIBot("http://host/v1", []), ValueError, "model must be the name of a model"),
        (lambda: OpenAIBot("http://host/v1", "m", "a\nb"), InvalidValue, "api_key: contains characters"),
        (lambda: OpenAIBot("http://host/v1", "m", rate_card=CARD), ValueError, "a rate_card needs max_tokens"),
        (
            lambda: OpenAIBot("http://host/v1", "m", options=["n"]),
            ValueError,
            "there is no option 'n'; the options are",
        ),
        (lambda: OpenAIBot("http://host/v1", "m", defaults={"top_p": 2}), ValueError, "must be a number from 0 to 1"),
        (
            lambda: OpenAIBot("http://host/v1", "m", attachments="inline"),  # pyright: ignore[reportArgumentType]
            ValueError,
            "attachments must be 'url' or 'data'",
        ),
    ],
)
def test_invalid_arguments_of_a_bot(make: Callable[[], object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        make()
    assert "u:p" not in str(caught.value)


async def test_settings_of_ones_own_are_kept() -> None:
    own = SettingsResponse(introduction_message="Hi", allow_attachments=False, rate_card="free")
    bot = OpenAIBot("http://host/v1", "m", settings=own, rate_card=CARD, max_tokens=5)
    settings = await settings_of(bot)
    assert (settings.introduction_message, settings.rate_card) == ("Hi", "free")
    assert (settings.allow_attachments, settings.expand_text_attachments) == (False, False)
