"""Calling a bot: the request, the legal calls in each state, and the answers to calls other than queries.

Refusals, the stream and the order of calls have files of their own: `test_poe_exchange_refusals`, `_stream`, `_order`.
What a reader forgives is in `test_states`, split characters are in `test_poe_exchange_text`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from poeproto import (
    LimitExceeded,
    Limits,
    LocalProtocolError,
    PoeExchange,
    QueryRequest,
    RemoteProtocolError,
    ReportErrorRequest,
    ReportFeedbackRequest,
    ReportReactionRequest,
    Request,
    RequestRefused,
    ResponseHead,
    SettingsRequest,
    SettingsResponse,
    State,
    UnknownRequest,
    decode_request,
)
from poeproto.testing import TEST_ACCESS_KEY, bytewise, sample_query, two_way_splits

from ...support.poe_exchanges import JSON, STREAM, URL, asked, outcome, same_however_cut

# --- the request


@pytest.mark.parametrize(
    ("request_", "accept"),
    [
        (sample_query(), "text/event-stream"),
        (SettingsRequest(), "application/json"),
        (ReportFeedbackRequest("m", "u", "c", "like"), "application/json"),
        (ReportReactionRequest("m", "u", "c", "heart"), "application/json"),
        (ReportErrorRequest("bad"), "application/json"),
    ],
)
def test_the_request_is_a_post_of_json_that_accepts_no_compression(request_: Request, accept: str) -> None:
    sent = PoeExchange().send(request_, URL)
    assert (sent.method, sent.url) == ("POST", URL)
    assert sent.get("content-type") == "application/json"
    assert sent.get("accept") == accept
    assert sent.get("accept-encoding") == "identity"
    assert sent.get("authorization") is None
    assert isinstance(sent.body, bytes)
    assert decode_request(sent.body) == request_


def test_the_key_is_in_one_header_only() -> None:
    exchange = PoeExchange(TEST_ACCESS_KEY)
    sent = exchange.send(sample_query(), URL)
    assert sent.get_all("authorization") == [b"Bearer " + TEST_ACCESS_KEY.encode()]
    assert isinstance(sent.body, bytes)
    assert TEST_ACCESS_KEY.encode() not in sent.body
    exchange.receive_head(ResponseHead(401))
    with pytest.raises(RequestRefused) as caught:
        exchange.receive_eof()
    for shown in repr(exchange), repr(sent), str(sent), repr(caught.value), str(caught.value):
        assert TEST_ACCESS_KEY not in shown


@pytest.mark.parametrize("key", ["", "two words", "line\nbreak", "ключ"])
def test_a_key_that_a_header_cannot_carry_is_refused_at_construction(key: str) -> None:
    with pytest.raises(ValueError) as caught:
        PoeExchange(key)
    assert not key or key not in str(caught.value)


@pytest.mark.parametrize(
    ("request_", "told"),
    [(UnknownRequest("future"), "'future'"), (QueryRequest([], temperature=math.nan), "^temperature: ")],
)
def test_a_request_that_cannot_be_sent_does_not_change_the_exchange(request_: Request, told: str) -> None:
    exchange = PoeExchange()
    with pytest.raises(LocalProtocolError, match=told):
        exchange.send(request_, URL)
    assert (exchange.our_state, exchange.their_state) == (State.IDLE, State.IDLE)
    assert exchange.send(SettingsRequest(), URL)


CALLS: dict[str, Callable[[PoeExchange], object]] = {
    "send": lambda exchange: exchange.send(SettingsRequest(), URL),
    "receive_head": lambda exchange: exchange.receive_head(STREAM),
    "receive_data": lambda exchange: exchange.receive_data(b""),
    "receive_eof": lambda exchange: exchange.receive_eof(),
}
NOT_NOW = {
    "send": "sent already",
    "receive_head": "no response is due",
    "receive_data": "no response has begun",
    "receive_eof": "no response has begun",
}


@pytest.mark.parametrize(
    ("make", "illegal"),
    [
        pytest.param(PoeExchange, ["receive_head", "receive_data", "receive_eof"], id="nothing sent"),
        pytest.param(asked, ["send", "receive_data", "receive_eof"], id="query sent"),
        pytest.param(lambda: asked(SettingsRequest()), ["send", "receive_data", "receive_eof"], id="call sent"),
        pytest.param(lambda: asked(head=STREAM), ["send", "receive_head"], id="stream open"),
        pytest.param(lambda: asked(SettingsRequest(), JSON), ["send", "receive_head"], id="answer begun"),
        pytest.param(lambda: asked(head=ResponseHead(500)), ["send", "receive_head"], id="refused"),
    ],
)
def test_a_call_out_of_order_is_our_fault_and_changes_nothing(
    make: Callable[[], PoeExchange], illegal: list[str]
) -> None:
    exchange = make()
    states = exchange.our_state, exchange.their_state
    for call in illegal:
        with pytest.raises(LocalProtocolError, match=NOT_NOW[call]):
            CALLS[call](exchange)
        assert (exchange.our_state, exchange.their_state) == states
    assert exchange.error is None
    for call in "send", "receive_head", "receive_data":
        if call not in illegal:
            CALLS[call](exchange)
            break


# --- calls


def test_settings_are_there_once_the_answer_has_ended() -> None:
    body = b'{"response_version": 2, "allow_attachments": true}'
    for parts in [[body], bytewise(body), *two_way_splits(body)]:
        exchange = asked(SettingsRequest(), JSON)
        for part in parts:
            assert exchange.receive_data(part) == []
        assert exchange.settings is None
        assert exchange.receive_eof() == []
        assert exchange.settings == SettingsResponse(allow_attachments=True)
        assert exchange.error is None


@pytest.mark.parametrize(
    ("body", "path"),
    [(b"", ""), (b"[]", ""), (b"{", ""), (b'{"allow_attachments": "yes"}', "allow_attachments")],
)
def test_settings_that_make_no_sense_are_the_peers_fault(body: bytes, path: str) -> None:
    _, error = same_however_cut(lambda: asked(SettingsRequest(), JSON), body)
    assert type(error) is RemoteProtocolError
    assert error.path == path


def test_an_answer_over_the_limit_is_an_error() -> None:
    body = b'{"response_version": 2}'
    assert same_however_cut(lambda: asked(SettingsRequest(), JSON, Limits(answer_size=len(body))), body)[1] is None
    _, error = same_however_cut(lambda: asked(SettingsRequest(), JSON, Limits(answer_size=len(body) - 1)), body)
    assert isinstance(error, LimitExceeded)
    assert error.limit == "answer_size"


@pytest.mark.parametrize("body", [b"", b"{}", b"thank you", b"null"])
@pytest.mark.parametrize("report", [ReportFeedbackRequest(), ReportReactionRequest(), ReportErrorRequest()])
def test_the_answer_to_a_report_is_ignored(report: Request, body: bytes) -> None:
    exchange = asked(report, ResponseHead(200))
    assert outcome(exchange, [body]) == ([], None)
    assert exchange.settings is None
