"""Findings in a reply: its head, its events, their order, number and times."""

from __future__ import annotations

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
    ResponseHead,
    SSEDecoder,
    Text,
    encode_event,
)
from poeproto.lint import Finding, ReplyLint
from poeproto.testing import ExchangePair, bytewise, sample_query, sample_reply

HINTS = [("cache-control", "no-cache"), ("x-accel-buffering", "no")]
HEAD = ResponseHead(200, [("content-type", "text/event-stream; charset=utf-8"), *HINTS])


def places(found: list[Finding]) -> list[tuple[str, str]]:
    return [(each.path, each.rule) for each in found]


def test_a_reply_of_a_bot_exchange_has_no_finding() -> None:
    pair = ExchangePair()
    pair.request(sample_query())
    lint = ReplyLint()
    assert lint.receive_head(pair.begin()) == []
    for event in sample_reply():
        assert lint.receive_data(encode_event(event), at=1.0) == []
    assert lint.receive_eof(at=1.0) == []


def lint_reply(*events: Event | bytes, limits: Limits | None = None, cut: bool = False) -> list[Any]:
    lint = ReplyLint(limits)
    wire = b"".join(event if isinstance(event, bytes) else encode_event(event) for event in events)
    found = [each for part in (bytewise(wire) if cut else [wire]) for each in lint.receive_data(part)]
    return places(found + lint.receive_eof())


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([b"event: text\ndata: {}\n\n", Done()], [("events[0].text", "event.required-fields")]),
        ([Text("x"), sample_reply()[0], Done()], [("events[1]", "reply.meta-first")]),
        ([Text("x"), Done(), Text("y")], [("events[2]", "reply.after-done")]),
        ([Text("x"), Error(), Text("y"), Done()], [("events[2]", "reply.after-error")]),
        ([Done()], [("events[0]", "reply.answer")]),
        ([Text("x")], [("events[1]", "reply.done")]),
        ([Error()], [("events[1]", "reply.done-after-error")]),
        ([b": a comment\n\nevent: ping\ndata: x\n\n", Text("x"), Done()], []),
        ([b'event: text\ndata: {"text": "", "index": []}\n\n', Done()], [("events[0].index", "event.index")]),
        ([b"event: poll\ndata: x\n\n", Text("x"), Done()], [("events[0]", "event.names")]),
    ],
)
def test_the_order_of_a_reply(events: list[Any], expected: list[Any], cut: bool) -> None:
    assert lint_reply(*events, cut=cut) == expected


def test_the_amounts_of_a_reply_are_reported_once() -> None:
    limits = Limits(events=2, files=1, text_length=3)
    file = File("https://files.invalid/a", "a", "text/plain")
    assert lint_reply(Text("x"), *[file] * 3, Done(), limits=limits) == [
        ("events[2]", "limits.events"),
        ("events[2]", "limits.files"),
    ]
    assert lint_reply(Text("x"), Text("y"), Error(), Done(), limits=limits) == []  # the end does not count
    limits = attrs.evolve(limits, events=100)
    assert lint_reply(Text("ab"), Text("cd"), Text("e"), Done(), limits=limits) == [("events[1]", "limits.text")]
    assert lint_reply(Text("abc"), ReplaceResponse("abc"), Text("abc", 1), Done(), limits=limits) == []


def test_an_event_that_is_too_large_is_reported_once() -> None:
    lint = ReplyLint(Limits(event_size=20))
    assert places(lint.receive_data(b"data: " + b"x" * 30)) == [("events[0]", "limits.event-size")]
    assert lint.receive_data(b"x") == []


def test_bytes_that_are_not_utf_8_are_reported_once() -> None:
    lint = ReplyLint()
    half, other_half = "é".encode()[:1], "é".encode()[1:]
    assert lint.receive_data(b'event: text\ndata: {"text": "' + half) == []
    assert lint.receive_data(other_half + b'"}\n\n') == []
    assert places(lint.receive_data(b": \xff\n\n")) == [("events[1]", "framing.utf-8")]
    assert lint.receive_data(b": \xff\n\n" + encode_event(Done())) == []


def test_times_are_judged_where_they_are_given() -> None:
    lint = ReplyLint()
    (late,) = lint.receive_data(encode_event(Text("x")), at=6.0)
    assert (late.path, late.rule) == ("events[0]", "time.first-event")
    assert "6.0 s; the limit is 5 s" in late.message
    assert lint.receive_data(encode_event(Done()), at=7.0) == []
    lint = ReplyLint()
    assert [each.rule for each in lint.receive_data(b"event: poll\ndata: x\n\n", at=6.0)] == ["event.names"]
    assert places(lint.receive_data(encode_event(Text("x")), at=7.0)) == [("events[1]", "time.first-event")]
    assert lint.receive_data(encode_event(Done()), at=8.0) == []
    assert lint.receive_data(b": \n\n", at=3590.0)[0].path == "events[3]"
    assert places(lint.receive_eof(at=3601.0)) == [("", "time.total")]


def test_a_gap_is_placed_before_the_event_that_ends_it() -> None:
    lint = ReplyLint(Limits(gap_seconds=2))
    assert lint.receive_data(encode_event(Text("x")), at=1.0) == []
    (gap,) = lint.receive_data(encode_event(Text("x")) + encode_event(Done()), at=3.5)
    assert (gap.path, gap.message) == ("events[1]", "nothing was received for 2.5 s; the limit is 2 s")
    assert lint.receive_eof() == []


@pytest.mark.parametrize(
    ("head", "rules"),
    [
        (
            ResponseHead(404),
            ["reply.status", "framing.content-type", "framing.cache-control", "framing.proxy-buffering"],
        ),
        (
            ResponseHead(200, [("content-type", "application/json"), *HINTS]),
            ["framing.content-type"],
        ),
        (ResponseHead(200, [*HEAD.headers, ("content-encoding", "GZip")]), ["framing.compression"]),
        (ResponseHead(200, [*HEAD.headers, ("content-encoding", "identity")]), []),
    ],
)
def test_the_head_of_a_reply(head: ResponseHead, rules: list[str]) -> None:
    assert [each.rule for each in ReplyLint().receive_head(head)] == rules


@given(st.binary(max_size=80))
def test_any_bytes_are_linted(data: bytes) -> None:
    lint = ReplyLint(Limits(event_size=40))
    whole = lint.receive_data(data)
    pieces = ReplyLint(Limits(event_size=40))
    assert [each for part in bytewise(data) for each in pieces.receive_data(part)] == whole
    assert SSEDecoder().receive_data(b"") == []
