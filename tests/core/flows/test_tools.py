from __future__ import annotations

import functools
import json
import random
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poeproto import (
    FunctionCall,
    FunctionDefinition,
    InvalidValue,
    Json,
    LimitExceeded,
    Limits,
    LocalProtocolError,
    RemoteProtocolError,
    ToolCall,
    ToolDefinition,
    ToolResult,
)
from poeproto.flows.tools import (
    ToolCallAggregator,
    as_tool_call,
    as_tool_definition,
    delta_text,
    parse_arguments,
    prepare_call,
    says_nothing,
    tool_as_dict,
    tool_call_deltas,
    tool_content,
    tool_error,
    tool_result,
    tools_by_name,
)
from poeproto.vocabulary.tools import CustomCall, FunctionCallDelta, ToolCallDelta


def chunk(*pieces: Any, **rest: Any) -> Json:
    return Json({"choices": [{"index": 0, "delta": {"tool_calls": list(pieces)}, **rest}]})


def piece(index: int | None, arguments: Any = "", *, id: str | None = None, name: str | None = None) -> Any:
    return {"index": index, "id": id, "function": {"name": name, "arguments": arguments}}


def gather(*chunks: Json) -> list[ToolCall]:
    aggregator = ToolCallAggregator()
    for each in chunks:
        aggregator.add(each)
    return aggregator.calls


def test_pieces_of_one_index_make_one_call() -> None:
    first = {"index": 0, "id": "c1", "type": "function", "function": {"name": "weather", "arguments": ""}}
    calls = gather(chunk(first), chunk(piece(0, '{"at":')), chunk(piece(0, '"Rome"}')))
    assert calls == [ToolCall("c1", FunctionCall("weather", '{"at":"Rome"}'))]


def test_pieces_may_be_interleaved_and_out_of_order() -> None:
    calls = gather(
        chunk(piece(1, "b", id="c1", name="g")),
        chunk(piece(0, "a", id="c0", name="f"), piece(1, "B")),
        chunk(piece(0, "A")),
    )
    assert calls == [ToolCall("c0", FunctionCall("f", "aA")), ToolCall("c1", FunctionCall("g", "bB"))]


def test_the_first_value_is_kept() -> None:
    calls = gather(
        chunk(piece(0, "{", id="c1", name="f")), chunk(piece(0, "}", id="", name="f")), chunk(piece(0, None))
    )
    assert calls == [ToolCall("c1", FunctionCall("f", "{}"))]


def test_an_id_or_a_name_may_be_late_or_absent() -> None:
    assert gather(chunk(piece(0, "{")), chunk(piece(0, "}", id="c", name="f"))) == [
        ToolCall("c", FunctionCall("f", "{}"))
    ]
    assert gather(chunk(piece(0, "{}"))) == [ToolCall("", FunctionCall("", "{}"))]


def test_complete_calls_without_an_index_are_separate_calls() -> None:
    one, two = {"id": "c1", "function": {"name": "f"}}, {"id": "c2", "function": {"name": "f", "arguments": "{}"}}
    bare = {"function": {"name": "g"}}
    assert gather(chunk(one, two), chunk({"id": "c1", "function": {"arguments": "{}"}}), chunk(bare, bare)) == [
        ToolCall("c1", FunctionCall("f", "{}")),
        ToolCall("c2", FunctionCall("f", "{}")),
        ToolCall("", FunctionCall("g")),
        ToolCall("", FunctionCall("g")),
    ]


def test_another_id_with_a_name_begins_another_call_under_the_same_index() -> None:
    calls = gather(
        chunk(piece(0, '{"q":', id="c1", name="f")),
        chunk(piece(0, '"a"}')),
        chunk(piece(0, '{"q":', id="c2", name="f"), piece(1, "{}", id="c4", name="g")),
        chunk(piece(0, '"b"}')),
        chunk(piece(0, " ", id="c1", name="f")),
        chunk(piece(0, " "), piece(0, "{}", id="c3", name="f")),
    )
    assert calls == [
        ToolCall("c1", FunctionCall("f", '{"q":"a"}  ')),
        ToolCall("c2", FunctionCall("f", '{"q":"b"}')),
        ToolCall("c3", FunctionCall("f", "{}")),
        ToolCall("c4", FunctionCall("g", "{}")),
    ]


