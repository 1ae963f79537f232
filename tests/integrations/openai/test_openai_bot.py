"""`OpenAIBot` against a scripted endpoint on loopback: requests, options, and its construction."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from poeproto import (
    Attachment,
    Done,
    DropDown,
    Error,
    FunctionCall,
    FunctionDefinition,
    InvalidValue,
    Json,
    LocalProtocolError,
    Message,
    SettingsResponse,
    Slider,
    Text,
    ToolCall,
    ToolDefinition,
    ToolResult,
)
from poeproto_h11 import FetchPolicy
from poeproto_openai import OpenAIBot

from ...support.calling_bots import QUERY, calling
from ...support.openai_bot_stage import (
    ANSWER,
    API_KEY,
    CARD,
    END,
    HELLO,
    NO_POE,
    asked,
    record,
    settings_of,
    stage,
    streamed,
)
from ...support.scripted_peer import answering, response, scripted

pytestmark = pytest.mark.anyio

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
