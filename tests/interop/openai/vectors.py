"""Replies of a bot, and the outcomes that the OpenAI SDKs must report: one list for all SDKs and all ways to call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import attrs

from poeproto import Data, Error, Event, File, Json, Meta, ReplaceResponse, SuggestedReply, Text

from .outcomes import Call, Outcome

__all__ = ["USER", "VECTORS", "Cut", "Fail", "Refuse", "Silence", "Step", "Vector"]


@attrs.frozen
class Fail:
    """The bot raises an exception of another library."""


@attrs.frozen
class Silence:
    """The bot is silent for this many keepalive intervals of the gateway."""

    intervals: int


@attrs.frozen
class Cut:
    """The bot's server closes the connection."""


@attrs.frozen
class Refuse:
    """The bot's server refuses the call with this status."""

    status: int
    retry_after: str | None = None


Step = Event | Fail | Silence | Cut | Refuse
ApiName = Literal["chat", "responses"]

USER: list[dict[str, Any]] = [{"role": "user", "content": "hi"}]
PATHS: dict[str, Any] = {"type": "object", "properties": {"path": {"type": "string"}}}
TOOL: dict[str, Any] = {"type": "function", "function": {"name": "read", "description": "Reads.", "parameters": PATHS}}


@attrs.frozen(kw_only=True)
class Vector:
    """One call.

    Attributes:
        name: the vector's name, and the model's.
        steps: what the bot does.
        body: the request's keys besides the model, with messages as chat completions have them.
        whole: the outcome without streaming.
        streamed: the outcome of a stream, if it is another.
        received: a part of the query that the bot must have received, as JSON.
        apis: the endpoints that it is for.
        options: the gateway's options, if not the defaults.
    """

    name: str
    steps: tuple[Step, ...] = (Text("ok"),)
    body: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    whole: Outcome
    streamed: Outcome | None = None
    received: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    apis: tuple[ApiName, ...] = ("chat", "responses")
    options: Mapping[str, Any] = attrs.field(factory=dict[str, Any])


def says(name: str, text: str, *steps: Step, **more: Any) -> Vector:
    """The bot answers with this text, however it is called."""
    return Vector(name=name, steps=steps, whole=Outcome(content=text, finish="stop", **more))


def asks(
    name: str, body: Mapping[str, Any], received: Mapping[str, Any], apis: tuple[ApiName, ...] = ("chat",)
) -> Vector:
    """The bot is asked with this body, and must receive this."""
    return Vector(name=name, body=body, received=received, apis=apis, whole=Outcome(content="ok", finish="stop"))


def calls(name: str, *steps: Step, calls: tuple[Call, ...], finish: str = "tool_calls", content: str = "") -> Vector:
    """The bot calls tools."""
    outcome = Outcome(content=content, calls=calls, finish=finish)
    return Vector(name=name, steps=steps, body={"tools": [TOOL]}, whole=outcome)


