"""Findings: departures from the protocol, reported as data."""

from __future__ import annotations

import inspect
import json
import sys
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poeproto import (
    Done,
    Error,
    Event,
    File,
    Limits,
    ReplaceResponse,
    ReportReactionRequest,
    ResponseHead,
    SSEDecoder,
    Text,
    UnknownRequest,
    encode_event,
    encode_request,
    encode_settings,
)
from poeproto.lint.lint import ReplyLint, lint_event, lint_request, lint_settings
from poeproto.lint.rules import Finding, Severity
from poeproto.testing import bytewise, sample_query, sample_reply, sample_settings

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE
HEAD = ResponseHead(200, [("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-cache")])


def places(found: list[Finding]) -> list[tuple[str, str, Severity]]:
    return [(each.path, each.rule, each.severity) for each in found]


def test_what_we_write_departs_in_nothing() -> None:
    assert lint_request(encode_request(sample_query())) == []
    assert lint_settings(encode_settings(sample_settings())) == []
    lint = ReplyLint()
    assert lint.receive_head(HEAD) == []
    for event in sample_reply():
        assert lint.receive_data(encode_event(event), at=1.0) == []
    assert lint.receive_eof(at=1.0) == []


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
def test_each_departure_of_a_query_has_its_place(changes: dict[str, Any], expected: list[Any]) -> None:
    assert sorted(places(lint_request(json.dumps({**QUERY, **changes}))), key=str) == sorted(expected, key=str)


def test_what_the_specification_requires_is_missed_though_readers_do_without() -> None:
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
def test_what_is_no_json_object_is_one_departure(text: str | bytes) -> None:
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


# --- replies


def lint_reply(*events: Event | bytes, limits: Limits | None = None, cut: bool = False) -> list[Any]:
    lint = ReplyLint(limits)
    wire = b"".join(event if isinstance(event, bytes) else encode_event(event) for event in events)
    found = [each for part in (bytewise(wire) if cut else [wire]) for each in lint.receive_data(part)]
    return places(found + lint.receive_eof())


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([b"event: text\ndata: {}\n\n", Done()], [("events[0].text", "missing-field", ERROR)]),
        ([Text("x"), sample_reply()[0], Done()], [("events[1]", "out-of-order", WARNING)]),
        ([Text("x"), Done(), Text("y")], [("events[2]", "out-of-order", WARNING)]),
        ([Done()], [("events[0]", "no-answer", ERROR)]),
        ([Text("x")], [("events[1]", "no-done", ERROR)]),
        ([Error()], [("events[1]", "no-done", WARNING)]),
        ([b": a comment\n\nevent: ping\ndata: x\n\n", Text("x"), Done()], []),
        ([b'event: text\ndata: {"text": "", "index": []}\n\n', Done()], [("events[0].index", "field-type", WARNING)]),
        ([b"event: poll\ndata: x\n\n", Text("x"), Done()], [("events[0]", "unknown-event", WARNING)]),
    ],
)
def test_the_order_of_a_reply(events: list[Any], expected: list[Any], cut: bool) -> None:
    assert lint_reply(*events, cut=cut) == expected


def test_the_amounts_of_a_reply_are_reported_once() -> None:
    limits = Limits(events=2, files=1, text_length=3)
    file = File("https://files.invalid/a", "a", "text/plain")
    assert lint_reply(Text("x"), *[file] * 3, Done(), limits=limits) == [
        ("events[2]", "too-many-events", ERROR),
        ("events[2]", "too-many-files", ERROR),
    ]
    assert lint_reply(Text("x"), Text("y"), Error(), Done(), limits=limits) == []  # the end does not count
    limits = attrs.evolve(limits, events=100)
    assert lint_reply(Text("ab"), Text("cd"), Text("e"), Done(), limits=limits) == [
        ("events[1]", "text-too-long", ERROR)
    ]
    assert lint_reply(Text("abc"), ReplaceResponse("abc"), Text("abc", 1), Done(), limits=limits) == []


def test_an_event_that_is_too_large_is_reported_once() -> None:
    lint = ReplyLint(Limits(event_size=20))
    assert places(lint.receive_data(b"data: " + b"x" * 30)) == [("events[0]", "event-size", ERROR)]
    assert lint.receive_data(b"x") == []


def test_bytes_that_are_not_utf_8_are_reported_once() -> None:
    lint = ReplyLint()
    half, other_half = "é".encode()[:1], "é".encode()[1:]
    assert lint.receive_data(b'event: text\ndata: {"text": "' + half) == []
    assert lint.receive_data(other_half + b'"}\n\n') == []
    assert places(lint.receive_data(b": \xff\n\n")) == [("events[1]", "encoding", WARNING)]
    assert lint.receive_data(b": \xff\n\n" + encode_event(Done())) == []


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


def test_times_are_judged_where_they_are_given() -> None:
    lint = ReplyLint()
    (late,) = lint.receive_data(encode_event(Text("x")), at=6.0)
    assert (late.path, late.rule) == ("events[0]", "late-start")
    assert "6.0 s; 5 s are allowed" in late.message
    assert lint.receive_data(encode_event(Done()), at=7.0) == []
    lint = ReplyLint()
    assert [each.rule for each in lint.receive_data(b"event: poll\ndata: x\n\n", at=6.0)] == ["unknown-event"]
    assert places(lint.receive_data(encode_event(Text("x")), at=7.0)) == [("events[1]", "late-start", ERROR)]
    assert lint.receive_data(encode_event(Done()), at=8.0) == []
    assert places(lint.receive_eof(at=3601.0)) == [("", "late-end", ERROR)]


@pytest.mark.parametrize(
    ("head", "rules"),
    [
        (ResponseHead(404), ["status", "content-type", "cache-control"]),
        (ResponseHead(200, [("content-type", "application/json"), ("cache-control", "no-cache")]), ["content-type"]),
        (ResponseHead(200, [*HEAD.headers, ("content-encoding", "GZip")]), ["content-encoding"]),
        (ResponseHead(200, [*HEAD.headers, ("content-encoding", "identity")]), []),
    ],
)
def test_the_head_of_a_reply(head: ResponseHead, rules: list[str]) -> None:
    assert [each.rule for each in ReplyLint().receive_head(head)] == rules


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


@given(st.binary(max_size=80))
def test_any_bytes_are_linted(data: bytes) -> None:
    lint = ReplyLint(Limits(event_size=40))
    whole = lint.receive_data(data)
    pieces = ReplyLint(Limits(event_size=40))
    assert [each for part in bytewise(data) for each in pieces.receive_data(part)] == whole
    assert SSEDecoder().receive_data(b"") == []