def test_a_new_id_on_each_piece_does_not_begin_a_new_call() -> None:
    calls = gather(
        chunk(piece(0, "", id="x1", name="f")), chunk(piece(0, "{", id="x2")), chunk(piece(0, "}", id="x3", name=""))
    )
    assert calls == [ToolCall("x1", FunctionCall("f", "{}"))]


def test_calls_that_share_an_index_are_counted_one_by_one() -> None:
    aggregator = ToolCallAggregator(Limits(tool_calls=2))
    aggregator.add(chunk(piece(0, id="c1", name="f"), piece(0, id="c2", name="f")))
    with pytest.raises(LimitExceeded) as caught:
        aggregator.add(chunk(piece(0, id="c3", name="f")))
    assert caught.value.limit == "tool_calls"


def test_a_call_that_was_read_does_not_change() -> None:
    aggregator = ToolCallAggregator()
    aggregator.add(chunk({"index": 0, "id": "c", "function": {"name": "f"}, "x": 1}))
    (early,) = aggregator.calls
    aggregator.add(chunk({"index": 0, "y": 2}))
    assert early.extra == {"x": 1}
    assert aggregator.calls[0].extra == {"x": 1, "y": 2}


def test_answers_of_one_reply_are_kept_apart() -> None:
    one, two = chunk(piece(0, "1", id="a", name="f")), chunk(piece(0, "2", id="b", name="f"))
    calls = gather(Json(two.data, 1), Json(one.data, 0))
    assert [call.id for call in calls] == ["a", "b"]


def test_a_tool_of_another_type_is_kept() -> None:
    calls = gather(chunk({"index": 0, "id": "c", "type": "custom", "custom": {"name": "sql", "input": "x"}}))
    assert calls == [ToolCall("c", None, "custom", CustomCall("sql", "x"))]
    calls = gather(chunk({"index": 0, "id": "c", "type": "search", "search": {"name": "x"}}))
    assert calls == [ToolCall("c", None, "search", extra={"search": {"name": "x"}})]


def test_a_custom_call_arrives_in_parts() -> None:
    first = {"index": 0, "id": "c", "type": "custom", "custom": {"name": "sql", "input": ""}}
    parts = [{"index": 0, "custom": {"input": "select "}}, {"index": 0, "custom": {"input": "1", "name": None}}]
    assert gather(chunk(first), *map(chunk, parts)) == [ToolCall("c", None, "custom", CustomCall("sql", "select 1"))]
    assert gather(chunk({"index": 0, "custom": {"name": "sql"}})) == [ToolCall("", None, "custom", CustomCall("sql"))]


# --- dialects


def test_a_part_without_name_and_index_continues_the_latest_call() -> None:
    bare = {"function": {"arguments": "1}"}}
    calls = gather(chunk({"id": "a", "function": {"name": "f", "arguments": '{"a":'}}), chunk(bare))
    assert calls == [ToolCall("a", FunctionCall("f", '{"a":1}'))]
    calls = gather(
        chunk(piece(0, "{}", id="a", name="f"), piece(1, '{"b":', id="b", name="g")),
        chunk({"id": "new", **bare}),
        chunk({"function": {"name": "h"}}),
        chunk({"function": {"arguments": "{}"}}),
    )
    assert [call.function for call in calls] == [
        FunctionCall("f", "{}"),
        FunctionCall("g", '{"b":1}'),
        FunctionCall("h", "{}"),
    ]


@pytest.mark.parametrize("call_id", ["", None])
def test_complete_calls_of_one_index_are_separate_calls(call_id: str | None) -> None:
    calls = gather(*(chunk(piece(0, f'{{"c":{n}}}', id=call_id, name="f")) for n in (1, 2, 2)))
    assert [call.function for call in calls] == [FunctionCall("f", f'{{"c":{n}}}') for n in (1, 2, 2)]
    calls = gather(chunk(piece(0, "", id=call_id, name="f")), chunk(piece(0, "", id=call_id, name="g")))
    assert [call.function for call in calls] == [FunctionCall("f"), FunctionCall("g")]


