"""Fast path and general path of the codec, side by side: they give the same values and raise the same errors."""

from __future__ import annotations

import enum
import json
import math
import typing
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from poeproto import (
    Attachment,
    Error,
    Event,
    FunctionCall,
    FunctionDefinition,
    Json,
    LocalProtocolError,
    Message,
    QueryRequest,
    RemoteProtocolError,
    ToolCall,
    ToolDefinition,
    ToolResult,
    UnknownRequest,
    decode_event,
    decode_request,
    encode_event,
    encode_request,
)
from poeproto.schemas import event_payload
from poeproto.testing import sample_query, sample_reply
from poeproto.vocabulary.events import EVENT_CLASSES, is_index
from poeproto.vocabulary.field_types import options
from poeproto.wire.codec import (
    REQUEST_CLASSES,
    _decode_any_event,
    _decode_any_request,
    _encode_any_event,
    _encoders,
    _query_decoder,
)
from poeproto.wire.fast_codec import fast_decoder, fast_structurer
from poeproto.wire.json import dumps, loads
from poeproto.wire.structure import structure

from ...support.vectors import Case, cases, name_of, wire_of

FAST_EVENT_CLASSES = [cls for cls in EVENT_CLASSES.values() if cls is not Json]


def outcome(read: Callable[[], object]) -> object:
    """Everything observable about a value, types of numbers included, or about an error."""
    try:
        value = read()
    except RemoteProtocolError as exc:
        return str(exc), exc.path
    except LocalProtocolError as exc:
        return str(exc)
    return type(value), repr(value)


# --- JSON for a class, nearly valid: piece by piece, the writer decides whether to keep to the class

BY_TYPE: dict[Any, list[str]] = {
    str: ['""', '"a"', '"query"', '"é\\n🐈"', '"\\u0061\\"\\\\"'],
    int: ["0", "7", "-1", "123456789012345678901234567890", "7.0", "-0.0", "1.7e15"],
    float: ["0", "-0", "1.5", "-0.0", "1e2", "12345678901234567890", "1e-400"],
    bool: ["true", "false"],
    type(None): ["null"],
}
BY_TYPE[Any] = [
    *(text for texts in BY_TYPE.values() for text in texts),
    *("[]", "{}", '[1, "a", [null]]', '{"a": {"b": [{"c": 1.0}]}}', '{"a": 1, "b": 2, "a": 3}'),
]
ODD = [
    *BY_TYPE[Any],
    *('"\\ud83d"', '{"\\ud83d": 1}', '{"a": "\\udc08"}', '"\\ud83d\\udc08"', '"\x01"', '"\\x"', '"', "nul", ""),
    *("1.0", "NaN", "-Infinity", "1e400", "01", "9" * 400, "9" * 4301),
    *("[" * levels + "]" * levels for levels in (3, 5, 6, 7, 8, 198, 199, 200, 250)),
    *('{"a":' * levels + "1" + "}" * levels for levels in (5, 6, 7, 198, 199, 200)),
    '{"role": "a", "content": "b", "referenced_message":' * 3 + "null" + "}" * 3,
]
UNKNOWN = ["new", "extra", "é", "\\ud83d", "access_key", "user", "conversation", "parameters", "id"]


