"""Findings in single JSON texts: requests, settings and events."""

from __future__ import annotations

import inspect
import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poeproto import (
    Limits,
    RemoteProtocolError,
    ReportReactionRequest,
    UnknownRequest,
    decode_event,
    encode_request,
    encode_settings,
)
from poeproto.lint import Finding, Level, lint_event, lint_request, lint_settings
from poeproto.testing import sample_query, sample_settings
from poeproto.vocabulary.events import EVENT_CLASSES


def places(found: list[Finding]) -> list[tuple[str, str]]:
    return [(each.path, each.rule) for each in found]


def test_the_output_of_the_codec_has_no_finding() -> None:
    assert lint_request(encode_request(sample_query())) == []
    assert lint_settings(encode_settings(sample_settings())) == []


# --- requests

IDS = {"user_id": "", "conversation_id": "", "message_id": ""}
QUERY: dict[str, Any] = {"version": "1.2", "type": "query", "query": [{"role": "user", "content": "x"}], **IDS}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"version": 1}, [("version", "request.field-types")]),
        ({"user_id": "1", "message_id": "u-" + "0" * 32, "conversation_id": "c-" + "0" * 31}, [
            ("user_id", "request.identifier-form"), ("conversation_id", "request.identifier-form"),
            ("message_id", "request.identifier-form"),
        ]),
        ({"new": 1, "newer": 2}, [
            ("new", "request.unknown-fields"), ("newer", "request.unknown-fields"),
        ]),
        ({"query": 1}, [("query", "request.field-types")]),
        ({"query": []}, [("query", "request.empty-query")]),
        ({"query": [1]}, [("query[0]", "request.field-types")]),
        ({"query": [{"role": "robot", "content": 2}]}, [
            ("query[0].role", "request.unknown-values"), ("query[0].content", "request.field-types"),
        ]),
        ({"query": [{"content": "x", "sender": None, "sender_id": "u", "feedback": None, "new": 1}]}, [
            ("query[0].role", "request.required-fields"),
            ("query[0].sender_id", "request.deprecated-fields"),
            ("query[0].feedback", "request.null-fields"),
            ("query[0].new", "request.unknown-fields"),
        ]),
        ({"query": [{"role": "bot", "content": "x", "reactions": [{"user_id": "", "reaction": "meh"}],
                     "referenced_message": {}}]}, [
            ("query[0].reactions[0].reaction", "request.unknown-values"),
            ("query[0].referenced_message.role", "request.required-fields"),
            ("query[0].referenced_message.content", "request.required-fields"),
        ]),
        ({"temperature": "hot", "tools": [{"function": {"name": 1, "description": "", "parameters": {}}}]}, [
            ("temperature", "request.field-types"), ("tools[0].function.name", "request.field-types"),
        ]),
        ({"logit_bias": {"a": "b"}, "users": {}}, [
            ("logit_bias", "request.field-types"), ("users", "request.field-types"),
        ]),
        ({"logit_bias": {"7": 101, "8": 100, "9": -100.5}}, [
            ("logit_bias.7", "request.logit-bias"), ("logit_bias.9", "request.logit-bias"),
        ]),
        ({"access_key": "k", "api_key": "k"}, [
            ("access_key", "request.key-in-body"), ("api_key", "request.key-in-body"),
        ]),
    ],
)  # fmt: skip
def test_each_finding_in_a_query_has_its_place(changes: dict[str, Any], expected: list[Any]) -> None:
    assert sorted(places(lint_request(json.dumps({**QUERY, **changes}))), key=str) == sorted(expected, key=str)


def test_a_field_that_the_specification_requires_is_reported_as_missing() -> None:
    found = places(lint_request(json.dumps({"type": "query", "query": QUERY["query"]})))
    assert found == [("version", "request.version"), *((name, "request.identifiers") for name in IDS)]


def test_a_query_that_poe_would_cut_is_too_long() -> None:
    body = json.dumps({**QUERY, "query": QUERY["query"] * 3})
    assert places(lint_request(body, Limits(messages=2))) == [("query", "limits.messages")]
    assert lint_request(body, Limits(messages=3)) == []


def test_other_requests_are_read_too() -> None:
    report = ReportReactionRequest(reaction="🎉")
    assert places(lint_request(encode_request(report))) == [("reaction", "request.unknown-values")]
    assert places(lint_request(encode_request(UnknownRequest("poll")))) == [("type", "request.known-type")]
    assert places(lint_request("{}")) == [("type", "request.type")]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": NaN}', b"\xff"])