@pytest.mark.parametrize(
    "arguments",
    ['{"c":1}', '{"c": "}"} ', '{"c":"\\\\"}', '{"c":"a\\"}{"}', '{"c":[{"d":{}}]}', "{}", '{"\\u007d":"{"}'],
)
def test_calls_of_one_index_are_separated_wherever_they_are_cut(arguments: str) -> None:
    whole = FunctionCall("f", arguments)
    for cut in range(len(arguments)):
        parts = [piece(0, arguments[:cut], name="f"), piece(0, arguments[cut:])]
        assert [call.function for call in gather(*map(chunk, parts * 3))] == [whole] * 3
        # ... with the name again in each part, too.
        if arguments[:cut].strip() and arguments[cut:].lstrip()[:1] != "{":
            parts[1]["function"]["name"] = "f"
            assert [call.function for call in gather(*map(chunk, parts * 3))] == [whole] * 3
    bytewise = [piece(0, character) for character in arguments]
    bytewise[0]["function"]["name"] = "f"
    assert [call.function for call in gather(*map(chunk, bytewise * 2))] == [whole] * 2


def test_a_name_that_is_repeated_without_arguments_begins_a_call_only_if_arguments_follow() -> None:
    assert gather(chunk(piece(0, "{}", name="f")), chunk(piece(0, "", name="f")), chunk(piece(0, " "))) == [
        ToolCall("", FunctionCall("f", "{} "))
    ]
    assert [call.function for call in gather(*(chunk(piece(0, "{}", name=name)) for name in ("f", "f", "g")))] == [
        FunctionCall("f", "{}"),
        FunctionCall("f", "{}"),
        FunctionCall("g", "{}"),
    ]


def test_parts_have_the_number_of_their_call_whatever_their_index() -> None:
    aggregator = ToolCallAggregator()
    whole = piece(7, "{}", id="c2", name="g")
    chunks = [chunk(piece(3, "{", name="f")), chunk(piece(3, "}")), chunk(whole), chunk(whole)]
    numbers = [number for each in chunks for number, _ in aggregator.add_numbered(each)]
    assert numbers == [0, 0, 1, None]
    assert [aggregator.name_of(0), aggregator.name_of(1)] == ["f", "g"]
    assert aggregator.add_numbered(Json({"choices": [{"message": {"tool_calls": [piece(None, "", name="h")]}}]})) == [
        (2, ToolCallDelta(function=FunctionCallDelta("h", "")))
    ]


def test_a_call_that_is_repeated_with_its_id_is_one_call() -> None:
    whole = chunk(piece(0, "{}", id="a", name="f"))
    assert gather(chunk(piece(0, "{", id="a", name="f")), chunk(piece(0, "}")), whole, whole) == [
        ToolCall("a", FunctionCall("f", "{}"))
    ]
    other = chunk(piece(0, '{"b":1}', id="a", name="f"))
    assert [call.function for call in gather(whole, other)] == [FunctionCall("f", "{}"), FunctionCall("f", '{"b":1}')]


def test_complete_calls_in_the_message_of_a_chunk_count() -> None:
    calls = [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        {"type": "function", "function": {"name": "f", "arguments": '{"b":1}'}},
    ]
    message = Json(
        {"choices": [{"message": {"role": "assistant", "tool_calls": calls}, "finish_reason": "tool_calls"}]}
    )
    expected = [ToolCall("a", FunctionCall("f", "{}")), ToolCall("", FunctionCall("f", '{"b":1}'))]
    assert gather(message) == expected
    assert says_nothing(message)
    aggregator = ToolCallAggregator()
    aggregator.add(chunk(piece(0, "{", id="a", name="f"), piece(0, "}"), piece(1, '{"b":1}', name="f")))
    assert aggregator.add(message) == []
    assert aggregator.calls == expected
    assert not says_nothing(Json({"choices": [{"message": {"content": "x"}}]}))