class Writer:
    """Writes JSON for annotations, and at random another value."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw
        self._odd_in = draw(st.sampled_from([3, 30, 10_000]))
        self._unknown_in = draw(st.sampled_from([3, 10_000]))

    def _one_in(self, times: int) -> bool:
        return self._draw(st.integers(1, times)) == 2

    def _odd(self) -> bool:
        return self._one_in(self._odd_in)

    def write(self, hint: Any, levels: int = 3) -> str:
        if self._odd():
            return self._draw(st.sampled_from(ODD))
        hint = self._draw(st.sampled_from(options(hint)))
        if hint in BY_TYPE:
            return self._draw(st.sampled_from(BY_TYPE[hint]))
        if attrs.has(hint):
            return self.write_object(hint, levels - 1) if levels else "null"
        inner = typing.get_args(hint)[-1]
        items = [self.write(inner, levels) for _ in range(self._draw(st.integers(0, 2)))]
        if typing.get_origin(hint) is list:
            return f"[{', '.join(items)}]"
        return "{" + ", ".join(f'"{key}": {item}' for key, item in zip("ab", items, strict=False)) + "}"

    def write_object(self, cls: Any, levels: int, first: str = "") -> str:
        hints = typing.get_type_hints(cls)
        members = [first] if first else []
        for field in attrs.fields(cls):
            usual = field.default is attrs.NOTHING or self._draw(st.booleans())
            if field.name != "extra" and usual != self._odd():
                members += [f'"{field.name}": {self.write(hints[field.name], levels)}'] * (2 if self._odd() else 1)
        while self._one_in(self._unknown_in):
            members.append(f'"{self._draw(st.sampled_from(UNKNOWN))}": {self.write(Any)}')
        if self._odd():
            members = self._draw(st.permutations(members))
        return "{" + ",".join(members) + "}"


@st.composite
def queries(draw: st.DrawFn) -> str:
    return Writer(draw).write_object(QueryRequest, 4, '"type": "query"')


@st.composite
def payloads(draw: st.DrawFn) -> tuple[type[Event], str]:
    cls = draw(st.sampled_from(FAST_EVENT_CLASSES))
    return cls, Writer(draw).write_object(cls, 1)


def whole_query() -> QueryRequest:
    """A query with something in every field."""
    call = ToolCall("t", FunctionCall("f", "{}"))
    definition = FunctionDefinition("f", "does", {"type": "object", "properties": {"a": {"enum": ["b"]}}})
    message = Message("user", "x", attachments=[Attachment("u", "c", "n", "i", "p")], parameters={"a": [1.0, None]})
    return attrs.evolve(
        sample_query(),
        query=[*sample_query().query, message, Message("bot", "x", referenced_message=message)],
        tools=[ToolDefinition(definition)],
        tool_calls=[call],
        tool_results=[ToolResult("t", "f", "x")],
        skip_system_prompt=True,
        adopt_current_bot_name=False,
    )


# --- requests


def both_ways(body: str | bytes) -> object:
    found = outcome(lambda: decode_request(body))
    assert found == outcome(lambda: _decode_any_request(body))
    return found


@pytest.mark.parametrize("case", cases("requests.json"), ids=name_of)
def test_a_request_is_the_same_both_ways(case: Case) -> None:
    both_ways(wire_of(case))
    both_ways(wire_of(case).decode("utf-8", "surrogateescape"))


def test_an_ordinary_query_takes_the_fast_path() -> None:
    read = _query_decoder()
    for query in (sample_query(), whole_query()):
        body = encode_request(query)
        assert repr(read(body)) == repr(read(body.decode())) == repr(query)
        assert both_ways(body) == (QueryRequest, repr(query))
        with_keys = body[:-1] + b',"access_key":"not-a-real-key","api_key":""}'
        assert repr(read(with_keys)) == repr(query)
        assert both_ways(with_keys) == both_ways(body)


@given(queries())
@example('{"type":"query","query":[],"type":"settings"}')
@example('{"type":"settings","query":[],"type":"query"}')
@example('{"query":[],"\\u0074ype":"query"}')
@example('{"type":"query","query":[],"access_key":null}')
def test_any_query_is_the_same_both_ways(body: str) -> None:
    both_ways(body)
    both_ways(body.encode("utf-8"))


@given(st.data())
def test_a_query_with_a_slip_in_its_bytes_is_the_same_both_ways(data: st.DataObject) -> None:
    body = encode_request(whole_query())
    place = data.draw(st.integers(0, len(body)))
    cut = data.draw(st.integers(0, 2))
    put = data.draw(
        st.sampled_from([b"", b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"0", b" ", b"\xff", b"null"])
    )
    both_ways(body[:place] + put + body[place + cut :])


def with_unknown_keys(wire: Any) -> Any:
    """The same with unknown keys in every object, some of which are known in other objects."""
    if isinstance(wire, list):
        return [with_unknown_keys(item) for item in cast("list[Any]", wire)]
    if isinstance(wire, dict):
        members = cast("dict[str, Any]", wire).items()
        known = {key: item if key == "logit_bias" else with_unknown_keys(item) for key, item in members}
        return {"new": [1, {"a": None}], **known, "extra": {"b": 1}, "é": None}
    return wire


def test_a_query_with_unknown_keys_everywhere_needs_no_normalising() -> None:
    for query in (sample_query(), whole_query()):
        wire = with_unknown_keys(json.loads(encode_request(query)))
        value = fast_structurer(QueryRequest)(wire)
        assert outcome(lambda wire=wire: structure(wire, QueryRequest)) == (QueryRequest, repr(value))
        assert value is not None
        assert list(value.extra) == ["new", "type", "extra", "é"]
        assert list(value.query[0].extra) == ["new", "extra", "é"]


@given(queries())
def test_no_unknown_key_is_lost_that_normalising_would_keep(body: str) -> None:
    """The general path, which normalises first."""
    try:
        wire = loads(body)
    except RemoteProtocolError:
        return
    value = fast_structurer(QueryRequest)(wire)
    if value is not None:
        assert (QueryRequest, repr(value)) == outcome(lambda: structure(wire, QueryRequest))


@pytest.mark.parametrize("case", cases("requests.json"), ids=name_of)
def test_no_unknown_key_of_a_request_is_lost(case: Case) -> None:
    try:
        wire = loads(wire_of(case))
    except RemoteProtocolError:
        return
    for cls in (*REQUEST_CLASSES.values(), UnknownRequest):
        value = fast_structurer(cls)(wire)
        if value is not None:
            assert (cls, repr(value)) == outcome(lambda cls=cls: structure(wire, cls))


# --- events


@pytest.mark.parametrize("event", sample_reply(), ids=lambda event: type(event).__name__)
def test_an_ordinary_event_takes_the_fast_path(event: Event) -> None:
    name, payload = event_payload(event)
    assert decode_event(name, dumps(payload)) == event
    if not isinstance(event, Json):
        assert repr(fast_decoder(type(event))(dumps(payload))) == repr(event)


@given(payloads())
def test_any_event_is_the_same_both_ways(case: tuple[type[Event], str]) -> None:
    cls, data = case
    for form in (data, data.encode()):
        fast = fast_decoder(cls)(form)
        if fast is None or (fast.index is not None and not is_index(fast.index)):
            continue  # decode_event takes the general path
        assert (type(fast), repr(fast)) == outcome(partial(_decode_any_event, cls, form))


@given(payloads())
def test_no_unknown_key_of_an_event_is_lost(case: tuple[type[Event], str]) -> None:
    cls, data = case
    try:
        wire = loads(data)
    except RemoteProtocolError:
        return
    value = fast_structurer(cls)(wire)
    if value is not None:
        assert (cls, repr(value)) == outcome(lambda: structure(wire, cls))


class Level(enum.IntEnum):
    ONE = 1


class Name(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "another"


def deep(levels: int) -> object:
    value: object = 0
    for _ in range(levels):
        value = [value]
    return value


FOR_JSON: list[Any] = [
    *(None, True, False, 0, 7, -1, 1.5, -0.0, 1e308, Level.ONE),
    *("", "a", '\u2028\x00é🐈"\\', "\ud83d", "\udc08", Name("x")),
    *(math.nan, -math.inf, 2**53 - 1, 1 - 2**53, 2**53, -(2**53), 10**40, 10**4299, -(10**4299)),
    *(b"x", (), (1, "a"), {1}, object(), Level, [], {}, {1: 2}, {Name("x"): 1}, {"\ud83d": 1}, {"index": 7}),
    *(deep(levels) for levels in (5, 197, 198, 199, 200, 201)),
]
anything = st.recursive(
    st.sampled_from(FOR_JSON) | st.text(st.characters()) | st.integers() | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def made_events(draw: st.DrawFn) -> Event:
    """Events as a bot may make them: mostly as annotated, since constructors on the hot path check nothing."""
    cls = draw(st.sampled_from(list(EVENT_CLASSES.values())))
    hints = typing.get_type_hints(cls)
    given: dict[str, Any] = {}
    for field in attrs.fields(cls):
        if field.default is attrs.NOTHING or draw(st.booleans()):
            by_type = [value for option in options(hints[field.name]) for value in FOR_JSON if type(value) is option]
            right = st.sampled_from(by_type) if by_type else anything
            given[field.name] = draw(st.one_of(right, right, right, anything))
    try:
        return cls(**given)
    except TypeError:
        assert cls is Json  # which searches for an index within
        return Json({})


def test_an_ordinary_event_is_encoded_by_the_fast_path() -> None:
    for event in (*sample_reply(), *(attrs.evolve(event, index=7) for event in sample_reply())):
        assert _encoders()[type(event)](event) == encode_event(event) == _encode_any_event(event)


@pytest.mark.parametrize("case", cases("events.json"), ids=name_of)
def test_an_event_is_written_the_same_both_ways(case: Case) -> None:
    payload = case["payload"]
    event = decode_event(case["event"], payload if isinstance(payload, str) else dumps(payload))
    assert encode_event(event) == _encode_any_event(event) == wire_of(case)


@pytest.mark.parametrize("levels", [198, 199, 200, 201])
def test_depth_is_counted_the_same_both_ways(levels: int) -> None:
    for event in (Json({"a": deep(levels - 1)}), Error(raw_response=deep(levels - 1))):
        found = outcome(lambda event=event: encode_event(event))
        assert found == outcome(lambda event=event: _encode_any_event(event))
        assert isinstance(found, str) == (levels > 200)


@given(made_events())
def test_any_event_is_written_the_same_both_ways(event: Event) -> None:
    assert outcome(lambda: encode_event(event)) == outcome(lambda: _encode_any_event(event))
