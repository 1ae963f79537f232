from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from hypothesis import given
from jsonschema import Draft202012Validator

from poeproto import (
    Error,
    Event,
    Json,
    QueryRequest,
    Request,
    SettingsResponse,
    Text,
    UnknownEvent,
    UnknownRequest,
    decode_event,
    decode_request,
    decode_settings,
    encode_request,
    encode_settings,
)
from poeproto.schemas import event_payload, event_schema, request_schema, settings_schema
from poeproto.testing import sample_query, sample_reply, sample_settings
from poeproto.vocabulary.events import EVENT_CLASSES

from ..support.control_strategies import attrs_to_wire, parameter_controls, without_unknown, without_unknown_keys
from ..support.strategies import events, requests, settings_responses
from ..support.vectors import Case, cases, name_of

REQUEST = Draft202012Validator(request_schema())
EVENT = Draft202012Validator(event_schema())
SETTINGS = Draft202012Validator(settings_schema())


@pytest.mark.parametrize("make", [request_schema, event_schema, settings_schema])
def test_a_schema_is_valid_and_each_call_makes_another(make: Callable[[], dict[str, Any]]) -> None:
    schema = make()
    Draft202012Validator.check_schema(schema)
    meant = json.dumps(schema)
    schema["$defs"].clear()
    assert json.dumps(make()) == meant


def shown(event: Event) -> dict[str, Any]:
    name, payload = event_payload(event)
    return {"event": name, "data": payload}


# --- defaults


def defaults(schema: dict[str, Any], name: str) -> dict[str, Any]:
    properties = schema["$defs"][name]["properties"]
    return {field: value["default"] for field, value in properties.items() if "default" in value}


def test_every_default_is_valid() -> None:
    for make in (request_schema, event_schema, settings_schema):
        for definition in make()["$defs"].values():
            for schema in definition["properties"].values():
                if "default" in schema and "$ref" not in schema:
                    Draft202012Validator(schema).validate(schema["default"])


def test_a_reader_assumes_the_default_of_an_absent_field() -> None:
    request = decode_request('{"version": "1.2", "type": "query", "query": [{"role": "user", "content": "a"}]}')
    assert isinstance(request, QueryRequest)
    for value, read, schema in [
        (request, "QueryRequest", request_schema()),
        (request.query[0], "Message", request_schema()),
        (decode_event("error", "{}"), "Error", event_schema()),
        (decode_event("meta", "{}"), "Meta", event_schema()),
        (decode_settings("{}"), "SettingsResponse", settings_schema()),
    ]:
        shown = defaults(schema, read)
        assert shown == {field: getattr(value, field) for field in shown}
    assert defaults(event_schema(), "Error") == {"allow_retry": True}
    assert defaults(settings_schema(), "SettingsResponse") == {"response_version": 0, "server_bot_dependencies": {}}
    assert defaults(event_schema(), "Text") == {}


# --- what we write is accepted


@given(requests.filter(lambda request: not isinstance(request, UnknownRequest)))
def test_every_request_is_accepted(request: Request) -> None:
    REQUEST.validate(json.loads(encode_request(request)))


@given(events.filter(lambda event: not isinstance(event, UnknownEvent)))
def test_every_event_is_accepted(event: Event) -> None:
    EVENT.validate(shown(event))


@given(settings_responses.filter(lambda settings: not settings.extra))
def test_all_settings_are_accepted(settings: SettingsResponse) -> None:
    SETTINGS.validate(json.loads(encode_settings(settings)))


@given(parameter_controls.filter(without_unknown))
def test_all_parameter_controls_are_accepted(controls: Any) -> None:
    SETTINGS.validate({"parameter_controls": without_unknown_keys(attrs_to_wire(controls))})


def test_the_samples_are_accepted() -> None:
    REQUEST.validate(json.loads(encode_request(sample_query())))
    SETTINGS.validate(json.loads(encode_settings(sample_settings())))
    for event in sample_reply():
        EVENT.validate(shown(event))


# --- invalid values are refused


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"version": "1.2", "type": "query"},
        {"version": "1.2", "type": "future", "query": []},
        {"version": "1.2", "type": "query", "query": {}},
        {"version": "1.2", "type": "query", "query": [{"role": "user"}]},
        {"version": "1.2", "type": "query", "query": [{"role": "user", "content": 7}]},
        {"version": "1.2", "type": "query", "query": [], "temperature": "warm"},
        {"version": "1.2", "type": "query", "query": [], "logit_bias": {"7": "much"}},
        {"version": 1.2, "type": "settings"},
        {"type": "settings"},
    ],
)
def test_a_wrong_request_is_refused(body: dict[str, Any]) -> None:
    assert not REQUEST.is_valid(body)


@pytest.mark.parametrize(
    "event",
    [
        {"event": "text", "data": {}},
        {"event": "text", "data": {"text": 7}},
        {"event": "text", "data": {"text": "x", "index": "first"}},
        {"event": "json", "data": []},
        {"event": "file", "data": {"url": "https://files.invalid/a", "name": "a"}},
        {"event": "future", "data": {}},
        {"event": "done"},
    ],
)
def test_a_wrong_event_is_refused(event: dict[str, Any]) -> None:
    assert not EVENT.is_valid(event)


def test_requests_and_events_may_have_keys_we_do_not_know_and_settings_may_not() -> None:
    assert REQUEST.is_valid({"version": "1.3", "type": "settings", "future": 1})
    assert EVENT.is_valid({"event": "text", "data": {"text": "x", "future": 1}})
    assert not SETTINGS.is_valid({"future": 1})
    assert not SETTINGS.is_valid({"introduction_message": None})


# Rules between values, which schemas cannot express.
BEYOND_SCHEMAS = ["default_value", "max_value"]


@pytest.mark.parametrize("case", [case for case in cases("settings.json") if "error" in case], ids=name_of)
def test_settings_that_we_refuse_are_refused_unless_a_rule_is_between_values(case: Case) -> None:
    path: str = case["error"]["path"]
    if path.rpartition(".")[2] not in BEYOND_SCHEMAS:
        assert not SETTINGS.is_valid(case["body"])


# --- descriptions for a person or a generator


def test_every_class_is_there_under_its_name_with_its_meaning_and_fields() -> None:
    definitions = request_schema()["$defs"]
    query = definitions["QueryRequest"]
    assert query["description"].startswith("A query: the conversation so far")
    assert list(query["properties"]) == ["type", *(f.name for f in attrs.fields(QueryRequest) if f.name != "extra")]
    assert query["required"] == ["version", "type", "query"]
    assert query["properties"]["query"] == {
        "description": "the messages, oldest first; Poe sends the last 1,000.",
        "type": "array",
        "items": {"$ref": "#/$defs/Message"},
    }
    assert definitions["Message"]["properties"]["referenced_message"]["$ref"] == "#/$defs/Message"
    assert set(event_schema()["$defs"]) == {cls.__name__ for cls in EVENT_CLASSES.values()} - {Json.__name__}
    assert list(event_schema()["$defs"]) == sorted(event_schema()["$defs"])


def test_without_docstrings_there_are_no_descriptions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Text, "__doc__", None)  # as python -OO has it
    assert event_schema()["$defs"]["Text"]["description"] == ""
    assert event_schema()["$defs"]["Text"]["properties"]["text"] == {"type": "string"}
    assert "description" in event_schema()["$defs"][Error.__name__]["properties"]["text"]