def test_a_body_that_is_not_a_json_object_is_one_finding(text: str | bytes) -> None:
    assert places(lint_request(text)) == [("", "request.json")]
    assert places(lint_settings(text)) == [("", "settings.json")]


def test_a_key_that_is_there_twice_is_pointed_out() -> None:
    body = '{"type":"settings","type":"settings","version":"1.2"}'
    assert places(lint_request(body)) == [("type", "request.duplicate-keys")]


# --- events


@pytest.mark.parametrize(
    ("event", "data", "expected"),
    [
        ("text", '{"text": 1}', [("text", "event.field-types")]),
        ("text", "{}", [("text", "event.required-fields")]),
        ("text", '{"text": "", "index": "1"}', [("index", "event.index")]),
        ("json", '{"index": true}', [("index", "event.index")]),
        ("json", '{"index": 1, "any": []}', []),
        ("error", '{"error_type": "boredom"}', [("error_type", "event.unknown-values")]),
        ("meta", '{"linkify": true, "content_type": "text/html"}', [
            ("content_type", "event.unknown-values"), ("linkify", "event.deprecated-fields"),
        ]),
        ("file", '{"url": "u", "name": "n", "content_type": "c", "inline_ref": ""}', [
            ("inline_ref", "event.inline-ref"),
        ]),
        ("error", '{"raw_response": {"a": [{"b": 1, "b": 2}]}}', [
            ("raw_response.a[0].b", "event.duplicate-keys"),
        ]),
        ("done", "[DONE]", [("", "event.done-data")]),
        ("done", "{}", []),
        ("text", "x", [("", "event.json")]),
        ("poll", "x", [("", "event.names")]),
    ],
)  # fmt: skip
def test_single_events(event: str, data: str, expected: list[Any]) -> None:
    assert places(lint_event(event, data)) == expected


@given(
    st.text()
    | st.sampled_from(["", "\x00", "\x1f", "\x7f", "\u2028", '"', "\\", "\ud800", "\\ud800", '","index":0.5,"a":"'])
)
def test_the_fast_path_of_a_text_has_the_findings_of_the_slow_one(text: str) -> None:
    for data in (f'{{"text": "{text}"}}', f'{{"text":"{text}"}}'):
        assert places(lint_event("text", data)) == places(lint_event("text", f" {data}"))


def test_a_stack_that_is_nearly_full_does_not_crash() -> None:
    message: dict[str, Any] = {"role": "user", "content": "x"}
    for _ in range(180):
        message = {"role": "user", "content": "x", "referenced_message": message}
    body = json.dumps({**QUERY, "query": [message]})
    assert lint_request(body) == []
    limit = sys.getrecursionlimit()
    outcomes: list[Any] = []
    for frames in (*range(150, 250), *range(250, 1000, 50)):
        try:
            sys.setrecursionlimit(len(inspect.stack(0)) + frames)
            outcomes.append(places(lint_request(body)))
        finally:
            sys.setrecursionlimit(limit)
    assert outcomes[0] == [("", "request.json")]
    assert outcomes[-1] == []
    assert all(found in (outcomes[0], outcomes[-1]) for found in outcomes)


INNER = ["role", "content", "function"]
anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(INNER), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*QUERY, "tools", "users", "extra_params"]), anything))
def test_anything_is_reported_and_nothing_raises(wire: dict[str, Any]) -> None:
    for each in lint_request(json.dumps({**wire, "type": "query"})) + lint_settings(json.dumps(wire)):
        assert each.message
    lint_event("file", json.dumps(wire))


VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3) | st.just({})
KEYS = ["text", "url", "name", "content_type", "inline_ref", "metadata", "allow_retry", "error_type", "index", "new"]


@given(st.sampled_from(sorted(EVENT_CLASSES)), st.dictionaries(st.sampled_from(KEYS), VALUES) | VALUES)
def test_an_event_that_readers_refuse_breaks_a_must_and_no_other_event_does(name: str, value: Any) -> None:
    data = json.dumps(value)
    broken = [each for each in lint_event(name, data) if each.level is Level.MUST]
    try:
        decode_event(name, data)
    except RemoteProtocolError as exc:
        assert exc.path in {each.path for each in broken}  # noqa: PT017
    else:
        assert broken == []
