from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poeproto import (
    BotExchange,
    Data,
    Done,
    Error,
    Event,
    File,
    FunctionCall,
    HttpRequest,
    Json,
    LimitExceeded,
    Limits,
    Message,
    Meta,
    RemoteProtocolError,
    ReplaceResponse,
    ReportErrorRequest,
    ReportFeedbackRequest,
    ReportReactionRequest,
    Request,
    RequestRefused,
    SettingsRequest,
    SettingsResponse,
    State,
    SuggestedReply,
    Text,
    ToolCall,
    ToolResult,
)
from poeproto.auth import access_key_set
from poeproto.flows import Flow, RunTools, call_flow, tool_result
from poeproto.testing import (
    TEST_ACCESS_KEY,
    ExchangePair,
    FlowDriver,
    bytewise,
    cut_at,
    sample_query,
    sample_reply,
    two_way_splits,
)

CUTS: dict[str, Callable[[bytes], Iterable[bytes]]] = {
    "whole": lambda data: [data],
    "bytewise": bytewise,
    "in three": lambda data: cut_at(data, [5, 50]),
}


@pytest.fixture(params=CUTS)
def cut(request: pytest.FixtureRequest) -> Callable[[bytes], Iterable[bytes]]:
    return CUTS[request.param]


@pytest.mark.parametrize("access_key", [TEST_ACCESS_KEY, "another-key", None])
def test_a_query_and_its_reply_pass_through_a_pair(
    access_key: str | None, cut: Callable[[bytes], Iterable[bytes]]
) -> None:
    pair = ExchangePair(access_key, cut=cut)
    assert pair.request(sample_query()) == sample_query()
    assert pair.begin().status == 200
    assert pair.heartbeat() == []
    events = sample_reply()
    assert pair.send(*events[:3]) == events[:3]
    assert pair.heartbeat() == []
    assert pair.send(*events[3:]) == events[3:]
    assert pair.poe.receive_eof() == []
    assert pair.bot.our_state is pair.poe.their_state is State.DONE
    assert pair.bot.their_state is pair.poe.our_state is State.DONE


def test_settings_pass_through_a_pair(cut: Callable[[bytes], Iterable[bytes]]) -> None:
    pair = ExchangePair(cut=cut)
    assert pair.request(SettingsRequest()) == SettingsRequest()
    settings = SettingsResponse(introduction_message="Hello 🐈")
    assert pair.answer(settings) == settings


@pytest.mark.parametrize("report", [ReportFeedbackRequest(), ReportReactionRequest(), ReportErrorRequest()])
def test_a_report_passes_through_a_pair(report: Request, cut: Callable[[bytes], Iterable[bytes]]) -> None:
    pair = ExchangePair(cut=cut)
    assert pair.request(report) == report
    assert pair.answer(None) is None


def test_a_failure_in_the_stream_is_read_as_an_error_event(cut: Callable[[bytes], Iterable[bytes]]) -> None:
    pair = ExchangePair(cut=cut)
    pair.request(sample_query())
    pair.begin()
    pair.send(Text("a"))
    (event,) = pair.fail("ab12")
    assert isinstance(event, Error)
    assert "ab12" in (event.text or "")
    assert pair.poe.receive_eof() == []


@pytest.mark.parametrize("request_", [sample_query(), SettingsRequest()])
def test_a_failure_before_the_answer_is_read_as_a_refusal(
    request_: Request, cut: Callable[[bytes], Iterable[bytes]]
) -> None:
    pair = ExchangePair(cut=cut)
    pair.request(request_)
    with pytest.raises(RequestRefused) as caught:
        pair.fail("ab12")
    assert caught.value.status == 500
    assert b"ab12" in caught.value.body_start


def test_both_sides_of_a_pair_keep_its_limits(cut: Callable[[bytes], Iterable[bytes]]) -> None:
    pair = ExchangePair(limits=Limits(request_body=10), cut=cut)
    with pytest.raises(LimitExceeded):
        pair.request(sample_query())
    pair = ExchangePair(limits=Limits(answer_size=10), cut=cut)
    pair.request(SettingsRequest())
    with pytest.raises(LimitExceeded):
        pair.answer(SettingsResponse())


def test_an_event_that_the_bot_refuses_is_raised_where_it_was_sent() -> None:
    pair = ExchangePair()
    pair.bot = BotExchange("a-key-of-another-bot")
    with pytest.raises(RemoteProtocolError) as caught:
        pair.request(sample_query())
    assert caught.value.response is not None
    assert caught.value.response.status == 401


# --- cuts


@given(st.binary(max_size=50))
def test_bytewise_gives_every_byte_alone(data: bytes) -> None:
    assert bytewise(data) == [bytes([byte]) for byte in data]


@given(st.binary(max_size=50))
def test_two_way_splits_gives_every_cut_once(data: bytes) -> None:
    splits = list(two_way_splits(data))
    assert [len(first) for first, _ in splits] == list(range(len(data) + 1))
    assert all(first + second == data for first, second in splits)


@given(st.binary(max_size=50), st.lists(st.integers(-10, 60)))
def test_cut_at_loses_nothing_and_cuts_at_each_place(data: bytes, places: list[int]) -> None:
    parts = cut_at(data, places)
    assert b"".join(parts) == data
    assert len(parts) == len(places) + 1


def test_cut_at_takes_places_in_any_order_and_clamps_those_outside() -> None:
    assert cut_at(b"abcdef", [4, 1]) == [b"a", b"bcd", b"ef"]
    assert cut_at(b"abc", [-1, 99]) == [b"", b"abc", b""]


# --- samples


def test_the_key_looks_like_one_and_is_usable() -> None:
    assert len(TEST_ACCESS_KEY) == 32
    assert access_key_set(TEST_ACCESS_KEY)


def test_the_sample_reply_has_every_event_of_a_success() -> None:
    successes: set[type[Event]] = {Meta, Text, ReplaceResponse, File, Json, Data, SuggestedReply, Done}
    assert {type(event) for event in sample_reply()} == successes


def test_samples_are_new_for_each_test() -> None:
    sample_query().query.clear()
    sample_reply().clear()
    assert sample_query("Hi").query[-1] == attrs.evolve(sample_query().query[-1], content="Hi")
    assert isinstance(sample_query().query[-1], Message)
    assert sample_reply()


def test_a_driver_has_as_many_answers_as_it_was_given() -> None:
    driver = FlowDriver([])
    with pytest.raises(AssertionError, match="no response to request 1"):
        driver.run(call_flow(HttpRequest("POST", "http://bot.invalid/")))


def test_the_flow_driver_runs_the_tools_that_it_was_given() -> None:
    def run() -> Flow[list[ToolResult]]:
        results: list[ToolResult] = yield RunTools([ToolCall("c", FunctionCall("f", "{}"))])
        return results

    assert FlowDriver([], run_tool=lambda call: tool_result(call, 7)).run(run()) == [ToolResult("c", "f", "7")]
