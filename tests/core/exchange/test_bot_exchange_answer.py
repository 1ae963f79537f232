"""The bot side responds: which call is legal when, answers, events, failures."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any

import pytest

from poeproto import (
    BotExchange,
    Data,
    Done,
    Error,
    Event,
    File,
    HttpResponse,
    Json,
    Limits,
    LocalProtocolError,
    Meta,
    RemoteProtocolError,
    ReplaceResponse,
    ReportErrorRequest,
    ReportFeedbackRequest,
    ReportReactionRequest,
    Request,
    RequestHead,
    ServerSentEvent,
    SettingsRequest,
    SettingsResponse,
    SSEDecoder,
    State,
    SuggestedReply,
    Text,
    TooManyFiles,
    UnknownEvent,
    decode_settings,
)
from poeproto.testing import ExchangePair, sample_query

FILE = File("https://files.invalid/a", "a", "text/plain")


def exchange_with(request: Request, limits: Limits | None = None) -> BotExchange:
    pair = ExchangePair(None, limits)
    pair.request(request)
    return pair.bot


def opened(*events: Event, limits: Limits | None = None) -> BotExchange:
    exchange = exchange_with(sample_query(), limits)
    exchange.begin()
    for event in events:
        exchange.send(event)
    return exchange


def records(data: bytes) -> list[tuple[str, Any]]:
    return [(record.event, json.loads(record.data)) for record in SSEDecoder().receive_data(data)]


# --- which call is legal when

CALLS: dict[str, Callable[[BotExchange], object]] = {
    "receive_head": lambda exchange: exchange.receive_head(RequestHead("POST", "/")),
    "receive_data": lambda exchange: exchange.receive_data(b" "),
    "receive_eof": lambda exchange: exchange.receive_eof(),
    "answer": lambda exchange: exchange.answer(SettingsResponse()),
    "begin": lambda exchange: exchange.begin(),
    "send": lambda exchange: exchange.send(Text("x")),
    "heartbeat": lambda exchange: exchange.heartbeat(),
}
NOT_EXPECTED = {
    "receive_head": "^the head",
    "receive_data": "^no body is due",
    "receive_eof": "^no end of a body is due",
}


def reading_body() -> BotExchange:
    exchange = BotExchange(None)
    exchange.receive_head(RequestHead("POST", "/"))
    exchange.receive_data(b'{"type": "settings"}')
    return exchange


def answered() -> BotExchange:
    exchange = exchange_with(SettingsRequest())
    exchange.answer(SettingsResponse())
    return exchange


# How each stage is reached, and the calls that are legal there, in this order.
STAGES: dict[str, tuple[Callable[[], BotExchange], list[str]]] = {
    "fresh": (lambda: BotExchange(None), ["receive_head"]),
    "reading": (reading_body, ["receive_data", "receive_eof"]),
    "query read": (lambda: exchange_with(sample_query()), ["begin"]),
    "call read": (lambda: exchange_with(SettingsRequest()), ["answer"]),
    "answered": (answered, []),
    "open": (opened, ["send", "heartbeat"]),
    "with meta": (lambda: opened(Meta()), ["send", "heartbeat"]),
    "with text": (lambda: opened(Text("x")), ["send", "heartbeat"]),
    "after error": (lambda: opened(Error()), ["heartbeat"]),
    "after done": (lambda: opened(Text("x"), Done()), []),
}


@pytest.mark.parametrize("stage", STAGES)
def test_a_call_out_of_order_is_our_fault_and_changes_nothing(stage: str) -> None:
    reach, allowed = STAGES[stage]
    exchange = reach()
    states = exchange.our_state, exchange.their_state
    for call in CALLS.keys() - allowed:
        with pytest.raises(LocalProtocolError) as caught:
            CALLS[call](exchange)
        assert (exchange.our_state, exchange.their_state) == states
        # The message names the call that was not expected, or our own state.
        assert re.search(NOT_EXPECTED.get(call, f": {re.escape(states[0].value)}($|; )"), str(caught.value))
    for call in allowed:
        CALLS[call](exchange)


# --- the answer


def assert_whole_json(response: HttpResponse, status: int) -> None:
    assert (response.status, response.get("content-type")) == (status, "application/json")
    assert response.get("content-length") == str(len(response.body))


def test_settings_are_answered_with_one_complete_response() -> None:
    settings = SettingsResponse(allow_attachments=True, server_bot_dependencies={"Other": 2})
    exchange = exchange_with(SettingsRequest())
    response = exchange.answer(settings)
    assert_whole_json(response, 200)
    assert decode_settings(response.body) == settings
    assert exchange.our_state is State.DONE


@pytest.mark.parametrize("report", [ReportFeedbackRequest(), ReportReactionRequest(), ReportErrorRequest()])
def test_a_report_is_answered_with_an_empty_object(report: Request) -> None:
    exchange = exchange_with(report)
    response = exchange.answer(None)
    assert_whole_json(response, 200)
    assert response.body == b"{}"
    assert exchange.our_state is State.DONE


@pytest.mark.parametrize(
    ("request_", "wrong", "right", "told"),
    [
        (SettingsRequest(), None, SettingsResponse(), "^the answer to a settings request is"),
        (ReportErrorRequest(), SettingsResponse(), None, "^the answer to a report is None"),
    ],
)
def test_a_call_has_one_kind_of_answer_and_a_forgotten_one_is_named(
    request_: Request, wrong: SettingsResponse | None, right: SettingsResponse | None, told: str
) -> None:
    exchange = exchange_with(request_)
    with pytest.raises(LocalProtocolError, match=told):
        exchange.answer(wrong)
    assert exchange.answer(right).status == 200


def test_settings_that_cannot_be_written_leave_the_answer_due() -> None:
    exchange = exchange_with(SettingsRequest())
    with pytest.raises(LocalProtocolError):
        exchange.answer(SettingsResponse(extra={"new": 1}))
    assert exchange.answer(SettingsResponse()).status == 200


def test_the_stream_begins_with_the_headers_that_keep_it_flowing() -> None:
    head = exchange_with(sample_query()).begin()
    assert head.status == 200
    assert (head.get("content-type") or "").partition(";")[0] == "text/event-stream"
    assert head.get("cache-control") == "no-cache, no-transform"
    assert head.get("x-accel-buffering") == "no"
    assert head.get("content-length") is None


def test_an_event_is_one_record_in_utf8() -> None:
    assert opened().send(Text("naïve 🐈\n")) == 'event: text\ndata: {"text":"naïve 🐈\\n"}\n\n'.encode()


def test_a_heartbeat_is_a_comment() -> None:
    heartbeat = opened().heartbeat()
    assert heartbeat.startswith(b":")
    assert SSEDecoder().receive_data(heartbeat + b"data: x\n\n") == [ServerSentEvent("message", "x")]


@pytest.mark.parametrize(
    "event",
    [
        Json({"a": math.nan}),
        Json({"a": [math.inf]}),
        Json({"a": {1, 2}}),
        Error(raw_response={"a": -math.inf}),
        Text(3),  # pyright: ignore[reportArgumentType]
        Text("x", index=True),
        Meta(suggested_replies=None),  # pyright: ignore[reportArgumentType]
        File("https://files.invalid/a", "a", None),  # pyright: ignore[reportArgumentType]
        UnknownEvent("future", "{}"),
        pytest.param(UnknownEvent("two\nlines", "{}"), id="two lines"),
        "a string",
    ],
    ids=repr,
)
def test_an_event_that_cannot_be_written_changes_nothing(event: Any) -> None:
    exchange = opened()
    with pytest.raises(LocalProtocolError):
        exchange.send(event)
    assert exchange.our_state is State.OPENED
    assert exchange.send(Meta())


@pytest.mark.parametrize("event", [UnknownEvent("future", "{}"), "a string", None])
def test_a_value_that_is_not_an_event_is_named_by_its_type(event: Any) -> None:
    with pytest.raises(LocalProtocolError, match=f"^{type(event).__name__} is not an event"):
        opened().send(event)


@pytest.mark.parametrize(
    ("limits", "fitting", "too_much", "still_fitting"),
    [
        (Limits(events=2), [Text("a"), SuggestedReply("b")], Text("c"), []),
        (Limits(events=2), [Meta(), Text("a")], Data("c"), []),
        (Limits(text_length=4), [Text("ab"), Text("🐈🐈")], Text("c"), [Text(""), FILE]),
        (Limits(text_length=4), [Text("ab")], Text("cde"), [Text("cd")]),
        (Limits(text_length=4), [Text("ab", index=0), Text("abcd", index=1)], Text("cde", index=0), [Text("abcd")]),
        (Limits(text_length=4), [Text("abcd"), ReplaceResponse("ab")], Text("cde"), [Text("cd")]),
        (Limits(text_length=4), [Text("abc"), ReplaceResponse("xy", index=0)], Text("de"), [Text("d")]),
        (Limits(text_length=4), [Text("abc")], ReplaceResponse("abcde"), [Text("d")]),
        (Limits(text_length=4), [Text("abc")], Text("\ud83d\ud83d"), [Text("d")]),
        (Limits(files=2), [FILE, FILE], FILE, [Text("a")]),
    ],
)
@pytest.mark.parametrize("end", [[Error(), Done()], [Done()]], ids=["error", "done"])
def test_an_event_over_a_limit_is_refused_and_the_reply_can_still_end(
    limits: Limits, fitting: list[Event], too_much: Event, still_fitting: list[Event], end: list[Event]
) -> None:
    exchange = opened(*fitting, limits=limits)
    state = exchange.our_state
    with pytest.raises(LocalProtocolError, match=r"more than (2 events|2 files|4 characters) .*\(Limits\."):
        exchange.send(too_much)
    assert exchange.our_state is state
    for event in [*still_fitting, *end]:
        assert exchange.send(event)
    assert exchange.our_state is State.DONE


def test_the_sent_events_are_counted_without_the_end() -> None:
    exchange = opened(Text("a"), FILE, FILE, Done())
    assert (exchange.events, exchange.files) == (3, 2)
    with pytest.raises(TooManyFiles):
        opened(FILE, limits=Limits(files=1)).send(FILE)


def test_after_a_limit_the_reply_can_still_be_ended() -> None:
    exchange = opened(Text("a"), limits=Limits(events=1, text_length=1))
    with pytest.raises(LocalProtocolError):
        exchange.send(Text("b"))
    assert isinstance(ending := exchange.fail("id"), bytes)
    assert [name for name, _ in records(ending)] == ["error", "done"]


# --- failing


@pytest.mark.parametrize("stage", ["fresh", "reading", "query read", "call read"])
def test_a_failure_before_the_answer_is_a_response_of_500(stage: str) -> None:
    exchange = STAGES[stage][0]()
    response = exchange.fail("ab12")
    assert isinstance(response, HttpResponse)
    assert_whole_json(response, 500)
    content = json.loads(response.body)
    assert content["error_id"] == "ab12"
    assert "ab12" in content["error"]
    assert exchange.our_state is State.DONE
    assert exchange.fail("again") == b""


@pytest.mark.parametrize(
    ("stage", "names"),
    [
        ("open", ["error", "done"]),
        ("with meta", ["error", "done"]),
        ("with text", ["error", "done"]),
        ("after error", ["done"]),
        ("after done", []),
        ("answered", []),
    ],
)
def test_a_failure_after_the_answer_began_sends_the_missing_end(stage: str, names: list[str]) -> None:
    exchange = STAGES[stage][0]()
    ending = exchange.fail("ab12")
    assert isinstance(ending, bytes)
    assert [name for name, _ in records(ending)] == names
    assert exchange.our_state is State.DONE
    assert exchange.fail("again") == b""


def test_the_ending_is_neutral_and_names_the_error() -> None:
    ending = opened().fail("ab12")
    assert isinstance(ending, bytes)
    assert records(ending) == [
        ("error", {"allow_retry": False, "text": "Something went wrong in this bot. Error id: ab12"}),
        ("done", {}),
    ]


def test_the_end_can_contain_more_events() -> None:
    ending = opened().fail("ab12", allow_retry=True, error_type="user_message_too_long", text="Too long.")
    assert isinstance(ending, bytes)
    assert records(ending)[0] == (
        "error",
        {"allow_retry": True, "text": "Too long.", "error_type": "user_message_too_long"},
    )


@pytest.mark.parametrize("stage", ["query read", "with text"])
def test_after_an_ending_that_cannot_be_encoded_another_is_possible(stage: str) -> None:
    exchange = STAGES[stage][0]()
    state = exchange.our_state
    with pytest.raises(LocalProtocolError):
        exchange.fail("ab12", error_type=3)  # pyright: ignore[reportArgumentType]
    assert exchange.our_state is state
    assert exchange.fail("ab12")


def test_a_failure_while_the_request_is_read_does_not_hinder_the_reading() -> None:
    exchange = reading_body()
    exchange.fail("ab12")
    exchange.receive_data(b"  ")
    assert exchange.receive_eof() == SettingsRequest()
    with pytest.raises(LocalProtocolError):
        exchange.answer(SettingsResponse())


def test_a_fault_after_our_own_failure_has_no_response_left() -> None:
    exchange = reading_body()
    exchange.fail("ab12")
    exchange.receive_data(b"!")
    with pytest.raises(RemoteProtocolError) as caught:
        exchange.receive_eof()
    assert caught.value.response is None
