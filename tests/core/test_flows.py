"""Calls of several steps, driven by canned answers and a clock that only counts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import attrs
import pytest

from poeproto import (
    BotError,
    CallBudgetSpent,
    ConnectFailed,
    ConnectionLost,
    Data,
    Done,
    Error,
    Event,
    File,
    HttpRequest,
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
    RequestRefused,
    ResponseHead,
    SuggestedReply,
    Text,
    ToolCall,
    ToolDefinition,
    ToolResult,
    UndeclaredDependency,
    decode_request,
    encode_event,
)
from poeproto.flows import (
    CallBudget,
    CloseResponse,
    Deliver,
    Flow,
    ReceiveData,
    RetryPolicy,
    RunTools,
    SendRequest,
    Wait,
    call_flow,
    query_flow,
    tool_rounds_flow,
)
from poeproto.testing import TEST_ACCESS_KEY, bytewise
from poeproto.tools import FunctionCall, FunctionDefinition

URL = "http://bot.invalid/"
HELLO = QueryRequest([Message("user", "hello")])
STREAM = [(b"content-type", b"text/event-stream")]
BUSY = HttpResponse(503, [(b"retry-after", b"3")], b"busy")
ALWAYS = RetryPolicy(attempts=3, failures=True, error_events=True, restart=True)
# What becomes of one attempt: its answer, or the failure of its connection.
Canned = HttpResponse | list[Event | Exception] | Exception


class Driver:
    """Plays the I/O: answers each request from the list, and writes down all that happens."""

    def __init__(self, answers: Iterable[Canned], *, cut: bool = False) -> None:
        self._answers = iter(answers)
        self._cut = cut
        self._parts: Iterator[bytes | Exception] = iter(())
        self.requests: list[HttpRequest] = []
        self.events: list[Event] = []
        self.waits: list[float] = []
        self.rounds: list[list[ToolCall]] = []
        self.closed = 0

    def run(self, flow: Flow[Any]) -> Any:
        outcome: Any = None
        failure: Exception | None = None
        while True:
            try:
                effect = flow.send(outcome) if failure is None else flow.throw(failure)
            except StopIteration as stop:
                return stop.value
            outcome, failure = None, None
            try:
                outcome = self._perform(effect)
            except PoeprotoError as exc:
                failure = exc

    def _perform(self, effect: Any) -> Any:
        match effect:
            case SendRequest():
                return self._send(effect.request)
            case ReceiveData():
                part = next(self._parts, None)
                if isinstance(part, Exception):
                    raise part
                return part
            case CloseResponse():
                self.closed += 1
                self._parts = iter(())
            case Wait():
                self.waits.append(effect.seconds)
            case Deliver():
                self.events.append(effect.event)
            case _:
                assert isinstance(effect, RunTools)
                self.rounds.append(effect.calls)
                return [
                    ToolResult(c.id, c.function.name if c.function else "", f"result of {c.id}") for c in effect.calls
                ]
        return None

    def _send(self, request: HttpRequest) -> ResponseHead:
        self.requests.append(request)
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, HttpResponse):
            self._parts = iter(self._split(answer.body))
            return ResponseHead(answer.status, answer.headers)
        self._parts = iter(
            [
                part
                for item in answer
                for part in ([item] if isinstance(item, Exception) else self._split(encode_event(item)))
            ]
        )
        return ResponseHead(200, STREAM)

    def _split(self, body: bytes) -> list[bytes | Exception]:
        return [*bytewise(body)] if self._cut else [body]


@pytest.fixture(params=[False, True], ids=["whole", "bytewise"])
def cut(request: pytest.FixtureRequest) -> bool:
    return request.param


def chunk(*calls: tuple[int, str, str, str], content: str | None = None, reason: str | None = None) -> Json:
    pieces = [
        {"index": index, "id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}
        for index, id_, name, arguments in calls
    ]
    delta = {"content": content, "tool_calls": pieces or None}
    return Json({"choices": [{"delta": delta, "finish_reason": reason}]})


# --- one query


def test_a_reply_is_delivered_as_it_comes(cut: bool) -> None:
    events: list[Event | Exception] = [Meta(), Text("hel"), Text("lo"), Text("two", 1), Done()]
    driver = Driver([events], cut=cut)
    fold = driver.run(query_flow(HELLO, URL, access_key=TEST_ACCESS_KEY))
    assert driver.events == events
    assert fold.texts == {None: "hello", 1: "two"}
    assert fold.done
    (sent,) = driver.requests
    assert decode_request(_body(sent)) == HELLO
    assert sent.get("authorization") == f"Bearer {TEST_ACCESS_KEY}"
    assert (driver.waits, driver.closed) == ([], 0)


def _body(request: HttpRequest) -> bytes:
    assert isinstance(request.body, bytes)
    return request.body


@pytest.mark.parametrize("failure", [ConnectFailed("no"), BUSY, HttpResponse(429, [], b"")])
def test_where_nothing_was_done_there_is_a_second_try_and_no_third(failure: Canned, cut: bool) -> None:
    driver = Driver([failure, [Text("x"), Done()]], cut=cut)
    assert driver.run(query_flow(HELLO, URL)).text == "x"
    assert driver.waits == [3.0 if failure is BUSY else 0.5]
    assert driver.requests[0] == driver.requests[1]
    driver = Driver([failure, failure, [Text("x"), Done()]], cut=cut)
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
def test_where_something_may_have_been_done_there_is_one_try_unless_asked(failure: Any, error: type[Exception]) -> None:
    driver = Driver([failure])
    with pytest.raises(error):
        driver.run(query_flow(HELLO, URL))
    assert driver.waits == []
    driver = Driver([failure, [Text("x"), Done()]])
    if error is RequestRefused and failure.status == 401:
        with pytest.raises(error):
            driver.run(query_flow(HELLO, URL, retry=ALWAYS))
    else:
        assert driver.run(query_flow(HELLO, URL, retry=ALWAYS)).text == "x"


def test_a_wait_that_is_too_long_is_the_callers_to_decide() -> None:
    busy = HttpResponse(429, [(b"retry-after", b"61")])
    driver = Driver([busy])
    with pytest.raises(RequestRefused) as caught:
        driver.run(query_flow(HELLO, URL))
    assert caught.value.retry_after == "61"
    patient = Driver([busy, [Text("x"), Done()]])
    patient.run(query_flow(HELLO, URL, retry=RetryPolicy(longest_wait=61)))
    assert patient.waits == [61.0]


def test_an_error_event_ends_the_reply_and_is_delivered() -> None:
    driver = Driver([[Text("x"), Error(text="oh"), Done()]])
    fold = driver.run(query_flow(HELLO, URL))
    assert driver.events == [Text("x"), Error(text="oh")]
    with pytest.raises(BotError):
        fold.final_text()


def test_an_error_event_that_allows_it_is_tried_again_when_asked() -> None:
    driver = Driver([[Error(text="oh")], [Text("x"), Done()]])
    assert driver.run(query_flow(HELLO, URL, retry=ALWAYS)).final_text() == "x"
    assert (driver.waits, driver.closed) == ([0.5], 1)
    stubborn = Driver([[Error(allow_retry=False)]])
    stubborn.run(query_flow(HELLO, URL, retry=ALWAYS))
    assert stubborn.events == [Error(allow_retry=False)]


def test_after_output_there_is_no_other_try() -> None:
    driver = Driver([[Text("x"), ConnectionLost("cut")]])
    with pytest.raises(ConnectionLost) as caught:
        driver.run(query_flow(HELLO, URL, retry=RetryPolicy(failures=True)))
    assert caught.value.partial is not None
    assert caught.value.partial.text == "x"


def test_a_meta_alone_is_no_output_and_is_not_repeated() -> None:
    driver = Driver([[Meta(), ConnectionLost("cut")], [Meta(), Text("x"), Done()]])
    driver.run(query_flow(HELLO, URL, retry=RetryPolicy(failures=True)))
    assert driver.events == [Meta(), Text("x"), Done()]


def test_a_restart_clears_what_was_shown() -> None:
    driver = Driver([[Text("old"), Text("too", 1), ConnectionLost("cut")], [Text("new"), Done()]])
    fold = driver.run(query_flow(HELLO, URL, retry=ALWAYS))
    assert driver.events == [
        Text("old"), Text("too", 1), ReplaceResponse(""), ReplaceResponse("", 1), Text("new"), Done(),
    ]  # fmt: skip
    assert fold.texts == {None: "new", 1: ""}


def test_a_text_that_was_cleared_is_not_cleared_again() -> None:
    cut = ConnectionLost("cut")
    driver = Driver([[Text("a"), cut], [cut], [Text("b"), Done()]])
    driver.run(query_flow(HELLO, URL, retry=ALWAYS))
    assert driver.events == [Text("a"), ReplaceResponse(""), Text("b"), Done()]


@pytest.mark.parametrize(
    "event",
    [File("u", "n", "c"), Data("x"), Json({"a": 1}), SuggestedReply("x")],
    ids=lambda event: type(event).__name__,
)
def test_what_cannot_be_taken_back_is_not_followed_by_a_restart(event: Event) -> None:
    driver = Driver([[Text("a"), event, ConnectionLost("cut")], [Text("b"), Done()]])
    with pytest.raises(ConnectionLost):
        driver.run(query_flow(HELLO, URL, retry=ALWAYS))
    assert driver.events == [Text("a"), event]


def test_a_breach_of_the_protocol_is_never_tried_again() -> None:
    broken = HttpResponse(200, STREAM, b'event: text\ndata: {"text": "a"}\n\nevent: text\ndata: {}\n\n')
    driver = Driver([broken])
    with pytest.raises(RemoteProtocolError) as caught:
        driver.run(query_flow(HELLO, URL, retry=ALWAYS))
    assert driver.events == [Text("a")]
    assert caught.value.partial is not None
    assert caught.value.partial.text == "a"


def test_what_no_policy_covers_is_given_up() -> None:
    assert ALWAYS.wait_before_retry(RemoteProtocolError("bad"), None, 1) is None
    assert ALWAYS.wait_before_retry(ConnectionLost("cut"), None, 3) is None
    assert ALWAYS.wait_before_retry(ConnectionLost("cut"), None, 2) == 0.5


def test_a_flow_that_is_given_up_asks_for_nothing_more() -> None:
    flow = query_flow(HELLO, URL)
    next(flow)
    flow.close()
    with pytest.raises(StopIteration):
        next(flow)


# --- tools

TOOLS = [ToolDefinition(FunctionDefinition("weather"))]


def asked(request: HttpRequest) -> QueryRequest:
    decoded = decode_request(_body(request))
    assert isinstance(decoded, QueryRequest)
    return decoded


def test_tools_are_run_and_their_results_go_back(cut: bool) -> None:
    first: list[Any] = [
        chunk((0, "c1", "weather", '{"at":')), chunk((1, "c2", "weather", "")),
        chunk((0, "", "", '"Rome"}')), chunk(reason="tool_calls"), Done(),
    ]  # fmt: skip
    second: list[Any] = [Meta(), chunk((0, "c3", "weather", "{}"), content="Let me see. "), Done()]
    third: list[Any] = [Meta(), chunk(content="Sunny"), Text("."), Json({"usage": {"tokens": 3}}), Done()]
    driver = Driver([first, second, third], cut=cut)
    fold = driver.run(tool_rounds_flow(HELLO, URL, TOOLS))
    one = ToolCall("c1", FunctionCall("weather", '{"at":"Rome"}'))
    two, three = ToolCall("c2", FunctionCall("weather")), ToolCall("c3", FunctionCall("weather", "{}"))
    assert driver.rounds == [[one, two], [three]]
    assert driver.events == [
        Meta(), Text("Let me see. "), Text("Sunny"), Text("."), Json({"usage": {"tokens": 3}}), Done(),
    ]  # fmt: skip
    assert fold.final_text() == "Let me see. Sunny."
    queries = [asked(request) for request in driver.requests]
    assert [query.tools for query in queries] == [TOOLS] * 3
    assert [query.tool_calls for query in queries] == [None, [one, two], [one, two, three]]
    assert queries[2].tool_results == [ToolResult(id_, "weather", f"result of {id_}") for id_ in ("c1", "c2", "c3")]


def test_each_attempt_gathers_its_own_calls() -> None:
    broken: list[Any] = [chunk((0, "c1", "weather", '{"a')), ConnectionLost("cut")]
    driver = Driver([broken, [chunk((0, "c2", "weather", "{}")), Done()], [Text("x"), Done()]])
    driver.run(tool_rounds_flow(HELLO, URL, TOOLS, retry=RetryPolicy(failures=True)))
    assert driver.rounds == [[ToolCall("c2", FunctionCall("weather", "{}"))]]


def test_an_error_ends_the_rounds() -> None:
    driver = Driver([[chunk((0, "c1", "weather", "{}")), Error(text="oh")]])
    driver.run(tool_rounds_flow(HELLO, URL, TOOLS))
    assert (driver.rounds, driver.events) == ([], [Error(text="oh")])


def test_rounds_are_bounded() -> None:
    again: list[Any] = [chunk((0, "c", "weather", "{}")), Done()]
    driver = Driver([again] * 3)
    with pytest.raises(LimitExceeded, match="more than 2 rounds") as caught:
        driver.run(tool_rounds_flow(HELLO, URL, TOOLS, limits=Limits(tool_rounds=2)))
    assert caught.value.limit == "tool_rounds"
    assert caught.value.partial is not None
    assert len(driver.rounds) == 2


def test_each_round_is_within_the_budget() -> None:
    again: list[Any] = [chunk((0, "c", "weather", "{}"), content="Hm. "), Done()]
    budget = CallBudget({"Model": 2})
    driver = Driver([again] * 3)
    with pytest.raises(CallBudgetSpent, match="'Model'") as caught:
        driver.run(tool_rounds_flow(HELLO, URL, TOOLS, bot_name="Model", budget=budget))
    assert (len(driver.requests), budget.left("Model")) == (2, 0)
    assert caught.value.partial is not None
    assert caught.value.partial.text == "Hm. Hm. "


def test_a_bot_that_was_not_declared_is_not_called() -> None:
    budget = CallBudget({"Model": 1})
    driver = Driver([])
    with pytest.raises(UndeclaredDependency, match="'Other'"):
        driver.run(tool_rounds_flow(HELLO, URL, TOOLS, bot_name="Other", budget=budget))
    assert (budget.left("Other"), budget.left("Model")) == (0, 1)
    assert repr(budget) == "CallBudget({'Model': 1})"


def test_earlier_results_in_the_query_are_kept() -> None:
    earlier = attrs.evolve(
        HELLO, tool_calls=[ToolCall("c0", FunctionCall("weather"))], tool_results=[ToolResult("c0", "weather", "rain")]
    )
    driver = Driver([[chunk((0, "c1", "weather", "{}")), Done()], [Text("x"), Done()]])
    driver.run(tool_rounds_flow(earlier, URL, TOOLS))
    assert [call.id for call in asked(driver.requests[1]).tool_calls or []] == ["c0", "c1"]
    assert [result.tool_call_id for result in asked(driver.requests[1]).tool_results or []] == ["c0", "c1"]


# --- other calls


def test_a_call_is_answered_whole(cut: bool) -> None:
    response = HttpResponse(200, [], json.dumps({"a": 1}).encode())
    driver = Driver([BUSY, response], cut=cut)
    assert driver.run(call_flow(HttpRequest("POST", URL))) == response
    assert driver.waits == [3.0]


def test_a_refused_call_is_answered_too() -> None:
    refusal = HttpResponse(404, [], b"no such bot")
    assert Driver([refusal]).run(call_flow(HttpRequest("POST", URL))) == refusal
    assert Driver([BUSY, BUSY]).run(call_flow(HttpRequest("POST", URL))) == BUSY


def test_a_call_fails_with_its_connection() -> None:
    driver = Driver([ConnectFailed("no"), ConnectFailed("no")])
    with pytest.raises(ConnectFailed):
        driver.run(call_flow(HttpRequest("POST", URL)))
    assert driver.waits == [0.5]
    with pytest.raises(ConnectionLost):
        Driver([[ConnectionLost("cut")]]).run(call_flow(HttpRequest("POST", URL)))


def test_an_answer_has_a_bound() -> None:
    with pytest.raises(LimitExceeded) as caught:
        Driver([HttpResponse(200, [], b"x" * 11)]).run(
            call_flow(HttpRequest("POST", URL), limits=Limits(answer_size=10))
        )
    assert caught.value.limit == "answer_size"