@pytest.mark.parametrize(
    "pieces",
    [
        [{"index": "0", "id": "7", "function": {"name": "f", "arguments": '{"a":[1]}'}}],
        [{"index": 0, "id": 7, "function": {"name": "f", "arguments": {"a": [1]}}}],
        {"index": 0, "id": "7", "function": {"name": "f", "arguments": '{"a":[1]}'}},
        {"0": {"index": 0, "id": "7", "function": {"name": "f", "arguments": '{"a":[1]}'}}},
    ],
)
def test_other_types_than_openais_are_read(pieces: Any) -> None:
    assert gather(Json({"choices": [{"delta": {"tool_calls": pieces}}]})) == [
        ToolCall("7", FunctionCall("f", '{"a":[1]}'))
    ]


def test_the_input_of_a_custom_call_may_be_an_object() -> None:
    assert gather(chunk({"custom": {"name": "f", "input": {"a": 1}}})) == [
        ToolCall("", None, "custom", CustomCall("f", '{"a":1}'))
    ]


def test_the_older_function_call_is_a_call() -> None:
    parts = [{"name": "f", "arguments": ""}, {"arguments": "{"}, {"arguments": "}"}]
    calls = gather(*(Json({"choices": [{"delta": {"function_call": part}}]}) for part in parts))
    assert calls == [ToolCall("", FunctionCall("f", "{}"))]


NO_CALLS: list[dict[str, Any]] = [
    {},
    {"usage": {"tokens": 3}},
    {"choices": []},
    {"choices": None},
    {"choices": [{"finish_reason": "stop"}]},
    {"choices": [{"delta": None}]},
    {"choices": [{"delta": {"content": None, "tool_calls": None, "refusal": None}}]},
    {"choices": [{"delta": {"tool_calls": []}}]},
    {"choices": [{"delta": {"tool_calls": {}}}]},
    {"choices": [{"message": None}]},
    {"choices": [{"message": {"tool_calls": {}, "function_call": None}}]},
]


@pytest.mark.parametrize("data", NO_CALLS, ids=json.dumps)
def test_a_chunk_may_have_no_calls_and_no_text(data: dict[str, Any]) -> None:
    assert tool_call_deltas(Json(data)) == []
    assert delta_text(Json(data)) == ""
    assert gather(Json(data)) == []


def test_text_arrives_in_chunks_too() -> None:
    assert delta_text(Json({"choices": [{"delta": {"content": "Hi"}}]})) == "Hi"


@pytest.mark.parametrize(
    ("data", "empty"),
    [
        ({"choices": [{"delta": {"role": "assistant", "content": "", "refusal": None}, "finish_reason": None}]}, True),
        ({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}, True),
        ({"choices": [{"delta": None}], "usage": None}, True),
        ({"choices": [{"finish_reason": "length"}]}, False),
        ({"choices": [{"delta": {"refusal": "I cannot"}}]}, False),
        ({"choices": [{"delta": {"content": "x"}}]}, False),
        ({"choices": [{"delta": {}}], "usage": {"total_tokens": 5}}, False),
        ({"choices": [], "usage": {"total_tokens": 5}}, False),
    ],
)
def test_some_chunks_are_empty(data: dict[str, Any], empty: bool) -> None:
    assert says_nothing(Json(data)) is empty


def test_calls_may_arrive_with_the_finish_reason() -> None:
    aggregator = ToolCallAggregator()
    assert aggregator.finish_reason is None
    deltas = aggregator.add(chunk(piece(0, "{}", id="c", name="f"), finish_reason="tool_calls"))
    assert deltas == [ToolCallDelta(0, "c", None, FunctionCallDelta("f", "{}"))]
    aggregator.add(Json({"choices": [{"delta": {}, "finish_reason": None}]}))
    assert aggregator.finish_reason == "tool_calls"
    assert aggregator.calls == [ToolCall("c", FunctionCall("f", "{}"))]


