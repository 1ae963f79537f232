from __future__ import annotations

import json
from typing import Any

import pytest

from poeproto import (
    CostItem,
    Endpoints,
    HttpRequest,
    IncompleteReply,
    InsufficientFunds,
    InvalidValue,
    LimitExceeded,
    Limits,
    LocalProtocolError,
    RemoteProtocolError,
    RequestRefused,
    ResponseHead,
)
from poeproto.flows import CostExchange, authorize_cost_request, capture_cost_request
from poeproto.http import longest_spelling
from poeproto.testing import TEST_ACCESS_KEY, bytewise, two_way_splits

STREAM = ResponseHead(200, [("content-type", "text/event-stream; charset=utf-8")])
GRANTED = b': hello\n\nevent: ping\ndata: {}\n\nevent: result\ndata: {"status": "success"}\n\n'


def body(request: HttpRequest) -> Any:
    assert isinstance(request.body, bytes)
    return json.loads(request.body)


def begun(head: ResponseHead = STREAM, limits: Limits | None = None) -> CostExchange:
    exchange = CostExchange(TEST_ACCESS_KEY, limits)
    exchange.receive_head(head)
    return exchange


@pytest.mark.parametrize(("amount", "written"), [(1, 1), (0.1, 1), (2.0, 2), (2.0001, 3), (10**12, 10**12)])
def test_an_amount_is_a_whole_number_rounded_up(amount: float, written: int) -> None:
    assert CostItem(amount).amount_usd_milli_cents == written


@pytest.mark.parametrize("amount", [0, -1, 0.0, -0.5, float("nan"), float("inf"), -float("inf")])
def test_an_amount_is_finite_and_above_zero(amount: float) -> None:
    with pytest.raises(InvalidValue) as caught:
        CostItem(amount)
    assert caught.value.path == "amount_usd_milli_cents"


