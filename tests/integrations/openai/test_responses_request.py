"""A request for a response as a query: keys that are read, ignored, refused and forwarded."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest

from poeproto import FunctionCall, Message, ToolCall, ToolResult
from poeproto_openai.api_error import ApiError
from poeproto_openai.responses.request import ResponsesRequest, read_responses_request

CALL = {"type": "function_call", "call_id": "c1", "name": "read", "arguments": '{"path": "a"}'}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "the file"}
TOOL = {"type": "function", "name": "read", "description": "Reads.", "parameters": {"type": "object"}, "strict": True}


def read(given: Any = "hello", **more: Any) -> ResponsesRequest:
    return read_responses_request(json.dumps({"model": "bot", "input": given, **more}).encode())


def messages(given: Any, **more: Any) -> list[Message]:
    return read(given, **more).query.query


def refused(given: Any = "hello", **more: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        read(given, **more)
    assert caught.value.status == 400
    return caught.value


def test_the_least_request() -> None:
    request = read()
    assert (request.model, request.stream) == ("bot", False)
    assert request.query.query == [Message("user", "hello")]


def test_instructions_come_first() -> None:
    assert messages("hello", instructions="Be kind.") == [Message("system", "Be kind."), Message("user", "hello")]
    assert messages("hello", instructions=None) == messages("hello", instructions="") == [Message("user", "hello")]


def test_items_with_and_without_a_type() -> None:
    items = [
        {"role": "developer", "content": "d"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "u"}]},
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "a", "annotations": []}],
        },
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"role": "user", "content": "v"},
    ]
    assert messages(items) == [
        Message("system", "d"),
        Message("user", "u"),
        Message("bot", "a"),
        Message("user", "v"),
    ]


def test_calls_and_their_outputs() -> None:
    second = {**CALL, "call_id": "c2", "name": "list", "arguments": "{}"}
    query = read([{"role": "user", "content": "u"}, CALL, second, OUTPUT, {**OUTPUT, "call_id": "c2"}]).query
    assert query.tool_calls == [
        ToolCall("c1", FunctionCall("read", '{"path": "a"}')),
        ToolCall("c2", FunctionCall("list", "{}")),
    ]
    assert query.tool_results == [ToolResult("c1", "read", "the file"), ToolResult("c2", "list", "the file")]


def test_an_output_of_parts() -> None:
    parts = [{"type": "input_text", "text": "the file"}]
    query = read([{"role": "user", "content": "u"}, CALL, {**OUTPUT, "output": parts}]).query
    assert query.tool_results == [ToolResult("c1", "read", "the file")]


def test_tools_are_flat() -> None:
    tools = read(tools=[TOOL]).query.tools
    assert tools is not None
    function = tools[0].function
    assert function is not None
    assert (function.name, function.description, function.parameters) == ("read", "Reads.", {"type": "object"})
    assert function.extra == {"strict": True}


def test_images_and_files() -> None:
    parts = [
        {"type": "input_image", "detail": "auto", "image_url": "https://files.test/cat.png"},
        {"type": "input_file", "file_url": "https://files.test/a.pdf"},
        {"type": "input_file", "filename": "b.txt", "file_data": "data:text/plain;base64,aGk="},
    ]
    (message,) = messages([{"role": "user", "content": parts}])
    assert [(each.url, each.content_type, each.name) for each in message.attachments] == [
        ("https://files.test/cat.png", "image/png", "cat.png"),
        ("https://files.test/a.pdf", "application/pdf", "a.pdf"),
        ("data:text/plain;base64,aGk=", "text/plain", "b.txt"),
    ]


def test_options_become_parameters_under_their_names_in_chat_completions() -> None:
    request = read(max_output_tokens=5, reasoning={"effort": "low"}, text={"verbosity": "high"}, top_p=0.5, purr=True)
    assert request.query.query[-1].parameters == {
        "max_completion_tokens": 5,
        "reasoning_effort": "low",
        "verbosity": "high",
        "top_p": 0.5,
        "purr": True,
    }


def test_options_without_effect() -> None:
    request = read(
        store=True,
        background=False,
        previous_response_id=None,
        conversation=None,
        truncation="auto",
        include=["reasoning.encrypted_content"],
        metadata={"a": "b"},
        service_tier="flex",
        text={"format": {"type": "text"}},
        tool_choice="auto",
        parallel_tool_calls=True,
        user="u",
        stream_options={"include_obfuscation": False},
        top_logprobs=0,
    )
    assert request.query.query == [Message("user", "hello")]


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": {"id": "conv_1"}}, "conversation"),
        ({"background": True}, "background"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"context_management": [{"type": "compaction"}]}, "context_management"),
        ({"include": ["message.output_text.logprobs"]}, "include"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"text": {"format": {"type": "json_object"}}}, "text.format"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": {"type": "function", "name": "read"}}, "tool_choice"),
        ({"parallel_tool_calls": False, "tools": [TOOL]}, "parallel_tool_calls"),
        ({"top_logprobs": False}, "top_logprobs"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [TOOL, {"type": "function"}]}, "tools[1].name"),
        ({"tools": [7]}, "tools[0]"),
        ({"tools": {}}, "tools"),
        ({"instructions": 7}, "instructions"),
        ({"reasoning": "much"}, "reasoning"),
        ({"include": "all"}, "include"),
        ({"stream": "yes"}, "stream"),
        ({"model": ""}, "model"),
        ({"temperature": "hot"}, "temperature"),
    ],
)
def test_refused_options(more: dict[str, Any], param: str) -> None:
    assert refused(**more).param == param


@pytest.mark.parametrize(
    ("given", "param"),
    [
        (None, "input"),
        ("", "input"),
        ([], "input"),
        ([7], "input[0]"),
        ([{"type": "item_reference", "id": "msg_1"}], "input[0].type"),
        ([{"content": "x"}], "input[0].type"),
        ([{"role": "tool", "content": "x"}], "input[0].role"),
        ([{"role": "user"}], "input[0].content"),
        ([{"role": "user", "content": [7]}], "input[0].content[0]"),
        ([{"role": "user", "content": [{"type": "input_audio"}]}], "input[0].content[0].type"),
        ([{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}], "input[0].content[0].file_id"),
        ([{"role": "user", "content": [{"type": "input_image"}]}], "input[0].content[0].image_url"),
        ([{"role": "user", "content": [{"type": "input_file"}]}], "input[0].content[0].file_url"),
        ([{"role": "user", "content": [{"type": "input_text"}]}], "input[0].content[0].text"),
        (
            [{"role": "user", "content": [{"type": "input_image", "image_url": "cat.png"}]}],
            "input[0].content[0].image_url",
        ),
        ([{"role": "user", "content": [{"type": "input_file", "file_data": 7}]}], "input[0].content[0].file_data"),
        ([{**CALL, "arguments": {}}], "input[0].arguments"),
        ([{**CALL, "call_id": 7}], "input[0].call_id"),
        ([CALL, {**OUTPUT, "call_id": ""}], "input[1].call_id"),
        ([CALL, {**OUTPUT, "output": None}], "input[1].output"),
    ],
)
def test_refused_items(given: Any, param: str) -> None:
    assert refused(given).param == param
    assert refused(given, instructions="Be kind.").param == param


def test_a_body_that_is_not_an_object() -> None:
    for body in (b"", b"[]", b"{", b"\xff"):
        with pytest.raises(ApiError) as caught:
            read_responses_request(body)
        assert caught.value.status == 400


ODD: list[Any] = [
    7,
    -0.5,
    "x",
    True,
    [],
    {},
    [None],
    [[]],
    [{}],
    {"type": []},
    {"type": "function"},
    [{"type": {}}],
    "\ud83d",
]


@pytest.mark.parametrize("value", ODD, ids=repr)
def test_any_body_is_read_or_refused(value: Any) -> None:
    keys = [
        "model",
        "instructions",
        "tools",
        "tool_choice",
        "text",
        "reasoning",
        "include",
        "metadata",
        "stream",
        "top_p",
    ]
    bodies: list[dict[str, Any]] = [{"model": "bot", "input": "hello", key: value} for key in [*keys, "input"]]
    message = {"role": "user", "content": "hello"}
    for item in (message, CALL, OUTPUT):
        bodies += [{"model": "bot", "input": [CALL, {**item, key: value}]} for key in [*item, "type"]]
    for kind in ("input_text", "output_text", "refusal", "input_image", "input_file"):
        for key in ("text", "refusal", "image_url", "file_url", "file_data", "filename", "file_id"):
            part = {"type": kind, key: value}
            bodies.append({"model": "bot", "input": [{**message, "content": [part]}]})
    for body in bodies:
        with contextlib.suppress(ApiError):
            read_responses_request(json.dumps(body).encode())