def chunk(*pieces: dict[str, Any], finish: str | None = None, **delta: Any) -> Json:
    """A `json` event with a chunk of these pieces of tool calls."""
    if pieces:
        delta["tool_calls"] = list(pieces)
    return Json({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


def piece(index: Any = None, call_id: Any = None, name: str | None = None, arguments: Any = None) -> dict[str, Any]:
    """A piece of a tool call, without the keys that are None."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    found = {"index": index, "id": call_id, "type": "function" if name else None, "function": function}
    return {key: value for key, value in found.items() if value is not None}


READ = Call("call_1", "read", '{"path": "a"}')
LIST = Call("call_2", "list", "{}")
FIND = Call("call_3", "find", '{"name": "é"}')
FINISHED = chunk(finish="tool_calls")

TEXTS = [
    says("text", "Hello there", Text("Hello"), Text(" there")),
    says("text_in_one_event", "Hello", Text("Hello")),
    says("empty_texts_between", "ab", Text(""), Text("a"), Text(""), Text("b"), Text("")),
    says("empty_text_alone", "", Text("")),
    says("meta_first", "# plain", Meta(content_type="text/plain"), Text("# plain"), poe=("content_type",)),
    says("unicode", "naïve 🐈 日本語 \u2028\u2029\x85", Text("naïve 🐈 "), Text("日本語 \u2028\u2029\x85")),
    says("emoji_cut_in_two", "a😀b", Text("a\ud83d"), Text("\ude00b")),
    says("lone_surrogate", "a\ufffdb", Text("a\ud83db")),
    says("lone_surrogate_last", "a\ufffd", Text("a\ud83d")),
    says("control_characters", "\x00\x01\t\x1f\x7f", Text("\x00\x01\t\x1f\x7f")),
    says(
        "text_like_framing",
        "data: [DONE]\n\nevent: error\r\n\r\n",
        Text("data: [DONE]\n\n"),
        Text("event: error\r\n\r\n"),
    ),
    says("done_as_text", "[DONE]", Text("[DONE]")),
    says("json_as_text", '{"error": {"message": "no"}}', Text('{"error": {"message": "no"}}')),
    says("long_text", "0123456789" * 20_000, Text("0123456789" * 20_000)),
    says("many_events", "word " * 500, *[Text("word ")] * 500),
    says(
        "suggested_replies", "a", Text("a"), SuggestedReply("More"), SuggestedReply("Less"), poe=("suggested_replies",)
    ),
    says("metadata", "a", Text("a"), Data("kept"), poe=("metadata",)),
    says("other_json", "a", Json({"progress": 1}), Text("a"), poe=("json",)),
    says("silence_in_the_middle", "ab", Text("a"), Silence(3), Text("b")),
    says("silence_first", "a", Silence(3), Text("a")),
    says("silence_last", "a", Text("a"), Silence(3)),
]
"""Tests of plain answers."""

REPLACEMENTS = [
    says("replace_extends", "Working... done", Text("Working..."), ReplaceResponse("Working... done")),
    says("replace_first", "x", ReplaceResponse("x")),
    says("replace_in_steps", "1234", Text("1"), ReplaceResponse("12"), ReplaceResponse("123"), Text("4")),
    says("replace_by_the_same", "ab", Text("a"), ReplaceResponse("a"), Text("b")),
    Vector(
        name="replace_other_appended",
        steps=(Text("one"), ReplaceResponse("two"), Text("!")),
        options={"on_replace": "append"},
        whole=Outcome(content="two!", finish="stop"),
        streamed=Outcome(content="one\n\ntwo!", finish="stop"),
    ),
    Vector(
        name="replace_other_held",
        steps=(Text("one"), ReplaceResponse("two"), Text("!")),
        options={"on_replace": "hold"},
        whole=Outcome(content="two!", finish="stop"),
    ),
    Vector(
        name="replace_by_nothing_held",
        steps=(Text("Thinking"), ReplaceResponse(""), Text("yes")),
        options={"on_replace": "hold"},
        whole=Outcome(content="yes", finish="stop"),
    ),
]
"""`replace_response`, in each mode."""

PICTURE = File("https://files.test/cat.png", "cat.png", "image/png")
PAPER = File("https://files.test/a%20b.pdf", "a b.pdf", "application/pdf")

FILES = [
    says("image", "![cat.png](https://files.test/cat.png)", PICTURE, poe=("files",)),
    says("document", "[a b.pdf](https://files.test/a%20b.pdf)", PAPER, poe=("files",)),
]
"""Files of an answer."""

TOOLS = [
    calls("one_call", chunk(piece(0, "call_1", "read", '{"path": "a"}')), FINISHED, calls=(READ,)),
    calls(
        "one_call_in_pieces",
        chunk(piece(0, "call_1", "read", "")),
        chunk(piece(0, arguments='{"path"')),
        chunk(piece(0, arguments=': "a"}')),
        FINISHED,
        calls=(READ,),
    ),
    calls(
        "three_calls_interleaved",
        chunk(piece(0, "call_1", "read", ""), piece(1, "call_2", "list", "")),
        chunk(piece(2, "call_3", "find", '{"name"'), piece(0, arguments='{"path": ')),
        chunk(piece(1, arguments="{}"), piece(0, arguments='"a"}'), piece(2, arguments=': "é"}')),
        FINISHED,
        calls=(READ, LIST, FIND),
    ),
    calls(
        "three_calls_in_turn",
        chunk(piece(0, "call_1", "read", READ.arguments)),
        chunk(piece(1, "call_2", "list", LIST.arguments)),
        chunk(piece(2, "call_3", "find", FIND.arguments)),
        FINISHED,
        calls=(READ, LIST, FIND),
    ),
    calls(
        "calls_without_index",
        chunk(piece(None, "call_1", "read", READ.arguments), piece(None, "call_2", "list", "{}")),
        FINISHED,
        calls=(READ, LIST),
    ),
    calls("index_as_string", chunk(piece("0", "call_1", "read", READ.arguments)), FINISHED, calls=(READ,)),
    calls(
        "index_always_0",
        chunk(piece(0, "call_1", "read", READ.arguments)),
        chunk(piece(0, "call_2", "list", "{}")),
        FINISHED,
        calls=(READ, LIST),
    ),
    calls(
        "id_and_name_repeated",
        chunk(piece(0, "call_1", "read", '{"path"')),
        chunk(piece(0, "call_1", "read", ': "a"}')),
        FINISHED,
        calls=(READ,),
    ),
    calls(
        "role_in_every_chunk",
        chunk(role="assistant", content=""),
        chunk(piece(0, "call_1", "read", READ.arguments), role="assistant"),
        chunk(finish="tool_calls", role="assistant"),
        calls=(READ,),
    ),
    calls("stop_with_calls", chunk(piece(0, "call_1", "read", READ.arguments)), chunk(finish="stop"), calls=(READ,)),
    calls("calls_without_finish", chunk(piece(0, "call_1", "read", READ.arguments)), calls=(READ,)),
    calls("finish_with_calls", chunk(piece(0, "call_1", "read", READ.arguments), finish="tool_calls"), calls=(READ,)),
    calls(
        "calls_in_message",
        Json(
            {
                "choices": [
                    {
                        "index": 0,
                        "message": {"role": "assistant", "tool_calls": [piece(0, "call_1", "read", READ.arguments)]},
                        "finish_reason": "tool_calls",
                    }
                ]
            }
        ),
        calls=(READ,),
    ),
    calls(
        "arguments_as_object", chunk(piece(0, "call_1", "list", {})), FINISHED, calls=(Call("call_1", "list", "{}"),)
    ),
    calls("id_as_integer", chunk(piece(0, 7, "list", "{}")), FINISHED, calls=(Call("7", "list", "{}"),)),
    calls(
        "no_calls_but_an_object",
        Text("a"),
        Json({"choices": [{"delta": {"tool_calls": {}}}]}),
        calls=(),
        finish="stop",
        content="a",
    ),
    calls(
        "no_calls_but_null",
        Text("a"),
        Json({"choices": [{"delta": {"tool_calls": None}}]}),
        calls=(),
        finish="stop",
        content="a",
    ),
    calls("no_choices", Text("a"), Json({"choices": []}), calls=(), finish="stop", content="a"),
    calls(
        "text_before_calls",
        Text("Let me see."),
        chunk(piece(0, "call_1", "read", READ.arguments)),
        FINISHED,
        calls=(READ,),
        content="Let me see.",
    ),
    calls(
        "content_in_chunks",
        chunk(content="Let me "),
        chunk(content="see."),
        chunk(piece(0, "call_1", "read", READ.arguments)),
        FINISHED,
        calls=(READ,),
        content="Let me see.",
    ),
    calls(
        "call_cut_by_length",
        chunk(piece(0, "call_1", "read", '{"path')),
        chunk(finish="length"),
        calls=(Call("call_1", "read", '{"path'),),
        finish="length",
    ),
]
"""Tool calls, in the dialects that bots send."""

ENDS = [
    calls("length", Text("abc"), chunk(finish="length"), calls=(), finish="length", content="abc"),
    calls(
        "content_filter", Text("abc"), chunk(finish="content_filter"), calls=(), finish="content_filter", content="abc"
    ),
    calls("stop", Text("abc"), chunk(finish="stop"), calls=(), finish="stop", content="abc"),
]
"""Finish reasons of the bot's own."""


def _error_vectors() -> list[Vector]:
    kinds = [
        ("user_message_too_long", "BadRequestError", 400, "context_length_exceeded"),
        ("insufficient_fund", "APIError", 402, "insufficient_quota"),
        ("user_caused_error", "BadRequestError", 400, "user_caused_error"),
        ("privacy_authorization_error", "PermissionDeniedError", 403, "privacy_authorization_error"),
        (None, "InternalServerError", 500, "bot_error"),
    ]
    vectors: list[Vector] = []
    for error_type, error, status, code in kinds:
        failure = Error(text="No.", allow_retry=False, error_type=error_type)
        name = error_type or "error"
        failed = Outcome(error=error, status=status, code=code)
        vectors.append(Vector(name=f"{name}_early", steps=(failure,), whole=failed))
        broken = Outcome(content="so far", error="APIError", code=code)
        vectors.append(Vector(name=f"{name}_late", steps=(Text("so far"), failure), whole=failed, streamed=broken))
    return vectors


USED = Json({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}})
WITH_USAGE = {"stream_options": {"include_usage": True}}


def count_words(text: str) -> int:
    """Counts tokens, for an estimate."""
    return len(text.split())


def used(name: str, usage: tuple[int, int, int] | None, *steps: Step, **more: Any) -> Vector:
    return Vector(name=name, steps=steps, whole=Outcome(content="ab c", finish="stop", usage=usage), **more)


USAGE = [
    used("usage_of_none", None, Text("ab c"), USED, body=WITH_USAGE),
    used("usage_of_the_bot", (3, 4, 7), Text("ab c"), USED, body=WITH_USAGE, options={"usage": "bot"}),
    used("usage_unknown", None, Text("ab c"), body=WITH_USAGE, options={"usage": "bot"}),
    used(
        "usage_not_included",
        (3, 4, 7),
        Text("ab c"),
        USED,
        apis=("chat",),
        options={"usage": "bot"},
        streamed=Outcome(content="ab c", finish="stop"),
    ),
    used(
        "usage_estimated",
        (1, 2, 3),
        Text("ab c"),
        body=WITH_USAGE,
        options={"usage": "estimate", "count_tokens": count_words},
    ),
]
"""Usage, on and off."""

REASONING = [
    Vector(
        name="reasoning_on_request",
        steps=(chunk(reasoning_content="Hm"), chunk(reasoning="m."), Text("a")),
        body={"include_reasoning": True},
        apis=("chat",),
        whole=Outcome(content="a", reasoning="Hmm.", finish="stop"),
    ),
    says("reasoning_not_asked_for", "a", chunk(reasoning_content="Hmm."), Text("a")),
]
"""Reasoning, shown to those who ask for it."""

INTERNAL = Outcome(error="InternalServerError", status=500, code="bot_error")
INCOMPLETE = Outcome(error="InternalServerError", status=502, code="upstream_incomplete")

ERRORS = [
    *_error_vectors(),
    Vector(name="error_without_text", steps=(Error(allow_retry=False),), whole=INTERNAL),
    Vector(name="exception_early", steps=(Fail(),), whole=INTERNAL),
    Vector(
        name="exception_late",
        steps=(Text("so far"), Fail()),
        whole=INTERNAL,
        streamed=Outcome(content="so far", error="APIError", code="bot_error"),
    ),
    Vector(
        name="error_after_call",
        steps=(chunk(piece(0, "call_1", "read", READ.arguments)), Error(allow_retry=False)),
        whole=INTERNAL,
        streamed=Outcome(calls=(READ,), error="APIError", code="bot_error"),
    ),
    Vector(name="no_event", steps=(), whole=INTERNAL),
    Vector(name="meta_alone", steps=(Meta(),), whole=INTERNAL),
    Vector(name="cut_first", steps=(Cut(),), whole=INCOMPLETE),
    Vector(
        name="cut_after_text",
        steps=(Text("so far"), Cut()),
        whole=INCOMPLETE,
        streamed=Outcome(content="so far", error="APIError", code="upstream_incomplete"),
    ),
    Vector(
        name="cut_after_call",
        steps=(chunk(piece(0, "call_1", "read", READ.arguments)), FINISHED, Cut()),
        whole=INCOMPLETE,
        streamed=Outcome(calls=(READ,), error="APIError", code="upstream_incomplete"),
    ),
    Vector(
        name="upstream_429",
        steps=(Refuse(429, "0"),),
        whole=Outcome(error="RateLimitError", status=429, code="rate_limit_exceeded"),
    ),
    Vector(
        name="upstream_503",
        steps=(Refuse(503, "0"),),
        whole=Outcome(error="InternalServerError", status=503, code="overloaded"),
    ),
]
"""Failures, before and after the first event."""

OTHERS = ("chat", "responses")

REQUESTS = [
    asks("one_message", {}, {"query": [{"role": "user", "content": "hi"}]}, OTHERS),
    asks(
        "roles",
        {
            "messages": [
                {"role": "developer", "content": "Be kind."},
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": "b"},
                {"role": "user", "content": "c"},
            ]
        },
        {
            "query": [
                {"role": "system", "content": "Be kind."},
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "a"},
                {"role": "bot", "content": "b"},
                {"role": "user", "content": "c"},
            ]
        },
        OTHERS,
    ),
    asks("unknown_keys", {"purr": True, "speed": 3}, {"query": [{"parameters": {"purr": True, "speed": 3}}]}, OTHERS),
    asks("temperature", {"temperature": 0.5}, {"temperature": 0.5}, OTHERS),
    asks(
        "no_ops",
        {
            "n": 1,
            "logprobs": False,
            "response_format": {"type": "text"},
            "modalities": ["text"],
            "frequency_penalty": 0,
            "store": False,
            "user": "u",
            "service_tier": "auto",
        },
        {"query": [{"role": "user"}]},
    ),
    asks(
        "tools",
        {"tools": [TOOL]},
        {"tools": [{"type": "function", "function": {"name": "read", "parameters": PATHS}}]},
        OTHERS,
    ),
    asks(
        "image_url",
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "What is it?"},
                        {"type": "image_url", "image_url": {"url": "https://files.test/cat.png"}},
                    ],
                }
            ]
        },
        {"query": [{"content": "What is it?", "attachments": [{"url": "https://files.test/cat.png"}]}]},
        OTHERS,
    ),
    asks(
        "file_content",
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "Read."},
                        {"type": "file", "file": {"filename": "a.txt", "file_data": "data:text/plain;base64,aGk="}},
                    ],
                }
            ]
        },
        {"query": [{"content": "Read.", "attachments": [{"name": "a.txt", "content_type": "text/plain"}]}]},
        OTHERS,
    ),
    asks(
        "tool_round",
        {
            "tools": [TOOL],
            "messages": [
                {"role": "user", "content": "a"},
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {"id": "call_1", "type": "function", "function": {"name": "read", "arguments": READ.arguments}}
                    ],
                },
                {"role": "tool", "tool_call_id": "call_1", "content": "the file"},
            ],
        },
        {
            "tool_calls": [{"id": "call_1", "function": {"name": "read", "arguments": READ.arguments}}],
            "tool_results": [{"tool_call_id": "call_1", "name": "read", "content": "the file"}],
        },
        OTHERS,
    ),
]
"""The text of the query."""


def refused(name: str, param: str, body: Mapping[str, Any], apis: tuple[ApiName, ...] = ("chat",)) -> Vector:
    code = "unsupported_value" if apis == ("chat",) else "unsupported_parameter"
    outcome = Outcome(error="BadRequestError", status=400, code=code, param=param)
    return Vector(name=f"refused_{name}", body=body, whole=outcome, apis=apis)


REFUSALS = [
    refused("n", "n", {"n": 2}),
    refused("logprobs", "logprobs", {"logprobs": True}),
    refused("response_format", "response_format", {"response_format": {"type": "json_object"}}),
    refused("audio", "modalities", {"modalities": ["text", "audio"]}),
    refused("previous_response", "previous_response_id", {"previous_response_id": "resp_1"}, ("responses",)),
    refused("background", "background", {"background": True}, ("responses",)),
    refused("conversation", "conversation", {"conversation": "conv_1"}, ("responses",)),
]
"""Requests that cannot be served."""

VECTORS: tuple[Vector, ...] = (
    *TEXTS,
    *REPLACEMENTS,
    *FILES,
    *TOOLS,
    *ENDS,
    *USAGE,
    *REASONING,
    *ERRORS,
    *REQUESTS,
    *REFUSALS,
)