def test_an_amount_is_a_number() -> None:
    for wrong in "5", True, None:
        with pytest.raises(TypeError, match=r"^CostItem\.amount_usd_milli_cents must be int, got "):
            CostItem(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("items", [[{"amount_usd_milli_cents": 5}], {"amount_usd_milli_cents": 5}, [CostItem(1), 5]])
def test_charges_are_made_of_items(items: Any) -> None:
    with pytest.raises(TypeError, match=r"^amounts\[[01]\] must be CostItem, got a value of type (dict|str|int)$"):
        authorize_cost_request(items, bot_query_id="q", access_key=TEST_ACCESS_KEY)


def test_a_cost_is_authorised_and_captured() -> None:
    items = [CostItem(5, "a picture"), CostItem(0.5)]
    there = Endpoints.at("http://poe.invalid")
    asked = authorize_cost_request(items, bot_query_id="q/1", access_key=TEST_ACCESS_KEY, endpoints=there)
    assert (asked.method, asked.url) == ("POST", "http://poe.invalid/bot/cost/q%2F1/authorize")
    assert body(asked) == {
        "amounts": [{"amount_usd_milli_cents": 5, "description": "a picture"}, {"amount_usd_milli_cents": 1}],
        "access_key": TEST_ACCESS_KEY,
    }
    charged = capture_cost_request(CostItem(5), bot_query_id="q", access_key=TEST_ACCESS_KEY)
    assert charged.url == "https://api.poe.com/bot/cost/q/capture"
    assert body(charged)["amounts"] == [{"amount_usd_milli_cents": 5}]
    assert charged.get("accept") == "text/event-stream"
    assert charged.get("accept-encoding") == "identity"
    assert TEST_ACCESS_KEY not in repr(charged)


def test_a_cost_needs_an_item_a_query_and_a_key() -> None:
    good: dict[str, Any] = {"bot_query_id": "q", "access_key": TEST_ACCESS_KEY}
    with pytest.raises(InvalidValue, match=r"^amounts: no items to charge"):
        authorize_cost_request([], **good)
    changes: list[dict[str, Any]] = [{"bot_query_id": ""}, {"access_key": ""}]
    for changed in (good | change for change in changes):
        with pytest.raises(ValueError):
            authorize_cost_request(CostItem(1), **changed)


@pytest.mark.parametrize(
    "chunks", [*two_way_splits(GRANTED), bytewise(GRANTED)], ids=lambda chunks: str(len(chunks[0]))
)
def test_a_cost_is_granted(chunks: list[bytes]) -> None:
    exchange = begun()
    for chunk in chunks:
        exchange.receive_data(chunk)
    assert exchange.succeeded
    exchange.receive_eof()


def test_an_answer_with_content_coding_identity_is_read() -> None:
    exchange = begun(ResponseHead(200, [*STREAM.headers, ("Content-Encoding", "Identity")]))
    exchange.receive_data(GRANTED)
    assert exchange.succeeded


def test_data_after_the_grant_is_ignored() -> None:
    exchange = begun(limits=Limits(event_size=100))
    exchange.receive_data(GRANTED + b'event: result\ndata: {"status": "no"}\n\n' + b"x" * 200)
    exchange.receive_data(b"x" * 200)
    exchange.receive_eof()
    assert exchange.succeeded


def test_a_refused_cost_has_the_reason_from_poe() -> None:
    exchange = begun()
    for _ in range(2):
        with pytest.raises(InsufficientFunds, match="insufficient_funds") as caught:
            exchange.receive_data(GRANTED.replace(b"success", b"insufficient_funds"))
        assert caught.value.status == "insufficient_funds"
    with pytest.raises(InsufficientFunds):
        exchange.receive_eof()
    assert not exchange.succeeded


@pytest.mark.parametrize("before", [0, 3, 30])
def test_a_status_is_bounded_and_hides_the_key(before: int) -> None:
    status = "x" * before + TEST_ACCESS_KEY + "\\ud83d" + "y" * 1000
    exchange = begun(limits=Limits(refusal_body=40))
    with pytest.raises(InsufficientFunds) as caught:
        exchange.receive_data(GRANTED.replace(b"success", status.encode()))
    assert caught.value.status == ("x" * before + "<hidden>" + "?" + "y" * 1000)[: len(caught.value.status)]
    assert before < len(caught.value.status) <= 40
    assert TEST_ACCESS_KEY[:5] not in str(caught.value)


@pytest.mark.parametrize("data", ["", "[]", "{}", '{"status": 1}', '{"status": null}'])
def test_a_result_without_a_status_is_not_an_answer(data: str) -> None:
    exchange = begun()
    with pytest.raises(RemoteProtocolError):
        exchange.receive_data(f"event: result\ndata: {data}\n\n".encode())
    with pytest.raises(RemoteProtocolError):
        exchange.receive_eof()


def test_a_truncated_answer_raises_incomplete_reply() -> None:
    exchange = begun()
    exchange.receive_data(GRANTED[:-1])
    for _ in range(2):
        with pytest.raises(IncompleteReply):
            exchange.receive_eof()


def test_an_answer_is_bounded() -> None:
    exchange = begun(limits=Limits(event_size=10))
    for _ in range(2):
        with pytest.raises(LimitExceeded):
            exchange.receive_data(b"data: " + b"x" * 20)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (ResponseHead(404), "status 404"),
        (ResponseHead(200, [("content-type", "text/html")]), "content type 'text/html'"),
        (ResponseHead(200, [*STREAM.headers, ("content-encoding", "gzip")]), "encoded its answer as 'gzip'"),
    ],
)
def test_a_different_answer_is_a_refusal_that_hides_the_key(head: ResponseHead, message: str) -> None:
    exchange = begun(head, Limits(refusal_body=12))
    for chunk in bytewise(b"no: " + TEST_ACCESS_KEY.encode() + b"!" * 7):
        exchange.receive_data(chunk)
    for _ in range(2):
        with pytest.raises(RequestRefused, match=message) as caught:
            exchange.receive_eof()
        assert caught.value.body_start == b"no: <hidden>"


def test_the_start_of_a_refusal_is_enough() -> None:
    exchange = begun(ResponseHead(500), Limits(refusal_body=40))
    assert exchange.refused
    exchange.receive_data(b"x" * 40)  # more is read, so that a key that the limit cuts is recognised
    for _ in range(2):
        with pytest.raises(RequestRefused, match="status 500") as caught:
            exchange.receive_data(b"x" * longest_spelling(TEST_ACCESS_KEY.encode()))
        assert caught.value.body_start == b"x" * 40
    assert not begun().refused


def test_an_answer_is_received_in_order() -> None:
    exchange = CostExchange(TEST_ACCESS_KEY)
    for call in lambda: exchange.receive_data(b"x"), exchange.receive_eof:
        with pytest.raises(LocalProtocolError):
            call()
    exchange.receive_head(STREAM)
    with pytest.raises(LocalProtocolError):
        exchange.receive_head(STREAM)
