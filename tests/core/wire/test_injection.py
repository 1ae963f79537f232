"""No string that is encoded can begin a new line, header or event."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from poeproto import (
    BotExchange,
    CostItem,
    Data,
    Done,
    Endpoints,
    Error,
    Event,
    File,
    HttpRequest,
    HttpResponse,
    InvalidValue,
    Json,
    LocalProtocolError,
    Meta,
    PoeExchange,
    RemoteProtocolError,
    ReplaceResponse,
    RequestHead,
    SSEDecoder,
    SuggestedReply,
    Text,
    UnknownEvent,
    encode_event,
    encode_request,
    encode_sse,
)
from poeproto.flows import (
    authorize_cost_request,
    fetch_settings_request,
    update_settings_request,
    upload_by_url_request,
    upload_request,
)
from poeproto.testing import TEST_ACCESS_KEY, sample_query, sample_settings
from poeproto.wire.sse import encode_comment

BREAKS = ["\r", "\n", "\r\n", "\0", "\r\nx: y", "\n\ndata: {}\n\n", "\r\r", "\n\nevent: done\ndata: {}\n\n"]


def upload(name: str, value: str) -> HttpRequest:
    arguments: dict[str, Any] = {"name": "n", "content_type": "text/plain", "boundary": "b"}
    arguments |= {"access_key": TEST_ACCESS_KEY, name: value}
    return upload_request(None, size=0, **arguments)


each_break = pytest.mark.parametrize("bad", BREAKS)

LINE_WRITERS: dict[str, Callable[[str], bytes]] = {
    "event": lambda bad: encode_sse("a" + bad, "x"),
    "nothing but": lambda bad: encode_sse(bad, "x"),
    "id": lambda bad: encode_sse("a", "x", id="1" + bad),
    "comment": lambda bad: encode_comment("a" + bad),
    "unknown event": lambda bad: encode_event(UnknownEvent("a" + bad, "x")),
}
EVENT_MAKERS: list[Callable[[str], Event]] = [
    lambda bad: Meta(content_type=bad),
    lambda bad: Text(bad),
    lambda bad: Text(bad, 1),
    lambda bad: Text("a", extra={bad: bad}),
    lambda bad: ReplaceResponse(bad),
    lambda bad: SuggestedReply(bad),
    lambda bad: File(bad, bad, bad, bad),
    lambda bad: Data(bad),
    lambda bad: Json({bad: [bad]}),
    lambda bad: Error(text=bad, error_type=bad, raw_response=bad),
    lambda bad: Done(extra={bad: bad}),
]
REQUEST_MAKERS: list[tuple[str, Callable[[str], HttpRequest]]] = [
    ("method", lambda bad: HttpRequest("POST" + bad, "http://a.invalid/")),
    ("url", lambda bad: HttpRequest("POST", "http://a.invalid/" + bad)),
    ("url", lambda bad: PoeExchange().send(sample_query(), "http://a.invalid/" + bad)),
    ("headers", lambda bad: HttpRequest("POST", "http://a.invalid/", [("x", "y" + bad)])),
    ("headers", lambda bad: HttpRequest("POST", "http://a.invalid/", [("x" + bad, "y")])),
]
STRICT_WRITERS: list[Callable[[str], object]] = [
    lambda bad: PoeExchange("k" * 31 + bad),
    lambda bad: BotExchange("k" * 31 + bad),
    lambda bad: upload_by_url_request("http://a.invalid/", access_key="k" + bad),
    lambda bad: upload("access_key", "k" + bad),
    lambda bad: upload("boundary", "b" + bad),
    lambda bad: upload("content_type", "text/plain" + bad),
    lambda bad: authorize_cost_request(CostItem(1), bot_query_id="q", access_key="k" + bad),
]


def streaming() -> BotExchange:
    exchange = BotExchange(None)
    exchange.receive_head(RequestHead("POST", "/"))
    exchange.receive_data(encode_request(sample_query()))
    exchange.receive_eof()
    exchange.begin()
    return exchange


# --- events


@each_break
@pytest.mark.parametrize("write", LINE_WRITERS.values(), ids=LINE_WRITERS)
def test_names_identifiers_and_comments_are_refused(write: Callable[[str], bytes], bad: str) -> None:
    with pytest.raises(LocalProtocolError):
        write(bad)


@each_break
@pytest.mark.parametrize("make", EVENT_MAKERS)
def test_one_event_is_received_for_each_event_sent(make: Callable[[str], Event], bad: str) -> None:
    exchange, event = streaming(), make(bad)
    if isinstance(event, Done):
        exchange.send(Text("a"))
    sent = [exchange.send(event)] if not isinstance(event, Text) or event.index else [exchange.send_texts([event.text])]
    for wire in [*sent, encode_event(event)]:
        assert len(SSEDecoder().receive_data(wire)) == 1


@each_break
def test_a_failure_ends_with_two_events_whatever_is_in_it(bad: str) -> None:
    exchange = streaming()
    ending = exchange.fail("e" + bad, text="t" + bad, error_type="y" + bad)
    assert isinstance(ending, bytes)
    assert [record.event for record in SSEDecoder().receive_data(ending)] == ["error", "done"]


def test_a_heartbeat_is_not_an_event() -> None:
    assert SSEDecoder().receive_data(streaming().heartbeat()) == []


# --- heads


@each_break
@pytest.mark.parametrize(("path", "make"), REQUEST_MAKERS)
def test_a_request_holds_no_line_of_its_own(path: str, make: Callable[[str], HttpRequest], bad: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        make(bad)
    assert caught.value.path == path
    assert "a.invalid" not in str(caught.value)


@each_break
@pytest.mark.parametrize("write", STRICT_WRITERS)
def test_keys_boundaries_and_media_types_are_refused(write: Callable[[str], object], bad: str) -> None:
    with pytest.raises(ValueError):
        write(bad)


@each_break
def test_names_of_bots_and_identifiers_are_quoted_in_urls(bad: str) -> None:
    urls = [
        Endpoints().bot("a" + bad),
        update_settings_request("a" + bad, sample_settings(), access_key="k" + bad, version="1" + bad).url,
        fetch_settings_request("a" + bad, access_key="k" + bad).url,
        authorize_cost_request(CostItem(1), bot_query_id="q" + bad, access_key="k").url,
    ]
    assert [url for url in urls if re.search("[^!-~]", url)] == []


@each_break
def test_a_server_s_answer_has_no_header_that_a_peer_wrote(bad: str) -> None:
    responses: list[HttpResponse | None] = []
    for method, authorization in ((f"GET{bad}", "Bearer k"), ("POST", f"Bearer {bad}"), ("POST", bad)):
        exchange = BotExchange(TEST_ACCESS_KEY)
        with pytest.raises(RemoteProtocolError) as caught:
            exchange.receive_head(RequestHead(method, f"/{bad}", [("authorization", authorization)]))
        responses.append(caught.value.response)
    failing = BotExchange(None).fail(f"e{bad}", text=f"t{bad}")
    assert isinstance(failing, HttpResponse)
    for response in [*responses, failing]:
        assert response is not None
        assert not [pair for pair in response.headers for part in pair if set(b"\r\n\0") & set(part)]
