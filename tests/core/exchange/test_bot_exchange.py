"""The bot side receives a request; its response is in `test_bot_exchange_answer`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poeproto import (
    BotExchange,
    HttpResponse,
    LimitExceeded,
    Limits,
    LocalProtocolError,
    QueryRequest,
    RemoteProtocolError,
    ReportErrorRequest,
    ReportFeedbackRequest,
    ReportReactionRequest,
    Request,
    RequestHead,
    SettingsRequest,
    State,
    Text,
    encode_request,
)
from poeproto.testing import TEST_ACCESS_KEY, bytewise, cut_at, sample_query

KEY = TEST_ACCESS_KEY.encode()
OTHER_KEY = b"another-key-that-is-also-not-real"
QUERY = b'{"version": "1.2", "type": "query", "query": [{"role": "user", "content": "Hello"}]}'
SETTINGS = b'{"version": "1.2", "type": "settings"}'


def post(*headers: tuple[str, bytes | str]) -> RequestHead:
    return RequestHead("POST", "/", headers)


def whole(data: bytes) -> list[bytes]:
    return [data]


def feed(exchange: BotExchange, parts: Iterable[bytes]) -> Request:
    exchange.receive_head(post())
    for part in parts:
        exchange.receive_data(part)
    return exchange.receive_eof()


def exchange_with(body: bytes, limits: Limits | None = None) -> BotExchange:
    exchange = BotExchange(None, limits)
    feed(exchange, [body])
    return exchange


def refusal(exchange: BotExchange, act: Callable[[], object], status: int) -> tuple[RemoteProtocolError, HttpResponse]:
    """The error in the response, after checks of the properties of every error response."""
    with pytest.raises(RemoteProtocolError) as caught:
        act()
    error = caught.value
    response = error.response
    assert response is not None
    assert response.status == status
    assert response.get("content-type") == "application/json"
    assert response.get("content-length") == str(len(response.body))
    assert json.loads(response.body) == {"error": str(error), **({"path": error.path} if error.path else {})}
    assert (exchange.our_state, exchange.their_state) == (State.DONE, State.ERROR)
    again: list[Callable[[], object]] = [
        lambda: exchange.receive_head(post()),
        lambda: exchange.receive_data(QUERY),
        exchange.receive_eof,
    ]
    for call in again:
        with pytest.raises(RemoteProtocolError) as caught:
            call()
        assert caught.value is error
    for call in (exchange.begin, lambda: exchange.answer(None), lambda: exchange.send(Text("x")), exchange.heartbeat):
        with pytest.raises(LocalProtocolError):
            call()
    assert exchange.fail("id") == b""
    return error, response


# --- the head


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "post", ""])
def test_a_method_other_than_post_is_405_and_lists_the_allowed_ones(method: str) -> None:
    exchange = BotExchange({KEY})
    _, response = refusal(exchange, lambda: exchange.receive_head(RequestHead(method, "/")), 405)
    assert response.get("allow") == "POST"


@pytest.mark.parametrize(
    "values",
    [
        pytest.param([], id="missing"),
        pytest.param([b""], id="empty"),
        pytest.param([b"Bearer"], id="no key"),
        pytest.param([b"Bearer "], id="empty key"),
        pytest.param([b"Bearer " + b"0" * len(KEY)], id="wrong"),
        pytest.param([b"Bearer " + KEY[:-1]], id="too short"),
        pytest.param([b"Bearer " + KEY + b"0"], id="too long"),
        pytest.param([b"Bearer " + KEY.upper()], id="wrong case"),
        pytest.param([b"Basic " + KEY], id="other scheme"),
        pytest.param([KEY], id="no scheme"),
        pytest.param([b"Bearer " + KEY] * 2, id="two headers"),
        pytest.param([b"Bearer " + KEY, b"Bearer wrong"], id="two that differ"),
        pytest.param([b"Bearer \xff\xfe\xe9"], id="not ASCII"),
        pytest.param(["Bearer é".encode()], id="UTF-8"),
    ],
)
def test_a_missing_or_wrong_key_is_401(values: list[bytes]) -> None:
    exchange = BotExchange({KEY, OTHER_KEY})
    head = post(*(("Authorization", value) for value in values))
    error, response = refusal(exchange, lambda: exchange.receive_head(head), 401)
    assert error.path == ""
    assert response.get("www-authenticate") == "Bearer"
    assert TEST_ACCESS_KEY not in f"{error!r} {response!r}"


@pytest.mark.parametrize("scheme", [b"Bearer ", b"bearer ", b"BEARER ", b"  Bearer   "])
@pytest.mark.parametrize("key", [KEY, OTHER_KEY])
def test_any_of_several_keys_is_accepted_and_the_scheme_has_no_case(scheme: bytes, key: bytes) -> None:
    exchange = BotExchange({KEY, OTHER_KEY})
    exchange.receive_head(post(("AUTHORIZATION", scheme + key)))
    assert exchange.their_state is State.SEND_BODY


@pytest.mark.parametrize("headers", [[], [("authorization", "Bearer wrong")], [("authorization", "nonsense")] * 2])
def test_without_keys_every_request_is_accepted(headers: list[tuple[str, str]]) -> None:
    exchange = BotExchange(None)
    exchange.receive_head(post(*headers))
    assert exchange.their_state is State.SEND_BODY


@pytest.mark.parametrize("keys", ["", [], [""], ["two words"], ["ключ"], [KEY, b""]])
def test_an_unusable_key_is_found_at_construction(keys: Any) -> None:
    with pytest.raises(ValueError):
        BotExchange(keys)


def test_a_repr_shows_no_key() -> None:
    assert TEST_ACCESS_KEY not in repr(BotExchange(TEST_ACCESS_KEY))


def test_the_key_is_inspected_before_the_length_and_the_body() -> None:
    exchange = BotExchange({KEY}, Limits(request_body=1))
    refusal(exchange, lambda: exchange.receive_head(post(("content-length", "2"))), 401)


@pytest.mark.parametrize("declared", ["", "-1", "+1", "1_0", "1.0", "0x10", "1 ", "many", "1, 1", "١".encode()])
def test_a_length_that_is_not_a_number_is_400(declared: str | bytes) -> None:
    exchange = BotExchange(None)
    refusal(exchange, lambda: exchange.receive_head(post(("content-length", declared))), 400)


@pytest.mark.parametrize("declared", [["11"], ["10", "11"], ["9" * 5000], ["0" * 21]])
def test_a_declared_length_over_the_limit_is_413(declared: list[str]) -> None:
    exchange = BotExchange(None, Limits(request_body=10))
    head = post(*(("content-length", value) for value in declared))
    error, _ = refusal(exchange, lambda: exchange.receive_head(head), 413)
    assert isinstance(error, LimitExceeded)
    assert error.limit == "request_body"


@pytest.mark.parametrize("declared", ["10", "0" * 18 + "10"])
def test_a_declared_length_at_the_limit_is_accepted(declared: str) -> None:
    exchange = BotExchange(None, Limits(request_body=10))
    exchange.receive_head(post(("content-length", declared)))
    assert exchange.their_state is State.SEND_BODY


# --- the body


def test_a_body_at_the_limit_is_accepted() -> None:
    for parts in [QUERY], bytewise(QUERY):
        assert isinstance(feed(BotExchange(None, Limits(request_body=len(QUERY))), parts), QueryRequest)


@pytest.mark.parametrize("first", [0, 1, len(QUERY) - 1])
@pytest.mark.parametrize("cut", [whole, bytewise])
def test_a_body_is_413_with_the_first_byte_over_the_limit(first: int, cut: Callable[[bytes], list[bytes]]) -> None:
    exchange = BotExchange(None, Limits(request_body=len(QUERY) - 1))
    exchange.receive_head(post())
    for part in cut(QUERY[:first]):
        exchange.receive_data(part)
    error, _ = refusal(exchange, lambda: exchange.receive_data(QUERY[first:]), 413)
    assert isinstance(error, LimitExceeded)
    assert error.limit == "request_body"


def message(**fields: object) -> bytes:
    return json.dumps({"type": "query", "query": [{"role": "user", "content": "x", **fields}]}).encode()


def nested(depth: int, opening: bytes, closing: bytes) -> bytes:
    start = b'{"type": "query", "query": [{"role": "user", "content": "", "referenced_message": '
    return start + opening * depth + b"null" + closing * depth + b"}]}"


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b"", ""),
        (b"{", ""),
        (b"[]", ""),
        (b"null", ""),
        (b'"query"', ""),
        (b"\xff\xfe", ""),
        (QUERY + b"}", ""),
        (b'{"type": "settings", "x": NaN}', ""),
        (b'{"type": "settings", "x": 1e999}', ""),
        (b"{}", "type"),
        (b'{"type": 3}', "type"),
        (b'{"type": null}', "type"),
        (b'{"type": "settings", "version": 2}', "version"),
        (b'{"type": "query"}', "query"),
        (b'{"type": "query", "query": null}', "query"),
        (b'{"type": "query", "query": {}}', "query"),
        (b'{"type": "query", "query": [3]}', "query[0]"),
        (b'{"type": "query", "query": [], "user_id": 3}', "user_id"),
        (b'{"type": "query", "query": [], "temperature": "hot"}', "temperature"),
        (b'{"type": "query", "query": [], "skip_system_prompt": "no"}', "skip_system_prompt"),
        (b'{"type": "query", "query": [{"content": "x"}]}', "query[0].role"),
        (message(content=["x"]), "query[0].content"),
        (message(attachments=[{"url": 3, "content_type": "", "name": ""}]), "query[0].attachments[0].url"),
        (message(attachments=[{"content_type": "", "name": ""}]), "query[0].attachments[0].url"),
        (message(referenced_message={"role": "bot"}), "query[0].referenced_message.content"),
        (b'{"type": "report_reaction", "reaction": 1}', "reaction"),
        (b'{"type": "report_error", "metadata": []}', "metadata"),
        pytest.param(nested(100_000, b"[", b"]"), "", id="deep nesting"),
        pytest.param(
            nested(800, b'{"role": "bot", "content": "", "referenced_message": ', b"}"),
            "",
            id="a long chain of messages",
        ),
    ],
)
def test_an_invalid_body_is_400_with_the_path(body: bytes, path: str) -> None:
    for parts in [body], cut_at(body, [7, 30]):
        exchange = BotExchange(None)
        error, _ = refusal(exchange, lambda exchange=exchange, parts=parts: feed(exchange, parts), 400)
        assert error.path == path
        assert str(error).startswith(path)
        assert isinstance(error.__cause__, RemoteProtocolError)  # whose traceback shows the place


@pytest.mark.parametrize("kind", ["future", "", "Query", "x" * 10_000, "\ud83d"])
def test_an_unknown_type_is_501(kind: str) -> None:
    exchange = BotExchange(None)
    error, response = refusal(exchange, lambda: feed(exchange, [json.dumps({"type": kind}).encode()]), 501)
    assert error.path == "type"
    assert repr(kind[:100]) in str(error)
    assert len(response.body) < 1000


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(message(role="critic", content_type="text/x-new", message_type="new"), id="unknown names"),
        pytest.param(message(attachments=None, feedback=None, parameters=None, sender=None), id="nulls for defaults"),
        pytest.param(message(feedback=[{"type": "meh"}], news={"a": 1}), id="unknown keys"),
        pytest.param(message(content="\ud83d"), id="half a character"),
        pytest.param(
            b'{"version": "1.0", "type": "query", "query": [{"role": "user", "content": "What is the best car?",'
            b' "content_type": "text/markdown", "timestamp": 1678299819427621}], "user": "u-1234abcd5678efgh",'
            b' "conversation": "c-jklm9012nopq3456"}',
            id="the identifiers of the specification's own sample",
        ),
    ],
)
def test_a_query_that_can_be_understood_is_answered(body: bytes) -> None:
    assert exchange_with(body).begin().status == 200


def test_the_identifiers_of_the_specifications_sample_are_read() -> None:
    body = b'{"type": "query", "query": [], "user": "u-1", "conversation": "c-1"}'
    request = feed(BotExchange(None), [body])
    assert request == QueryRequest([], user_id="u-1", conversation_id="c-1", message_id="")


REQUESTS: list[Request] = [
    sample_query(),
    SettingsRequest(),
    ReportFeedbackRequest("m", "u", "c", "like"),
    ReportReactionRequest("m", "u", "c", "🐈"),
    ReportErrorRequest("bad", {"depth": 3}),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: type(request).__name__)
@given(places=st.lists(st.integers(0, 2000)))
def test_a_request_is_the_same_however_its_body_is_cut(request_: Request, places: list[int]) -> None:
    body = encode_request(request_)
    for parts in [body], bytewise(body), cut_at(body, places):
        assert feed(BotExchange(None), parts) == request_
