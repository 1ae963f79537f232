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
    ReportReactionRequest,
    UnknownRequest,
    encode_request,
    encode_settings,
)
from poeproto.lint import lint_event, lint_request, lint_settings
from poeproto.lint.rules import Finding, Severity
from poeproto.testing import sample_query, sample_settings

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE


def places(found: list[Finding]) -> list[tuple[str, str, Severity]]:
    return [(each.path, each.rule, each.severity) for each in found]


def test_what_we_write_has_no_finding() -> None:
    assert lint_request(encode_request(sample_query())) == []
    assert lint_settings(encode_settings(sample_settings())) == []


# --- requests

IDS = {"user_id": "", "conversation_id": "", "message_id": ""}
QUERY: dict[str, Any] = {"version": "1.2", "type": "query", "query": [{"role": "user", "content": "x"}], **IDS}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"version": 1}, [("version", "field-type", ERROR)]),
        ({"user_id": "1", "message_id": "u-" + "0" * 32, "conversation_id": "c-" + "0" * 31}, [
            ("user_id", "identifier-form", NOTE), ("conversation_id", "identifier-form", NOTE),
            ("message_id", "identifier-form", NOTE),
        ]),
        ({"new": 1, "newer": 2, "newest": 3}, [
            ("new", "unknown-field", NOTE), ("newer", "unknown-field", NOTE), ("newest", "unknown-field", NOTE),
        ]),
        ({"query": 1}, [("query", "field-type", ERROR)]),
        ({"query": []}, [("query", "empty-query", WARNING)]),
        ({"query": [1]}, [("query[0]", "field-type", ERROR)]),
        ({"query": [{"role": "robot", "content": 2}]}, [
            ("query[0].role", "unknown-value", NOTE), ("query[0].content", "field-type", ERROR),
        ]),
        ({"query": [{"content": "x", "sender": None, "sender_id": "u", "feedback": None, "new": 1}]}, [
            ("query[0].role", "missing-field", ERROR),
            ("query[0].sender_id", "deprecated-field", WARNING),
            ("query[0].feedback", "null-for-absent", NOTE),
            ("query[0].new", "unknown-field", NOTE),
        ]),
        ({"query": [{"role": "bot", "content": "x", "feedback": [{"type": "meh"}], "referenced_message": {}}]}, [
            ("query[0].feedback[0].type", "unknown-value", NOTE),
            ("query[0].referenced_message.role", "missing-field", ERROR),
            ("query[0].referenced_message.content", "missing-field", ERROR),
        ]),
        ({"temperature": "hot", "tools": [{"function": {"name": 1}}]}, [
            ("temperature", "field-type", ERROR), ("tools[0].function.name", "field-type", ERROR),
        ]),
        ({"logit_bias": {"a": "b"}, "users": {}}, [
            ("logit_bias", "field-type", ERROR), ("users", "field-type", ERROR),
        ]),
        ({"logit_bias": {"7": 101, "8": 100, "9": -100.5}}, [
            ("logit_bias.7", "value", WARNING), ("logit_bias.9", "value", WARNING),
        ]),
        ({"access_key": "k", "api_key": "k"}, [
            ("access_key", "key-in-body", ERROR), ("api_key", "key-in-body", ERROR),
        ]),
    ],
)  # fmt: skip
def test_each_finding_in_a_query_has_its_place(changes: dict[str, Any], expected: list[Any]) -> None:
    assert sorted(places(lint_request(json.dumps({**QUERY, **changes}))), key=str) == sorted(expected, key=str)


def test_a_field_that_the_specification_requires_is_reported_as_missing() -> None:
    found = places(lint_request(json.dumps({"type": "query", "query": QUERY["query"]})))
    assert found == [(name, "missing-field", WARNING) for name in ("version", *IDS)]


def test_a_query_that_poe_would_cut_is_too_long() -> None:
    body = json.dumps({**QUERY, "query": QUERY["query"] * 3})
    assert places(lint_request(body, Limits(messages=2))) == [("query", "too-many-messages", WARNING)]
    assert lint_request(body, Limits(messages=3)) == []


def test_other_requests_are_read_too() -> None:
    report = ReportReactionRequest(reaction="🎉")
    assert places(lint_request(encode_request(report))) == [("reaction", "unknown-value", NOTE)]
    assert places(lint_request(encode_request(UnknownRequest("poll")))) == [("type", "unknown-request", ERROR)]
    assert places(lint_request("{}")) == [("type", "missing-field", ERROR)]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": NaN}', b"\xff"])
def test_what_is_not_a_json_object_is_one_finding(text: str | bytes) -> None:
    for lint in (lint_request, lint_settings):
        assert places(lint(text)) == [("", "json", ERROR)]


def test_a_key_that_is_there_twice_is_pointed_out() -> None:
    body = '{"type":"settings","type":"settings","version":"1.2"}'
    assert places(lint_request(body)) == [("type", "duplicate-key", WARNING)]


# --- events


@pytest.mark.parametrize(
    ("event", "data", "expected"),
    [
        ("text", '{"text": 1}', [("text", "field-type", ERROR)]),
        ("text", "{}", [("text", "missing-field", ERROR)]),
        ("text", '{"text": "", "index": "1"}', [("index", "field-type", WARNING)]),
        ("json", '{"index": true}', [("index", "field-type", WARNING)]),
        ("json", '{"index": 1, "any": []}', []),
        ("error", '{"error_type": "boredom"}', [("error_type", "unknown-value", NOTE)]),
        ("meta", '{"linkify": true, "content_type": "text/html"}', [
            ("content_type", "unknown-value", NOTE), ("linkify", "deprecated-field", WARNING),
        ]),
        ("file", '{"url": "u", "name": "n", "content_type": "c", "inline_ref": ""}', [
            ("inline_ref", "empty-for-absent", WARNING),
        ]),
        ("error", '{"raw_response": {"a": [{"b": 1, "b": 2}]}}', [
            ("raw_response.a[0].b", "duplicate-key", WARNING),
        ]),
        ("done", "[DONE]", [("", "json", WARNING)]),
        ("done", "{}", []),
        ("text", "x", [("", "json", ERROR)]),
        ("poll", "x", [("", "unknown-event", WARNING)]),
    ],
)  # fmt: skip
def test_single_events(event: str, data: str, expected: list[Any]) -> None:
    assert places(lint_event(event, data)) == expected


def test_a_stack_that_is_nearly_full_is_no_crash() -> None:
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
    assert outcomes[0] == [("", "json", ERROR)]
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
