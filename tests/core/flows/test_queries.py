"""Asking a bot in several steps, driven by canned answers and a clock that only counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import pytest

from poeproto import (
    BotError,
    ConnectFailed,
    ConnectionLost,
    Data,
    DeadlineExceeded,
    Done,
    Error,
    Event,
    File,
    HttpResponse,
    IncompleteReply,
    Json,
    LimitExceeded,
    Limits,
    Message,
    Meta,
    PoeprotoError,
    QueryRequest,
    RemoteProtocolError,
    ReplaceResponse,
    ReplyFold,
    RequestRefused,
    ResponseHead,
    RetryPolicy,
    SuggestedReply,
    Text,
    UnknownEvent,
    decode_request,
    encode_event,
    encode_settings,
)
from poeproto.flows import (
    Deliver,
    Flow,
    ReceiveData,
    ReplyStarted,
    SendRequest,
    query_flow,
    settings_flow,
    tool_rounds_flow,
)
from poeproto.testing import TEST_ACCESS_KEY, FlowDriver, ResponseInParts, bytewise, sample_settings

from ...support.poe_exchanges import body_of

URL = "http://bot.invalid/"
HELLO = QueryRequest([Message("user", "hello")])
STREAM = [(b"content-type", b"text/event-stream")]
BUSY = HttpResponse(503, [(b"retry-after", b"3")], b"busy")
ALWAYS = RetryPolicy(attempts=3, failures=True, error_events=True, restart=True)
Cut = Callable[[bytes], Iterable[bytes]]


@pytest.fixture(params=[False, True], ids=["whole", "bytewise"])
def cut(request: pytest.FixtureRequest) -> Cut:
    return bytewise if request.param else lambda data: [data]


# --- one query


def test_a_reply_is_delivered_as_it_arrives(cut: Cut) -> None:
    events: list[Event | PoeprotoError] = [Meta(), Text("hel"), Text("lo"), Text("two", 1), Done()]
    driver = FlowDriver([events], cut)
    fold = driver.run(query_flow(HELLO, URL, access_key=TEST_ACCESS_KEY))
    assert driver.events == events
    assert fold.texts == {None: "hello", 1: "two"}
    assert fold.ending == Done()
    (sent,) = driver.requests
    assert decode_request(body_of(sent)) == HELLO
    assert sent.get("authorization") == f"Bearer {TEST_ACCESS_KEY}"
    assert (driver.waits, driver.started, driver.closed) == ([], 1, 0)


def test_a_reply_can_be_inspected_while_it_arrives() -> None:
    fold = ReplyFold()
    flow = query_flow(HELLO, URL, fold=fold)
    assert isinstance(next(flow), SendRequest)
    assert isinstance(flow.send(ResponseHead(200, STREAM)), ReplyStarted)
    assert isinstance(flow.send(None), ReceiveData)
    effect = flow.send(encode_event(Text("a")) + encode_event(Text("b")) + encode_event(Data("x")))
    assert isinstance(effect, Deliver)
    assert effect == Deliver([Text("a"), Text("b"), Data("x")])
    assert (fold.text, fold.metadata) == ("", None)
    for event, text, metadata in zip(effect, ("a", "ab", "ab"), (None, None, "x"), strict=True):
        assert event in effect.events
        assert (fold.text, fold.metadata) == (text, metadata)


def test_events_that_a_driver_does_not_iterate_are_delivered_when_the_flow_resumes() -> None:
    fold = ReplyFold()
    flow = query_flow(HELLO, URL, fold=fold)
    for outcome in (None, ResponseHead(200, STREAM), None):
        flow.send(outcome)
    assert isinstance(effect := flow.send(encode_event(Text("a")) + encode_event(Text("b"))), Deliver)
    assert next(iter(effect)) == Text("a")
    flow.send(None)
    assert fold.text == "ab"


def test_events_unread_when_a_flow_is_closed_are_not_in_the_reply() -> None:
    fold = ReplyFold()
    flow = query_flow(HELLO, URL, fold=fold)
    for outcome in (None, ResponseHead(200, STREAM), None):
        flow.send(outcome)
    assert isinstance(effect := flow.send(encode_event(Text("a")) + encode_event(Text("b"))), Deliver)
    assert next(iter(effect)) == Text("a")
    flow.close()
    assert fold.text == "a"


@pytest.mark.parametrize("failure", [ConnectFailed("no"), BUSY, HttpResponse(429, [], b"")])
def test_a_call_that_did_nothing_is_retried_once(failure: HttpResponse | PoeprotoError, cut: Cut) -> None:
    driver = FlowDriver([failure, [Text("x"), Done()]], cut)
    assert driver.run(query_flow(HELLO, URL)).text == "x"
    assert driver.waits == [3.0 if failure is BUSY else 0.5]
    assert driver.requests[0] == driver.requests[1]
    assert driver.started == 1
    driver = FlowDriver([failure, failure, [Text("x"), Done()]], cut)
    with pytest.raises((ConnectFailed, RequestRefused)) as caught:
        driver.run(query_flow(HELLO, URL))
    assert len(driver.requests) == 2
    assert isinstance(caught.value, PoeprotoError)
    assert caught.value.partial is not None


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (HttpResponse(500, [], b"oh"), RequestRefused),
        (HttpResponse(401, [], b"no"), RequestRefused),
        (ConnectionLost("cut"), ConnectionLost),
        ([ConnectionLost("cut")], ConnectionLost),
        ([], IncompleteReply),
    ],
)
def test_a_call_that_may_have_done_something_is_not_retried_by_default(failure: Any, error: type[Exception]) -> None:
    driver = FlowDriver([failure])
    with pytest.raises(error):
        driver.run(query_flow(HELLO, URL))
    assert driver.waits == []
    driver = FlowDriver([failure, [Text("x"), Done()]])
    if error is RequestRefused and failure.status == 401:
        with pytest.raises(error):
            driver.run(query_flow(HELLO, URL, retry=ALWAYS))
    else:
        assert driver.run(query_flow(HELLO, URL, retry=ALWAYS)).text == "x"


def test_a_wait_that_is_too_long_is_the_callers_to_decide() -> None:
    busy = HttpResponse(429, [(b"retry-after", b"61")])
    driver = FlowDriver([busy])
    with pytest.raises(RequestRefused) as caught:
        driver.run(query_flow(HELLO, URL))
    assert caught.value.retry_after == "61"
    long_retry = FlowDriver([busy, [Text("x"), Done()]])
    long_retry.run(query_flow(HELLO, URL, retry=RetryPolicy(longest_wait=61)))
    assert long_retry.waits == [61.0]


BROKEN_REFUSALS = [
    ResponseInParts(ResponseHead(429, [("retry-after", "3")]), [b"bu", ConnectionLost("cut")]),
    ResponseInParts(ResponseHead(503, [("retry-after", "3")]), [b"x"] * 10_000),
    HttpResponse(503, [("retry-after", "3")], b"x" * 10_000),
]


@pytest.mark.parametrize("answer", BROKEN_REFUSALS, ids=["cut", "endless", "large"])
def test_a_refusal_is_recognised_by_its_head_even_if_its_body_fails(answer: ResponseInParts | HttpResponse) -> None:
    driver = FlowDriver([answer, [Text("x"), Done()]])
    assert driver.run(query_flow(HELLO, URL)).text == "x"
    assert (driver.waits, driver.closed) == ([3.0], 1)
    limits = Limits(answer_size=5000)
    again = FlowDriver([answer, HttpResponse(200, [], encode_settings(sample_settings()))])
    assert again.run(settings_flow(URL, limits=limits)) == sample_settings()
    for flow in (query_flow(HELLO, URL), settings_flow(URL, limits=limits)):
        with pytest.raises(RequestRefused) as caught:
            FlowDriver([answer, answer]).run(flow)
        assert (caught.value.retry_after, len(caught.value.body_start) <= 1024) == ("3", True)


def test_a_response_that_was_read_to_its_end_is_not_closed() -> None:
    driver = FlowDriver([BUSY, [Text("x"), Done()]])
    driver.run(query_flow(HELLO, URL))
    assert driver.closed == 0


def test_an_error_event_ends_the_reply_and_is_delivered() -> None:
    driver = FlowDriver([[Text("x"), Error(text="oh"), Done()]])
    fold = driver.run(query_flow(HELLO, URL))
    assert driver.events == [Text("x"), Error(text="oh")]
    with pytest.raises(BotError):
        fold.final_text()


def test_an_error_event_that_allows_a_retry_is_retried_if_the_policy_says_so() -> None:
    driver = FlowDriver([[Error(text="oh")], [Text("x"), Done()]])
    assert driver.run(query_flow(HELLO, URL, retry=ALWAYS)).final_text() == "x"
    assert (driver.waits, driver.closed) == ([0.5], 1)
    stubborn = FlowDriver([[Error(allow_retry=False)]])
    stubborn.run(query_flow(HELLO, URL, retry=ALWAYS))
    assert stubborn.events == [Error(allow_retry=False)]


def test_after_output_there_is_no_retry() -> None:
    driver = FlowDriver([[Text("x"), ConnectionLost("cut")]])
    with pytest.raises(ConnectionLost) as caught:
        driver.run(query_flow(HELLO, URL, retry=RetryPolicy(failures=True)))
    assert caught.value.partial is not None
    assert caught.value.partial.text == "x"


def test_a_meta_alone_is_not_output_and_is_not_repeated() -> None:
    driver = FlowDriver([[Meta(), ConnectionLost("cut")], [Meta(), Text("x"), Done()]])
    driver.run(query_flow(HELLO, URL, retry=RetryPolicy(failures=True)))
    assert driver.events == [Meta(), Text("x"), Done()]


def test_an_unknown_event_does_not_make_a_meta_late(cut: Cut) -> None:
    novelty = b"event: novelty\ndata: x\n\n"
    body = novelty * 2 + b"".join(map(encode_event, (Meta(linkify=True), Text("x"), Meta(), Done())))
    driver = FlowDriver([HttpResponse(200, STREAM, body)], cut)
    fold = driver.run(query_flow(HELLO, URL))
    unknown = UnknownEvent("novelty", "x")
    assert driver.events == [unknown, unknown, Meta(linkify=True), Text("x"), Done()]
    assert fold.meta == Meta(linkify=True)


def test_a_meta_of_a_later_attempt_is_late_if_one_was_delivered(cut: Cut) -> None:
    novelty = b"event: novelty\ndata: x\n\n"
    first = HttpResponse(200, STREAM, encode_event(Meta(linkify=True)))
    second = HttpResponse(200, STREAM, novelty + b"".join(map(encode_event, (Meta(), Text("x"), Done()))))
    driver = FlowDriver([first, second], cut)
    driver.run(query_flow(HELLO, URL, retry=RetryPolicy(failures=True)))
    assert driver.events == [Meta(linkify=True), UnknownEvent("novelty", "x"), Text("x"), Done()]


def test_a_restart_clears_the_events_shown_before() -> None:
    driver = FlowDriver([[Text("old"), Text("too", 1), ConnectionLost("cut")], [Text("new"), Done()]])
    fold = driver.run(query_flow(HELLO, URL, retry=ALWAYS))
    assert driver.events == [
        Text("old"), Text("too", 1), ReplaceResponse(""), ReplaceResponse("", 1), Text("new"), Done(),
    ]  # fmt: skip
    assert fold.texts == {None: "new", 1: ""}


def test_a_text_that_was_cleared_is_not_cleared_again() -> None:
    cut = ConnectionLost("cut")
    driver = FlowDriver([[Text("a"), cut], [cut], [Text("b"), Done()]])
    driver.run(query_flow(HELLO, URL, retry=ALWAYS))
    assert driver.events == [Text("a"), ReplaceResponse(""), Text("b"), Done()]


@pytest.mark.parametrize(
    "event",
    [File("u", "n", "c"), Data("x"), Json({"a": 1}), SuggestedReply("x")],
    ids=lambda event: type(event).__name__,
)
def test_no_restart_follows_output_that_cannot_be_replaced(event: Event) -> None:
    driver = FlowDriver([[Text("a"), event, ConnectionLost("cut")], [Text("b"), Done()]])
    with pytest.raises(ConnectionLost):
        driver.run(query_flow(HELLO, URL, retry=ALWAYS))
    assert driver.events == [Text("a"), event]


def test_a_protocol_error_is_never_retried() -> None:
    broken = HttpResponse(200, STREAM, b'event: text\ndata: {"text": "a"}\n\nevent: text\ndata: {}\n\n')
    driver = FlowDriver([broken])
    with pytest.raises(RemoteProtocolError) as caught:
        driver.run(query_flow(HELLO, URL, retry=ALWAYS))
    assert driver.events == [Text("a")]
    assert caught.value.partial is not None
    assert caught.value.partial.text == "a"


def test_a_protocol_error_is_raised_without_waiting_for_more_data() -> None:
    flow = query_flow(HELLO, URL)
    for outcome in (None, ResponseHead(200, STREAM), None):
        flow.send(outcome)
    assert flow.send(encode_event(Text("a")) + b"event: text\ndata: {}\n\n") == Deliver([Text("a")])
    with pytest.raises(RemoteProtocolError):
        flow.send(None)


def test_without_tools_every_event_is_delivered_as_it_came() -> None:
    events: list[Event | PoeprotoError] = [Json({"choices": [{"delta": {"content": "a"}}]}), Done()]
    driver = FlowDriver([events])
    driver.run(query_flow(HELLO, URL))
    assert driver.events == events


@pytest.mark.parametrize("make", [query_flow, partial(tool_rounds_flow, tools=[])], ids=["query", "tool rounds"])
def test_the_limits_of_a_query_hold_for_its_reply(make: Callable[..., Flow[ReplyFold]]) -> None:
    with pytest.raises(LimitExceeded) as caught:
        FlowDriver([[Text("a"), Text("b"), Done()]]).run(make(HELLO, URL, limits=Limits(answer_events=1)))
    assert caught.value.limit == "answer_events"


def test_a_closed_flow_yields_no_more_effects() -> None:
    flow = query_flow(HELLO, URL)
    next(flow)
    flow.close()
    with pytest.raises(StopIteration):
        next(flow)


def test_text_that_was_there_before_the_call_is_not_its_output() -> None:
    fold = ReplyFold()
    fold.add(Text("before. "))
    fold.add(Text("two", 1))
    driver = FlowDriver([BUSY, [Text("old"), ConnectionLost("cut")], [Text("new"), Done()]])
    driver.run(query_flow(HELLO, URL, retry=ALWAYS, fold=fold))
    assert driver.events == [Text("old"), ReplaceResponse("before. "), Text("new"), Done()]
    assert fold.texts == {None: "before. new", 1: "two"}


@pytest.mark.parametrize(
    "failure", [ConnectionLost("cut"), DeadlineExceeded("late"), RemoteProtocolError("no HTTP"), None], ids=repr
)
def test_a_partial_reply_ends_with_its_lone_surrogate(failure: PoeprotoError | None, cut: Cut) -> None:
    driver = FlowDriver([[Text("a\ud83d"), Text("\ud83d", 1), *([failure] if failure else [])]], cut)
    with pytest.raises(PoeprotoError) as caught:
        driver.run(query_flow(HELLO, URL))
    assert caught.value is failure or type(caught.value) is IncompleteReply
    assert driver.events == [Text("a"), Text("\ufffd"), Text("\ufffd", 1)]
    assert caught.value.partial is not None
    assert caught.value.partial.texts == {None: "a\ufffd", 1: "\ufffd"}


@pytest.mark.parametrize("said", [[Text("\ud83d"), ConnectionLost("cut")], [Text("\ud83d")]], ids=["cut", "ended"])
def test_a_lone_surrogate_does_not_prevent_a_retry(said: list[Any], cut: Cut) -> None:
    driver = FlowDriver([said, [Text("\U0001f408"), Done()]], cut)
    driver.run(query_flow(HELLO, URL, retry=RetryPolicy(attempts=2, failures=True, delay=0.0)))
    assert driver.events == [Text("\U0001f408"), Done()]
