"""Asking a model that calls tools, driven by canned answers and a clock that only counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import attrs
import pytest

from poeproto import (
    CallBudgetSpent,
    ConnectFailed,
    ConnectionLost,
    Data,
    Done,
    Error,
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
    ReplyFold,
    RetryPolicy,
    Text,
    ToolCall,
    ToolDefinition,
    ToolResult,
    UndeclaredDependency,
    decode_request,
    encode_event,
)
from poeproto.flows import CallBudget, tool_rounds_flow
from poeproto.testing import TEST_ACCESS_KEY, FlowDriver, bytewise
from poeproto.vocabulary.tools import FunctionCall, FunctionDefinition

URL = "http://bot.invalid/"
HELLO = QueryRequest([Message("user", "hello")])
BUSY = HttpResponse(503, [(b"retry-after", b"3")], b"busy")
ALWAYS = RetryPolicy(attempts=3, failures=True, error_events=True, restart=True)
Cut = Callable[[bytes], Iterable[bytes]]
TOOLS = [ToolDefinition(FunctionDefinition("weather", "", {"type": "object", "properties": {}}))]


@pytest.fixture(params=[False, True], ids=["whole", "bytewise"])
def cut(request: pytest.FixtureRequest) -> Cut:
    return bytewise if request.param else lambda data: [data]


def chunk(*calls: tuple[int, str, str, str], content: str | None = None, reason: str | None = None) -> Json:
    pieces = [
        {"index": index, "id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}
        for index, id_, name, arguments in calls
    ]
    delta = {"content": content, "tool_calls": pieces or None}
    return Json({"choices": [{"delta": delta, "finish_reason": reason}]})


def asked(request: HttpRequest) -> QueryRequest:
    assert isinstance(request.body, bytes)
    decoded = decode_request(request.body)
    assert isinstance(decoded, QueryRequest)
    return decoded


def test_tools_are_run_and_their_results_go_back(cut: Cut) -> None:
    first: list[Any] = [
        chunk((0, "c1", "weather", '{"at":')), chunk((1, "c2", "weather", "")),
        chunk((0, "", "", '"Rome"}')), chunk(reason="tool_calls"), Done(),
    ]  # fmt: skip
    second: list[Any] = [Meta(), chunk((0, "c3", "weather", "{}"), content="Let me see. "), Done()]
    third: list[Any] = [Meta(), chunk(content="Sunny"), Text("."), Json({"usage": {"tokens": 3}}), Done()]
    driver, reply = FlowDriver([first, second, third], cut), ReplyFold()
    fold = driver.run(tool_rounds_flow(HELLO, URL, TOOLS, access_key=TEST_ACCESS_KEY, fold=reply))
    assert fold is reply
    one = ToolCall("c1", FunctionCall("weather", '{"at":"Rome"}'))
    two, three = ToolCall("c2", FunctionCall("weather")), ToolCall("c3", FunctionCall("weather", "{}"))
    assert driver.rounds == [[one, two], [three]]
    assert driver.events == [
        Meta(), Text("Let me see. "), Text("Sunny"), Text("."), Json({"usage": {"tokens": 3}}), Done(),
    ]  # fmt: skip
    assert fold.final_text() == "Let me see. Sunny."
    assert {request.get("authorization") for request in driver.requests} == {f"Bearer {TEST_ACCESS_KEY}"}
    queries = [asked(request) for request in driver.requests]
    assert [query.tools for query in queries] == [TOOLS] * 3
    assert [query.tool_calls for query in queries] == [None, [one, two], [one, two, three]]
    assert queries[2].tool_results == [ToolResult(id_, "weather", f"result of {id_}") for id_ in ("c1", "c2", "c3")]


def frame(reason: str | None = None, **delta: Any) -> Json:
    return Json({"choices": [{"delta": delta, "finish_reason": reason}]})


def test_chunks_with_other_content_are_delivered_unchanged() -> None:
    others = [
        frame(refusal="I cannot"), frame("length"), Json({"choices": [], "usage": {"total_tokens": 3}}),
        frame(reasoning_content="hm"),
    ]  # fmt: skip
    driver = FlowDriver([[frame(role="assistant", content=""), *others, chunk(content="x"), Done()]])
    fold = driver.run(tool_rounds_flow(HELLO, URL, TOOLS))
    assert driver.events == [*others, Text("x"), Done()]
    assert fold.json == others


def test_a_chunk_around_tool_calls_is_not_delivered() -> None:
    first: list[Any] = [frame(role="assistant"), chunk((0, "c1", "weather", "{}")), frame("tool_calls"), Done()]
    driver = FlowDriver([first, [Text("x"), Done()]])
    driver.run(tool_rounds_flow(HELLO, URL, TOOLS))
    assert driver.events == [Text("x"), Done()]


def test_events_before_an_invalid_chunk_are_delivered(cut: Cut) -> None:
    good: list[Any] = [Meta(), Text("a"), chunk(content="b")]
    body = b"".join(encode_event(event) for event in [*good, Json({"choices": [3]}), Text("not this"), Done()])
    driver = FlowDriver([HttpResponse(200, [("content-type", "text/event-stream")], body)], cut)
    with pytest.raises(RemoteProtocolError) as caught:
        driver.run(tool_rounds_flow(HELLO, URL, TOOLS, retry=ALWAYS))
    assert driver.events == [Meta(), Text("a"), Text("b")]
    assert caught.value.path == "choices[0]"
    assert caught.value.partial is not None
    assert caught.value.partial.text == "ab"


def test_an_empty_chunk_is_an_answer_where_there_is_no_other() -> None:
    empty = frame(content="")
    driver = FlowDriver([[Meta(), frame(role="assistant"), empty, Done()]])
    assert driver.run(tool_rounds_flow(HELLO, URL, TOOLS)).final_text() == ""
    assert driver.events == [Meta(), empty, Done()]
    failed = FlowDriver([[empty, Error(text="oh")]])
    failed.run(tool_rounds_flow(HELLO, URL, TOOLS))
    assert failed.events == [Error(text="oh")]


def test_a_reply_without_any_chunk_or_answer_is_unchanged() -> None:
    driver = FlowDriver([[Meta(), Done()]])
    with pytest.raises(IncompleteReply):
        driver.run(tool_rounds_flow(HELLO, URL, TOOLS)).final_text()
    assert driver.events == [Meta(), Done()]


def test_an_empty_chunk_does_not_prevent_a_retry() -> None:
    driver = FlowDriver([[frame(role="assistant"), ConnectionLost("cut")], [Text("x"), Done()]])
    driver.run(tool_rounds_flow(HELLO, URL, TOOLS, retry=RetryPolicy(failures=True)))
    assert driver.events == [Text("x"), Done()]


def test_halves_of_a_character_in_chunks_are_joined_index_by_index(cut: Cut) -> None:
    def half(content: str, index: int | None = None) -> Json:
        return Json(chunk(content=content).data, index)

    said: list[Any] = [
        half("a\ud83d"), half("\ud83d", 1), half("\udc08"), Text("b", 1), half("\ud83d"), half("c"),
        half("\ud83d"), Done(),
    ]  # fmt: skip
    driver = FlowDriver([said], cut)
    driver.run(tool_rounds_flow(HELLO, URL, TOOLS))
    assert driver.events == [
        Text("a"), Text("\U0001f408"), Text("\ufffdb", 1), Text("\ufffdc"), Text("\ufffd"), Done(),
    ]  # fmt: skip
    for event in driver.events:
        encode_event(event)
    again = FlowDriver([[half("\ud83d"), Error(text="oh")]])
    again.run(tool_rounds_flow(HELLO, URL, TOOLS))
    assert again.events == [Text("\ufffd"), Error(text="oh")]


@pytest.mark.parametrize("failure", [ConnectionLost("cut"), Json({"choices": [3]}), None], ids=repr)
def test_a_partial_reply_ends_with_its_lone_surrogate(failure: Any, cut: Cut) -> None:
    said: list[Any] = [chunk(content="a\ud83d"), *([failure] if failure else [])]
    driver = FlowDriver([said], cut)
    with pytest.raises(PoeprotoError) as caught:
        driver.run(tool_rounds_flow(HELLO, URL, TOOLS))
    assert driver.events == [Text("a"), Text("\ufffd")]
    assert caught.value.partial is not None
    assert caught.value.partial.text == "a\ufffd"


def test_each_attempt_collects_its_own_tool_calls() -> None:
    broken: list[Any] = [chunk((0, "c1", "weather", '{"a')), ConnectionLost("cut")]
    driver = FlowDriver([broken, [chunk((0, "c2", "weather", "{}")), Done()], [Text("x"), Done()]])
    driver.run(tool_rounds_flow(HELLO, URL, TOOLS, retry=RetryPolicy(failures=True)))
    assert driver.rounds == [[ToolCall("c2", FunctionCall("weather", "{}"))]]


ROUND_ONE: list[Any] = [Text("Let me look. "), Data("kept"), chunk((0, "c1", "weather", "{}")), Done()]


@pytest.mark.parametrize("failure", [ConnectFailed("no"), BUSY])
def test_output_of_one_round_does_not_prevent_a_retry_of_the_next(failure: PoeprotoError | HttpResponse) -> None:
    driver = FlowDriver([ROUND_ONE, failure, [Text("It is 5."), Done()]])
    fold = driver.run(tool_rounds_flow(HELLO, URL, TOOLS))
    assert len(driver.requests) == 3
    assert driver.events == [Text("Let me look. "), Data("kept"), Text("It is 5."), Done()]
    assert fold.final_text() == "Let me look. It is 5."


def test_a_restart_returns_to_the_beginning_of_the_round() -> None:
    cut: list[Any] = [Text("It is"), Text("x", 1), ConnectionLost("cut")]
    driver = FlowDriver([ROUND_ONE, cut, [ConnectionLost("cut")], [Text("It is 5."), Done()]])
    fold = driver.run(tool_rounds_flow(HELLO, URL, TOOLS, retry=ALWAYS))
    assert driver.events[4:] == [ReplaceResponse("Let me look. "), ReplaceResponse("", 1), Text("It is 5."), Done()]
    assert fold.texts == {None: "Let me look. It is 5.", 1: ""}


def test_an_error_ends_the_rounds() -> None:
    driver = FlowDriver([[chunk((0, "c1", "weather", "{}")), Error(text="oh")]])
    driver.run(tool_rounds_flow(HELLO, URL, TOOLS))
    assert (driver.rounds, driver.events) == ([], [Error(text="oh")])


def test_rounds_are_bounded() -> None:
    again: list[Any] = [chunk((0, "c", "weather", "{}")), Done()]
    driver = FlowDriver([again] * 3)
    with pytest.raises(LimitExceeded, match="more than 2 rounds") as caught:
        driver.run(tool_rounds_flow(HELLO, URL, TOOLS, limits=Limits(tool_rounds=2)))
    assert caught.value.limit == "tool_rounds"
    assert caught.value.partial is not None
    assert len(driver.rounds) == 2


def test_the_calls_of_a_round_are_bounded() -> None:
    driver = FlowDriver([[chunk((0, "c1", "weather", "{}"), (1, "c2", "weather", "{}")), Done()]])
    with pytest.raises(LimitExceeded) as caught:
        driver.run(tool_rounds_flow(HELLO, URL, TOOLS, limits=Limits(tool_calls=1)))
    assert (caught.value.limit, driver.rounds) == ("tool_calls", [])


def test_each_round_is_within_the_budget() -> None:
    again: list[Any] = [chunk((0, "c", "weather", "{}"), content="Hm. "), Done()]
    budget = CallBudget({"Model": 2})
    driver = FlowDriver([again] * 3)
    with pytest.raises(CallBudgetSpent, match="'Model'") as caught:
        driver.run(tool_rounds_flow(HELLO, URL, TOOLS, bot_name="Model", budget=budget))
    assert (len(driver.requests), budget.left("Model")) == (2, 0)
    assert caught.value.partial is not None
    assert caught.value.partial.text == "Hm. Hm. "


@pytest.mark.parametrize("half", [{"budget": CallBudget({"": 1})}, {"bot_name": "Model"}])
def test_a_budget_is_for_a_name(half: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="bot_name and budget"):
        FlowDriver([]).run(tool_rounds_flow(HELLO, URL, TOOLS, **half))


def test_a_negative_call_count_is_not_a_dependency() -> None:
    budget = CallBudget({"Model": -1})
    assert budget.remaining == {"Model": 0}
    with pytest.raises(CallBudgetSpent):
        budget.spend("Model")


def test_a_bot_that_was_not_declared_is_not_called() -> None:
    budget = CallBudget({"Model": 1})
    driver = FlowDriver([])
    with pytest.raises(UndeclaredDependency, match="'Other'"):
        driver.run(tool_rounds_flow(HELLO, URL, TOOLS, bot_name="Other", budget=budget))
    assert (budget.left("Other"), budget.left("Model")) == (0, 1)
    assert repr(budget) == "CallBudget({'Model': 1})"


def test_a_bot_may_declare_more_and_spent_calls_stay_spent() -> None:
    budget = CallBudget({"Model": 1, "Old": 1})
    budget.spend("Model")
    assert budget.remaining == {"Model": 0, "Old": 1}
    budget.declare({"Model": 3, "New": 1})
    assert budget.remaining == {"Model": 2, "New": 1}
    budget.declare({})
    with pytest.raises(UndeclaredDependency):
        budget.spend("Model")
    budget.declare({"Model": 0})
    assert budget.left("Model") == 0


def test_earlier_results_in_the_query_are_kept() -> None:
    earlier = attrs.evolve(
        HELLO, tool_calls=[ToolCall("c0", FunctionCall("weather"))], tool_results=[ToolResult("c0", "weather", "rain")]
    )
    driver = FlowDriver([[chunk((0, "c1", "weather", "{}")), Done()], [Text("x"), Done()]])
    driver.run(tool_rounds_flow(earlier, URL, TOOLS))
    assert [call.id for call in asked(driver.requests[1]).tool_calls or []] == ["c0", "c1"]
    assert [result.tool_call_id for result in asked(driver.requests[1]).tool_results or []] == ["c0", "c1"]
