"""Properties of the codec that hold for every value; single cases are in test_codec_requests and test_codec_events."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poeproto import (
    Attachment,
    Error,
    Event,
    Feedback,
    FunctionCall,
    FunctionDefinition,
    Json,
    Message,
    QueryRequest,
    Reaction,
    RemoteProtocolError,
    ReportErrorRequest,
    Request,
    Sender,
    SettingsResponse,
    SSEDecoder,
    ToolCall,
    ToolDefinition,
    ToolResult,
    UnknownEvent,
    User,
    decode_event,
    decode_object,
    decode_request,
    decode_settings,
    encode_event,
    encode_request,
    encode_settings,
)
from poeproto.testing import bytewise, sample_query, sample_reply
from poeproto.vocabulary.tools import CustomCall, CustomToolDefinition

from ...support.strategies import (
    REQUEST_CLASSES,
    events,
    floats,
    for_annotation,
    integers,
    json_values,
    requests,
    settings_responses,
    values,
)


@pytest.mark.parametrize("cls", [*REQUEST_CLASSES, Message, SettingsResponse, ToolCall, ToolDefinition, Error])
def test_the_strategies_leave_no_field_out(cls: type[Any]) -> None:
    missing = {field.name for field in attrs.fields(cls) if for_annotation(cls.__annotations__[field.name]) is None}
    assert not missing


# --- encoded values are decoded unchanged


@settings(max_examples=150)
@given(requests)
def test_a_request_is_read_as_it_was_written(request_: Request) -> None:
    written = encode_request(request_)
    assert decode_request(written) == decode_request(written.decode()) == request_
    assert encode_request(decode_request(written)) == written


@given(settings_responses)
def test_settings_are_read_as_they_were_written(response: SettingsResponse) -> None:
    written = encode_settings(attrs.evolve(response, extra={}))
    assert decode_settings(written) == attrs.evolve(response, extra={})


@settings(max_examples=150)
@given(events, st.booleans())
def test_an_event_is_read_as_it_was_written(event: Event, bytewise_: bool) -> None:
    written = encode_event(event)
    decoder = SSEDecoder()
    (record,) = [r for part in (bytewise(written) if bytewise_ else [written]) for r in decoder.receive_data(part)]
    assert decode_event(record.event, record.data) == decode_event(record.event, record.data.encode()) == event
    if not isinstance(event, UnknownEvent):
        assert written.count(b"\n") == 3
        assert b"\r" not in written


def test_the_samples_survive() -> None:
    assert decode_request(encode_request(sample_query())) == sample_query()
    (records,) = [SSEDecoder().receive_data(b"".join(map(encode_event, sample_reply())))]
    assert [decode_event(record.event, record.data) for record in records] == sample_reply()


# --- the general path and the fast path agree

# Where objects with classes are on the wire; two levels where one name is ambiguous.
CLASSES_AT: dict[str, type[Any]] = {
    "query": Message,
    "referenced_message": Message,
    "attachments": Attachment,
    "sender": Sender,
    "feedback": Feedback,
    "reactions": Reaction,
    "users": User,
    "tools": ToolDefinition,
    "tool_calls": ToolCall,
    "tool_results": ToolResult,
    "tools.function": FunctionDefinition,
    "tools.custom": CustomToolDefinition,
    "tool_calls.custom": CustomCall,
    "tool_calls.function": FunctionCall,
}


def disturbed(
    wire: dict[str, Any], cls: type[Any], added: dict[str, Any], *, nulls: bool, at: str = ""
) -> dict[str, Any]:
    """The object with these keys added at every level, and with a null for every absent field that has a default."""
    result = dict(wire)
    for key, value in wire.items():
        place = f"{at}.{key}" if f"{at}.{key}" in CLASSES_AT else key
        inner = CLASSES_AT.get(place) if key in attrs.fields_dict(cls) else None
        if inner is None or value is None:
            continue
        if isinstance(value, list):
            result[key] = [disturbed(item, inner, added, nulls=nulls, at=key) for item in value]
        else:
            result[key] = disturbed(value, inner, added, nulls=nulls, at=key)
    for field in attrs.fields(cls):
        if nulls and field.default is not attrs.NOTHING and field.name != "extra":
            result.setdefault(field.name, None)
    return {**result, **added}


def without_extra(value: Any) -> dict[str, Any]:
    return attrs.asdict(value, filter=lambda field, _: field.name != "extra")


def extras(value: Any) -> list[dict[str, Any]]:
    """The `extra` of this value and of all values in it."""
    if isinstance(value, list):
        return [found for item in value for found in extras(item)]
    if not attrs.has(type(value)):
        return []
    return [dict(value.extra), *(e for field in attrs.fields(type(value)) for e in extras(getattr(value, field.name)))]


KNOWN_REQUESTS = st.one_of(*map(values, REQUEST_CLASSES))


@settings(max_examples=150)
@given(KNOWN_REQUESTS)
def test_nulls_where_a_default_exists_change_nothing(request_: Request) -> None:
    wire = json.loads(encode_request(request_))
    assert decode_request(json.dumps(disturbed(wire, type(request_), {}, nulls=True))) == request_


@settings(max_examples=150)
@given(KNOWN_REQUESTS, json_values, st.booleans())
def test_unknown_keys_change_nothing_but_extra_at_any_level(request_: Request, value: Any, nulls: bool) -> None:
    added = {"new": value, "extra": value}
    wire = disturbed(json.loads(encode_request(request_)), type(request_), added, nulls=nulls)
    decoded = decode_request(json.dumps(wire))
    assert type(decoded) is type(request_)
    assert without_extra(decoded) == without_extra(request_)
    assert extras(decoded) == [{**before, **added} for before in extras(request_)]
    # ... and they are forwarded whole.
    assert decode_request(encode_request(decoded)) == decoded


@settings(max_examples=150)
@given(events, json_values)
def test_an_unknown_key_or_a_null_changes_no_event(event: Event, value: Any) -> None:
    if isinstance(event, UnknownEvent | Json):
        return  # their payload is kept as it is
    (record,) = SSEDecoder().receive_data(encode_event(event))
    wire = disturbed(json.loads(record.data), type(event), {"new": value}, nulls=True)
    decoded = decode_event(record.event, json.dumps(wire))
    assert decoded == attrs.evolve(event, extra={**event.extra, "new": value})


@given(settings_responses, json_values)
def test_an_unknown_key_or_a_null_changes_no_settings(response: SettingsResponse, value: Any) -> None:
    response = attrs.evolve(response, extra={})
    wire = disturbed(json.loads(encode_settings(response)), SettingsResponse, {"new": value}, nulls=True)
    assert decode_settings(json.dumps(wire)) == attrs.evolve(response, extra={"new": value})


# --- no other exception escapes

KINDS = ["query", "settings", "report_feedback", "report_reaction", "report_error", "poll"]
NAMES = [
    name for cls in (QueryRequest, Message, Attachment, ToolCall, ReportErrorRequest) for name in attrs.fields_dict(cls)
]
surrogates = st.text(st.characters(), max_size=3)
hostile: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | integers | floats | surrogates,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | surrogates, inner, max_size=4),
    max_leaves=15,
)
hostile_objects = st.dictionaries(st.sampled_from(NAMES) | surrogates, hostile, max_size=5)


@settings(max_examples=150)
@given(st.sampled_from(KINDS), hostile_objects)
def test_a_body_is_read_or_refused(kind: str, wire: dict[str, Any]) -> None:
    body = json.dumps({**wire, "type": kind})
    with contextlib.suppress(RemoteProtocolError):
        request = decode_request(body)
        assert decode_request(encode_request(request)) == request


@settings(max_examples=150)
@given(st.sampled_from(["meta", "text", "file", "data", "json", "error", "done"]), hostile_objects)
def test_a_payload_is_read_or_refused(name: str, wire: dict[str, Any]) -> None:
    with contextlib.suppress(RemoteProtocolError):
        event = decode_event(name, json.dumps(wire))
        (record,) = SSEDecoder().receive_data(encode_event(event))
        assert decode_event(record.event, record.data) == event


def test_any_object_is_read_by_the_same_rules() -> None:
    assert decode_object(b'{"a": ["\\ud83d", 1e3]}') == {"a": ["\ud83d", 1000.0]}
    assert decode_object("{}") == {}
    deep = b'{"a":' + b"[" * 200 + b"]" * 200 + b"}"
    for refused in (b"[]", b"NaN", b'{"a": 1e999}', b'{"a": Infinity}', b"\xff", b"", deep):
        with pytest.raises(RemoteProtocolError):
            decode_object(refused)
