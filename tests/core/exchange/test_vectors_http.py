"""Vectors of whole HTTP requests and responses, and of the events that a bot may send."""

from __future__ import annotations

import attrs
import pytest

from poeproto import (
    BotExchange,
    Limits,
    LocalProtocolError,
    PoeExchange,
    PoeprotoError,
    QueryRequest,
    RemoteProtocolError,
    RequestHead,
    RequestRefused,
    ResponseHead,
    decode_event,
    encode_event,
)
from poeproto.wire.json import dumps

from ...support.vectors import Case, cases, name_of, ways_to_cut, wire_of


@pytest.mark.parametrize("case", cases("refusals.json"), ids=name_of)
def test_a_bot_server_accepts_or_refuses(case: Case) -> None:
    head = RequestHead(case["method"], "/", [(name, value.encode("latin-1")) for name, value in case["headers"]])
    for parts in ways_to_cut(wire_of(case)):
        exchange = BotExchange(case["access_keys"], Limits(**case.get("limits", {})))
        error: RemoteProtocolError | None = None
        try:
            exchange.receive_head(head)
            for part in parts:
                exchange.receive_data(part)
            exchange.receive_eof()
        except RemoteProtocolError as exc:
            error = exc
        assert error is exchange.error
        if case["status"] == 200:
            assert error is None, parts
        else:
            assert error is not None, parts
            assert error.response is not None
            assert error.response.status == case["status"], parts
            assert error.path == case["path"], parts
            for name, value in case.get("response_headers", ()):
                assert error.response.get(name) == value


def asked(case: Case) -> PoeExchange:
    exchange = PoeExchange(case["access_key"])
    exchange.send(QueryRequest([]), "http://bot.invalid/")
    exchange.receive_head(ResponseHead(case["status"], [(name, value.encode()) for name, value in case["headers"]]))
    return exchange


@pytest.mark.parametrize("case", cases("answers.json"), ids=name_of)
def test_a_caller_reads_or_is_refused(case: Case) -> None:
    expected = case["error"]
    for parts in ways_to_cut(wire_of(case)):
        exchange = asked(case)
        try:
            for part in parts:
                exchange.receive_data(part)
            exchange.receive_eof()
        except PoeprotoError:
            pass
        error = exchange.error
        if expected is None:
            assert error is None, parts
            continue
        assert isinstance(error, RequestRefused), parts
        limit = None if error.rate_limit is None else attrs.asdict(error.rate_limit)
        assert (error.status, error.retry_after, error.retry_after_seconds, limit) == (
            case["status"], expected["retry_after"], expected["retry_after_seconds"], expected["rate_limit"],
        )  # fmt: skip
        assert error.body_start.decode("utf-8", "replace") == expected["body_start"], parts


@pytest.mark.parametrize("case", cases("limits_writing.json"), ids=name_of)
def test_a_bot_may_send_or_may_not(case: Case) -> None:
    exchange = BotExchange(None, Limits(**case["limits"]))
    exchange.receive_head(RequestHead("POST", "/"))
    exchange.receive_data(b'{"type": "query", "query": []}')
    exchange.receive_eof()
    exchange.begin()
    accepted: list[bool] = []
    for name, payload in case["events"]:
        event = decode_event(name, payload if isinstance(payload, str) else dumps(payload))
        state = exchange.our_state
        try:
            assert exchange.send(event) == encode_event(event)
        except LocalProtocolError:
            accepted.append(False)
            assert exchange.our_state is state
        else:
            accepted.append(True)
    assert accepted == case["accepted"]