@pytest.mark.parametrize(
    ("data", "path", "message"),
    [
        ({"choices": {}}, "choices", "expected an array, got an object"),
        ({"choices": [3]}, "choices[0]", "expected an object, got a number"),
        ({"choices": [{"delta": "x"}]}, "choices[0].delta", "expected an object, got a string"),
        ({"choices": [{"delta": {"tool_calls": 1}}]}, "choices[0].delta.tool_calls", "expected an array, got a number"),
        (chunk(piece(0), None).data, "choices[0].delta.tool_calls[1]", "expected an object, got null"),
        (chunk(piece(0, 7)).data, "choices[0].delta.tool_calls[0].function.arguments", "expected str | null, got int"),
        (chunk({"index": "x"}).data, "choices[0].delta.tool_calls[0].index", "expected int | null, got str"),
        (chunk({"index": 2**53}).data, "choices[0].delta.tool_calls[0].index", f"beyond {2**53 - 1}"),
        (chunk({"id": True}).data, "choices[0].delta.tool_calls[0].id", "expected str | null, got bool"),
        (
            {"choices": [{"message": {"tool_calls": [7]}}]},
            "choices[0].message.tool_calls[0]",
            "expected an object, got a number",
        ),
        (
            {"choices": [{"delta": {"tool_calls": {"0": 7}}}]},
            "choices[0].delta.tool_calls[0]",
            "expected an object, got a number",
        ),
        ({"choices": [{"finish_reason": 1}]}, "choices[0].finish_reason", "expected a string, got a number"),
    ],
)
def test_an_invalid_chunk_is_refused_with_its_place(data: dict[str, Any], path: str, message: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        ToolCallAggregator().add(Json(data))
    assert (caught.value.path, str(caught.value)) == (path, f"{path}: {message}")


def test_text_of_another_type_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match=r"^choices\[0\]\.delta\.content: expected a string"):
        delta_text(Json({"choices": [{"delta": {"content": ["x"]}}]}))


def test_calls_and_arguments_have_bounds() -> None:
    aggregator = ToolCallAggregator(Limits(tool_calls=2, answer_size=5))
    aggregator.add(chunk(piece(0, "12345"), piece(1)))
    with pytest.raises(LimitExceeded) as caught:
        aggregator.add(chunk(piece(2)))
    assert caught.value.limit == "tool_calls"
    with pytest.raises(LimitExceeded) as caught:
        aggregator.add(chunk(piece(1, "6")))
    assert caught.value.limit == "answer_size"


@given(st.lists(st.text(), max_size=4), st.integers(0, 2**32))
def test_any_cutting_and_any_interleaving_give_the_same_calls(arguments: list[str], seed: int) -> None:
    order = random.Random(seed)
    expected = [ToolCall(f"c{index}", FunctionCall(f"f{index}", text)) for index, text in enumerate(arguments)]
    pieces = [[piece(index, "", id=f"c{index}", name=f"f{index}")] for index in range(len(arguments))]
    for index, text in enumerate(arguments):
        while text:
            length = order.randint(1, 3)
            pieces[index].append(piece(index, text[:length]))
            text = text[length:]
    chunks: list[Json] = []
    while any(pieces):
        queue = order.choice([queue for queue in pieces if queue])
        chunks.append(chunk(*[queue.pop(0) for _ in range(order.randint(1, len(queue)))]))
    assert gather(*chunks) == expected


# --- running


@pytest.mark.parametrize("written", ["", " \n", "{}"])
def test_empty_arguments_are_an_empty_dict(written: str) -> None:
    assert parse_arguments(ToolCall("c", FunctionCall("f", written))) == {}
    assert parse_arguments(ToolCall("c")) == {}


