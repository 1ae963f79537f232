"""A request for a chat completion as a query: keys that are read, ignored, refused and forwarded."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poeproto import Attachment, FunctionCall, Message, Sender, ToolCall, ToolResult, encode_request
from poeproto_openai.api_error import ApiError
from poeproto_openai.chat.request import ChatRequest, read_chat_request

USER = {"role": "user", "content": "hello"}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
KEYS = (
    *(
        "model",
        "messages",
        "role",
        "content",
        "name",
        "tools",
        "tool_calls",
        "tool_call_id",
        "type",
        "function",
        "custom",
    ),
    *("id", "arguments", "input", "text", "image_url", "url", "file", "file_data", "filename", "stop", "stream", "n"),
    *("stream_options", "include_usage", "temperature", "logit_bias", "parameters", "refusal", "include_reasoning"),
)
PNG = "data:image/png;base64," + b64encode(b"\x89PNG").decode()


def read(messages: Any = (USER,), **more: Any) -> ChatRequest:
    return read_chat_request(json.dumps({"model": "bot", "messages": messages, **more}).encode())


def refused(messages: Any = (USER,), **more: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        read(messages, **more)
    assert caught.value.status == 400
    assert caught.value.type == "invalid_request_error"
    return caught.value


def test_the_least_request() -> None:
    request = read()
    assert (request.model, request.stream, request.include_usage) == ("bot", False, False)
    assert request.query.query == [Message("user", "hello")]
    assert request.query.tools is request.query.tool_calls is request.query.tool_results is None


def test_roles() -> None:
    messages = [
        {"role": "developer", "content": "d"},
        {"role": "system", "content": "s"},
        {"role": "user", "content": "u", "name": "Ada"},
        {"role": "assistant", "content": "a"},
        {"role": "user", "content": [{"type": "text", "text": ""}, {"type": "text", "text": "one"}]},
        {"role": "user", "content": [{"type": "text", "text": "two"}, {"type": "text", "text": "three"}]},
    ]
    assert read(messages).query.query == [
        Message("system", "d"),
        Message("system", "s"),
        Message("user", "u", sender=Sender(name="Ada")),
        Message("bot", "a"),
        Message("user", "one"),
        Message("user", "two\nthree"),
    ]


def test_options_that_a_query_has() -> None:
    query = read(temperature=1, stop="x", logit_bias={"1": 5}, tools=[TOOL]).query
    assert (query.temperature, query.stop_sequences, query.logit_bias) == (1.0, ["x"], {"1": 5})
    assert query.tools is not None
    assert [tool.function and tool.function.name for tool in query.tools] == ["f"]
    assert read(stop=["x", "y"]).query.stop_sequences == ["x", "y"]
    assert read(tools=[TOOL], tool_choice="none").query.tools is None
    request = read(stream=True, stream_options={"include_usage": True}, include_reasoning=True)
    assert request.stream
    assert request.include_usage
    assert request.include_reasoning


def test_unknown_keys_are_parameters_of_the_last_message() -> None:
    query = read([{"role": "system", "content": "s"}, USER], max_tokens=5, aspect="3:2", top_p=0.5).query
    assert [message.parameters for message in query.query] == [{}, {"max_tokens": 5, "aspect": "3:2", "top_p": 0.5}]


NO_OPS: dict[str, Any] = {
    "n": 1,
    "logprobs": False,
    "top_logprobs": 0,
    "response_format": {"type": "text"},
    "modalities": ["text"],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "functions": [],
    "function_call": "none",
    "audio": None,
    "web_search_options": None,
    "store": True,
    "user": "u1",
    "metadata": {"a": "b"},
    "service_tier": "auto",
    "prompt_cache_key": "k",
    "safety_identifier": "s",
    "prediction": {"type": "content", "content": "x"},
}


@pytest.mark.parametrize("key", NO_OPS)
def test_values_without_effect_are_accepted(key: str) -> None:
    assert read(**{key: NO_OPS[key]}).query.query == [Message("user", "hello")]
    assert read(**{key: None}).query.query == [Message("user", "hello")]


@pytest.mark.parametrize(("key", "value"), [("n", 1.0), ("top_logprobs", 0.0), ("parallel_tool_calls", False)])
def test_other_forms_of_values_without_effect_are_accepted(key: str, value: Any) -> None:
    assert read(**{key: value}).query.query == [Message("user", "hello")]


@pytest.mark.parametrize(("tools", "is_accepted"), [(None, True), ([], True), ([TOOL], False)])
def test_calls_one_after_the_other_make_no_difference_without_tools(tools: Any, is_accepted: bool) -> None:
    options = {"tools": tools, "parallel_tool_calls": False}
    if is_accepted:
        assert read(**options).query.query == [Message("user", "hello")]
    else:
        assert refused(**options).param == "parallel_tool_calls"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("n", 2),
        ("n", True),
        ("n", 0),
        ("n", 1.5),
        ("n", "1"),
        ("logprobs", 0),
        ("parallel_tool_calls", 1),
        ("logprobs", True),
        ("top_logprobs", 3),
        ("response_format", {"type": "json_object"}),
        ("response_format", {"type": "json_schema", "json_schema": {}}),
        ("modalities", ["text", "audio"]),
        ("audio", {"voice": "alloy"}),
        ("tool_choice", "required"),
        ("tool_choice", {"type": "function", "function": {"name": "f"}}),
        ("parallel_tool_calls", 0),
        ("functions", [{"name": "f"}]),
        ("function_call", {"name": "f"}),
        ("web_search_options", {}),
    ],
)
def test_options_that_would_change_the_answer_are_refused(key: str, value: Any) -> None:
    error = refused(**{key: value})
    assert error.param == key
    assert error.code in ("unsupported_parameter", "unsupported_value")
    assert f"omit {key}" in error.message


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", None),
        (b"[]", None),
        (b'{"messages":[{"role":"user","content":"a"}]}', "model"),
        (b'{"model":"","messages":[{"role":"user","content":"a"}]}', "model"),
        (b'{"model":1,"messages":[{"role":"user","content":"a"}]}', "model"),
        (b'{"model":"bot"}', "messages"),
        (b'{"model":"bot","messages":[]}', "messages"),
        (b'{"model":"bot","messages":{}}', "messages"),
        (b'{"model":"bot","messages":["a"]}', "messages[0]"),
        (b'{"model":"bot","messages":[{"content":"a"}]}', "messages[0].role"),
        (b'{"model":"bot","messages":[{"role":"function","content":"a"}]}', "messages[0].role"),
        (b'{"model":"bot","messages":[{"role":"user","content":5}]}', "messages[0].content"),
        (b'{"model":"bot","messages":[{"role":"user","content":["a"]}]}', "messages[0].content[0]"),
        (b'{"model":"bot","messages":[{"role":"user","content":[{"type":"text"}]}]}', "messages[0].content[0].text"),
        (b'{"model":"bot","messages":[{"role":"user","content":"a"}],"stream":"yes"}', "stream"),
        (b'{"model":"bot","messages":[{"role":"user","content":"a"}],"stream_options":[]}', "stream_options"),
        (b'{"model":"bot","messages":[{"role":"user","content":"a"}],"temperature":"hot"}', "temperature"),
        (b'{"model":"bot","messages":[{"role":"user","content":"a"}],"temperature":true}', "temperature"),
        (b'{"model":"bot","messages":[{"role":"user","content":"a"}],"tools":{}}', "tools"),
        (b'{"model":"bot","messages":[{"role":"user","content":"a"}],"tools":["a"]}', "tools[0]"),
        (
            b'{"model":"bot","messages":[{"role":"user","content":"a"}],"tools":[{"type":"function"}]}',
            "tools[0].function",
        ),
        (b'{"model":"bot","messages":[{"role":"tool","content":"a"}]}', "messages[0].tool_call_id"),
        (b'{"model":"bot","messages":[{"role":"assistant","tool_calls":["a"]}]}', "messages[0].tool_calls[0]"),
        (b'{"model":"bot","messages":[{"role":"assistant","tool_calls":[{}]}]}', "messages[0].tool_calls[0].id"),
        (b'{"model":"bot","messages":[{"role":"user","content":"a"}],"stop":[1]}', "stop[0]"),
        (b'{"model":"bot","messages":[{"role":"user","content":"a"}],"logit_bias":{"a":"b"}}', "logit_bias.a"),
        (b'{"model":"bot","messages":[{"role":"user","content":"a"}],"temperature":%b}' % (b"9" * 400), "temperature"),
        (b'{"model":"bot","messages":[{"role":"tool","tool_call_id":"a","content":"b"}]}', "messages"),
    ],
)
def test_an_invalid_request_is_refused_with_its_place(body: bytes, param: str | None) -> None:
    with pytest.raises(ApiError) as caught:
        read_chat_request(body)
    assert (caught.value.status, caught.value.param) == (400, param)
    assert caught.value.message


# --- images and files


def attachments_of(*parts: Any) -> list[Attachment]:
    return read([{"role": "user", "content": list(parts)}]).query.query[0].attachments


def test_images() -> None:
    assert attachments_of(
        {"type": "image_url", "image_url": {"url": "https://example.com/x/cat.jpg?a=b", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/"}},
        {"type": "image_url", "image_url": PNG},
    ) == [
        Attachment("https://example.com/x/cat.jpg?a=b", "image/jpeg", "cat.jpg"),
        Attachment("https://example.com/", "image/png", "image-2"),
        Attachment(PNG, "image/png", "image-3.png"),
    ]


def test_files() -> None:
    text = b64encode("héllo".encode()).decode()
    pdf = f"data:application/pdf;base64,{text}"
    assert attachments_of(
        {"type": "file", "file": {"filename": "a.pdf", "file_data": pdf}},
        {"type": "file", "file": {"filename": "a.txt", "file_data": text}},
        {"type": "file", "file": {"file_data": "data:text/csv,a%2Cb"}},
        {"type": "file", "file": {"file_data": text}},
        {"type": "file", "file": {"file_data": "data:text/plain;base64,/w=="}},
        {"type": "file", "file": {"filename": "//[.png", "file_data": text}},
    ) == [
        Attachment(pdf, "application/pdf", "a.pdf"),
        Attachment(f"data:text/plain;base64,{text}", "text/plain", "a.txt", parsed_content="héllo"),
        Attachment("data:text/csv,a%2Cb", "text/csv", "file-3.csv", parsed_content="a,b"),
        Attachment(f"data:application/octet-stream;base64,{text}", "application/octet-stream", "file-4.bin"),
        Attachment("data:text/plain;base64,/w==", "text/plain", "file-5.txt"),
        Attachment(f"data:image/png;base64,{text}", "image/png", "//[.png"),
    ]


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}, "type"),
        ({"type": "file", "file": {"file_id": "file-1"}}, "file.file_id"),
        ({"type": "file", "file": {}}, "file.file_data"),
        ({"type": "file"}, "file.file_data"),
        ({"type": "file", "file": {"filename": 5, "file_data": "YQ=="}}, "file.filename"),
        ({"type": "file", "file": {"file_data": "data:text/plain;base64,?"}}, "file.file_data"),
        ({"type": "file", "file": {"file_data": "data:text/plain"}}, "file.file_data"),
        ({"type": "image_url"}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "ftp://example.com/"}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "cat.png"}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "https://[::1"}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "https:///cat.png"}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "https://example.com/\r\nx-a: b"}}, "image_url.url"),
        ({}, "type"),
    ],
)
def test_parts_without_an_equivalent(part: Any, param: str) -> None:
    assert refused([{"role": "user", "content": [part]}]).param == f"messages[0].content[0].{param}"


# --- tools


def test_calls_and_results_of_the_last_turn_are_beside_the_messages() -> None:
    query = read(
        [
            USER,
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "c1", "content": "5"},
            {"role": "assistant", "content": "again", "tool_calls": [{**CALL, "id": "c2"}]},
            {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "6"}]},
        ],
        tools=[TOOL],
    ).query
    assert query.query == [Message("user", "hello"), Message("bot", "again")]
    assert query.tool_calls == [ToolCall("c1", FunctionCall("f", "{}")), ToolCall("c2", FunctionCall("f", "{}"))]
    assert query.tool_results == [ToolResult("c1", "f", "5"), ToolResult("c2", "f", "6")]


def test_calls_of_earlier_turns_stay_in_their_place() -> None:
    query = read(
        [
            USER,
            {"role": "assistant", "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "c1", "content": "5"},
            {"role": "assistant", "content": "It is 5."},
            {"role": "user", "content": "Sure?"},
        ]
    ).query
    assert [(message.role, message.message_type) for message in query.query] == [
        ("user", None),
        ("bot", "function_call"),
        ("tool", None),
        ("bot", None),
        ("user", None),
    ]
    assert query.tool_calls is None


def test_rounds_of_calls_of_earlier_turns_stay_apart() -> None:
    query = read(
        [
            USER,
            {"role": "assistant", "content": "I'll see.", "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "c1", "content": "5"},
            {"role": "assistant", "tool_calls": [{**CALL, "id": "c2"}, {**CALL, "id": "c3"}]},
            {"role": "tool", "tool_call_id": "c2", "content": "6"},
            {"role": "tool", "tool_call_id": "c3", "content": "7"},
            {"role": "assistant", "content": "It is 5."},
            {"role": "assistant", "tool_calls": [{**CALL, "id": "c4"}]},
            USER,
            {"role": "assistant", "tool_calls": [{**CALL, "id": "c5"}]},
            {"role": "tool", "tool_call_id": "c5", "content": "8"},
        ]
    ).query
    ids = [
        [each.get("id") or each.get("tool_call_id") for each in json.loads(message.content)]
        if message.role == "tool" or message.message_type
        else message.content
        for message in query.query
    ]
    assert ids == ["hello", "I'll see.", ["c1"], ["c1"], ["c2", "c3"], ["c2", "c3"], "It is 5.", ["c4"], "hello"]
    assert [call.id for call in query.tool_calls or ()] == ["c5"]
    assert [result.tool_call_id for result in query.tool_results or ()] == ["c5"]


def test_the_result_of_a_tool_is_text() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    assert refused([USER, {"role": "tool", "tool_call_id": "c1", "content": [image]}]).param == "messages[1].content"


ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), ANY_JSON, max_size=6), st.lists(ANY_JSON, min_size=1, max_size=3))
def test_any_body_is_read_or_refused(body: dict[str, Any], messages: list[Any]) -> None:
    refusals: list[int] = []
    for whole in (body, {"model": "bot", "messages": [USER], **body}, {"model": "bot", **body, "messages": messages}):
        try:
            request = read_chat_request(json.dumps(whole).encode())
        except ApiError as exc:
            refusals.append(exc.status)
        else:
            assert encode_request(request.query)
    assert set(refusals) <= {400}
