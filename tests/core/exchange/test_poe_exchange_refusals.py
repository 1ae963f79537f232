"""Refusals: responses of another status than 200, or of another content type than the call promises."""

from __future__ import annotations

import pytest

from poeproto import (
    Done,
    Error,
    Limits,
    Message,
    PoeExchange,
    QueryRequest,
    ReportErrorRequest,
    Request,
    RequestRefused,
    ResponseHead,
    SettingsRequest,
    State,
    Text,
    encode_event,
)
from poeproto.testing import TEST_ACCESS_KEY, bytewise, cut_at, sample_query

from ...support.poe_exchanges import DONE, HELLO, URL, asked, outcome


@pytest.mark.parametrize("status", [201, 204, 301, 400, 401, 404, 429, 500, 503])
@pytest.mark.parametrize("request_", [sample_query(), SettingsRequest(), ReportErrorRequest()])
@pytest.mark.parametrize("body", [b"", b"Go away", HELLO + DONE, b'{"response_version": 2}'])
def test_a_status_other_than_200_is_an_error_whatever_the_body(request_: Request, status: int, body: bytes) -> None:
    head = ResponseHead(status, [("content-type", "text/event-stream"), ("retry-after", "120")])
    exchange = asked(request_, head)
    events, error = outcome(exchange, [body])
    assert events == []
    assert isinstance(error, RequestRefused)
    assert (error.status, error.retry_after, error.body_start) == (status, "120", body)
    assert str(error) == f"the bot answered with status {status}"
    assert exchange.settings is None


@pytest.mark.parametrize("size", [0, 9, 10, 11, 1000])
def test_of_a_refusal_only_the_start_is_kept(size: int) -> None:
    body = b"0123456789" * (size // 10) + b"0123456789"[: size % 10]
    for parts in [body], bytewise(body), cut_at(body, [7, 15]):
        _, error = outcome(asked(head=ResponseHead(500), limits=Limits(refusal_body=10)), parts)
        assert isinstance(error, RequestRefused)
        assert error.body_start == body[:10]


@pytest.mark.parametrize("last", [1, 100])
def test_an_endless_refusal_ends_when_its_start_was_read(last: int) -> None:
    exchange = asked(head=ResponseHead(500), limits=Limits(refusal_body=10))
    # Such a response is not a stream, so nothing more is due from the bot.
    assert exchange.their_state is State.DONE
    assert exchange.receive_data(b"x" * 9) == []
    assert exchange.error is None
    assert exchange.receive_data(b"x" * last) == []
    assert isinstance(exchange.error, RequestRefused)
    assert len(exchange._body) == 10


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ([], "type ''"),
        ([("content-type", "")], "type ''"),
        ([("content-type", "text/html; charset=utf-8")], "type 'text/html'"),
        ([("content-type", "application/json")], "type 'application/json'"),
        ([("content-type", "text/event-streams")], "type 'text/event-streams'"),
        ([("content-type", "text/event-stream"), ("content-encoding", "gzip")], "as 'gzip'"),
        ([("content-type", "text/event-stream"), ("content-encoding", "br")], "as 'br'"),
        ([("content-type", "text/event-stream"), *[("content-encoding", coding) for coding in ("", "br")]], "as 'br'"),
        # Text quoted in a message is short, and escaped.
        ([("content-type", "\x1b[31m")], r"type '\x1b[31m'"),
        ([("content-type", "x" * 100)], f"type '{'x' * 100}'"),
        ([("content-type", "x" * 101)], "type <101 characters> instead"),
        ([("content-type", "text/event-stream"), ("content-encoding", "x" * 101)], "as <101 characters>,"),
    ],
)
def test_an_answer_that_is_not_a_plain_stream_is_a_refusal(headers: list[tuple[str, str]], told: str) -> None:
    events, error = outcome(asked(head=ResponseHead(200, headers)), [HELLO + DONE])
    assert events == []
    assert isinstance(error, RequestRefused)
    assert (error.status, error.body_start, error.retry_after) == (200, HELLO + DONE, None)
    assert told in str(error)


def test_settings_that_were_packed_are_a_refusal() -> None:
    head = ResponseHead(200, [("content-type", "application/json"), ("content-encoding", "gzip")])
    assert isinstance(outcome(asked(SettingsRequest(), head), [b"\x1f\x8b"])[1], RequestRefused)


@pytest.mark.parametrize(
    "headers",
    [
        [("Content-Type", "TEXT/Event-Stream;charset=UTF-8")],
        [("content-type", "text/event-stream"), ("content-encoding", "Identity")],
        [("content-type", " text/event-stream "), ("content-encoding", "")],
    ],
)
def test_a_plain_stream_may_be_spelt_in_many_ways(headers: list[tuple[str, str]]) -> None:
    assert outcome(asked(head=ResponseHead(200, headers)), [HELLO + DONE]) == ([Text("hello"), Done()], None)


@pytest.mark.parametrize("cut", [0, 9, 40])
def test_a_key_repeated_in_a_refusal_is_not_in_the_error(cut: int) -> None:
    exchange = PoeExchange(TEST_ACCESS_KEY)
    exchange.send(sample_query(), URL)
    exchange.receive_head(ResponseHead(401))
    body = f"no such key: {TEST_ACCESS_KEY}!".encode()
    for part in cut_at(body, [cut]):
        exchange.receive_data(part)
    with pytest.raises(RequestRefused) as caught:
        exchange.receive_eof()
    assert caught.value.body_start == b"no such key: <hidden>!"


def test_an_error_event_that_repeats_the_key_does_not_show_it() -> None:
    exchange = PoeExchange(TEST_ACCESS_KEY)
    exchange.send(QueryRequest([Message("user", "hello")]), "https://bot.invalid/")
    exchange.receive_head(ResponseHead(200, [("content-type", "text/event-stream")]))
    [error] = exchange.receive_data(encode_event(Error(text=f"I was asked with {TEST_ACCESS_KEY}")))
    assert error == exchange.fold.error == Error(text="I was asked with <hidden>")