@pytest.mark.parametrize("written", ["[]", "{", "null", '"x"', "{'a': 1}"])
def test_other_arguments_than_an_object_are_refused(written: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        parse_arguments(ToolCall("c", FunctionCall("f", written)))
    assert caught.value.path == "arguments"


def weather(at: str) -> str:
    return at


def test_a_call_is_prepared() -> None:
    tools = tools_by_name([weather])
    assert prepare_call(tools, ToolCall("c", FunctionCall("weather", '{"at": "Rome"}'))) == (weather, {"at": "Rome"})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (ToolCall("c", FunctionCall("tides")), "there is no tool called 'tides'"),
        (ToolCall("c", FunctionCall("")), "there is no tool called ''"),
        (ToolCall("c", None, "custom"), "tools of the type 'custom' are not supported"),
        (ToolCall("c"), "tools of the type 'function' are not supported"),
        (ToolCall("c", FunctionCall("weather", "{")), "arguments: not valid JSON"),
    ],
)
def test_a_call_that_cannot_be_made_is_answered_with_the_reason(call: ToolCall, message: str) -> None:
    result = prepare_call({"weather": weather}, call)
    assert isinstance(result, ToolResult)
    assert result.tool_call_id == "c"
    assert json.loads(result.content)["error"].startswith(message)


def test_tools_have_names() -> None:
    assert tools_by_name({"forecast": weather}) == {"forecast": weather}
    with pytest.raises(ValueError, match="two tools are called 'weather'"):
        tools_by_name([weather, weather])
    with pytest.raises(ValueError, match="pass a dict"):
        tools_by_name([functools.partial(weather, "Rome")])
    with pytest.raises(TypeError, match=r"functions must be a list.* write \[weather\]"):
        tools_by_name(cast("Any", weather))
    with pytest.raises(TypeError, match=r"got 5; pass the function itself, not its result"):
        tools_by_name(cast("Any", [5]))


def test_a_tool_that_is_defined_has_a_function() -> None:
    forecast, custom = ToolDefinition(FunctionDefinition("forecast")), ToolDefinition(type="custom")
    assert tools_by_name({"forecast": weather}, [forecast, custom]) == {"forecast": weather}
    with pytest.raises(
        ValueError, match=r"the tool 'forecast' is defined, and no .*; the functions are 'weather': add"
    ):
        tools_by_name([weather], [forecast])
    with pytest.raises(ValueError, match="the functions are none: add"):
        tools_by_name([], [forecast])


CALL = ToolCall("c", FunctionCall("f"))


@pytest.mark.parametrize(
    ("value", "content"),
    [("as it is", "as it is"), ({"a": [1, None]}, '{"a":[1,null]}'), (None, "null"), (True, "true"), (1.5, "1.5")],
)
def test_a_result_is_text(value: object, content: str) -> None:
    assert tool_content(value) == content
    assert tool_result(CALL, value) == ToolResult("c", "f", content)


def test_a_result_without_a_form_is_an_error_the_model_can_read() -> None:
    assert "cannot be written as JSON" in json.loads(tool_result(CALL, {1, 2}).content)["error"]
    with pytest.raises(LocalProtocolError):
        tool_content({1, 2})
    assert tool_error(ToolCall("c"), "no").name == ""
    assert tool_error(ToolCall("c", None, "custom", CustomCall("sql")), "no").name == "sql"


WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
    "strict": True,
}


def test_a_tool_as_a_dict_is_read_and_written() -> None:
    tool = as_tool_definition(WEATHER)
    assert tool.function is not None
    assert (tool.function.name, tool.extra) == ("weather", {"strict": True})
    assert as_tool_definition(tool) is tool
    assert tool_as_dict(tool) == WEATHER
    call = as_tool_call({"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}})
    assert call == as_tool_call(call) == ToolCall("c1", FunctionCall("weather", "{}"))
    assert as_tool_call(tool_as_dict(call)) == call


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"function": {}}, "function.name"),
        ({"function": {"name": 5}}, "function.name"),
        ({"name": "weather", "parameters": {}}, "function"),  # as of OpenAI's Responses API
        ({"type": "custom", "name": "weather"}, "custom"),
    ],
)
def test_a_dict_that_is_not_a_tool(given: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        as_tool_definition(given)
    assert caught.value.path == path
    with pytest.raises(InvalidValue, match=r"^id: missing$"):
        as_tool_call({})
    with pytest.raises(InvalidValue, match=r"^function: missing; expected a dict as of OpenAI's Chat Completions: {"):
        as_tool_call({"id": "c1", "name": "weather"})
    assert as_tool_definition({"type": "later", "name": "weather"}).type == "later"
