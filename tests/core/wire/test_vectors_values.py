"""Vectors of single values: events, JSON texts, chunks of tool calls."""

from __future__ import annotations

import json

import pytest

from poeproto import (
    Json,
    LocalProtocolError,
    RemoteProtocolError,
    SSEDecoder,
    decode_event,
    decode_settings,
    encode_event,
    encode_settings,
)
from poeproto.flows import ToolCallAggregator, delta_text
from poeproto.schemas import event_payload, settings_payload
from poeproto.wire.codec import unstructure
from poeproto.wire.json import dumps, loads

from ...support.vectors import Case, cases, name_of, ways_to_cut, wire_of


@pytest.mark.parametrize("case", cases("events.json"), ids=name_of)
def test_an_event_is_written_and_read(case: Case) -> None:
    name, payload, wire = case["event"], case["payload"], wire_of(case)
    event = decode_event(name, payload if isinstance(payload, str) else dumps(payload))
    assert event_payload(event) == (name, payload)
    assert encode_event(event) == wire
    for parts in ways_to_cut(wire):
        decoder = SSEDecoder()
        (record,) = [each for part in parts for each in decoder.receive_data(part)]
        assert (record.event, decode_event(record.event, record.data)) == (name, event), parts


@pytest.mark.parametrize("case", cases("json.json"), ids=name_of)
def test_json_is_accepted_or_refused(case: Case) -> None:
    data = wire_of(case)
    if not case["accepted"]:
        with pytest.raises(RemoteProtocolError):
            loads(data)
        return
    value = loads(data)
    assert value == case.get("value", value)
    assert loads(dumps(value)) == value


@pytest.mark.parametrize("case", cases("tool_chunks.json"), ids=name_of)
def test_tool_calls_are_assembled(case: Case) -> None:
    aggregator = ToolCallAggregator()
    text = ""
    for chunk in case["chunks"]:
        event = Json(chunk)
        aggregator.add(event)
        text += delta_text(event)
    assert [unstructure(call) for call in aggregator.calls] == case["calls"]
    assert text == case["text"]
    assert aggregator.finish_reason == case["finish_reason"]


@pytest.mark.parametrize("case", cases("settings.json"), ids=name_of)
def test_settings_have_the_meaning_in_the_vectors(case: Case) -> None:
    body = dumps(case["body"])
    if "error" in case:
        with pytest.raises(RemoteProtocolError) as caught:
            decode_settings(body)
        assert caught.value.path == case["error"]["path"]
        return
    settings = decode_settings(body)
    if case.get("writable", True):
        assert json.loads(encode_settings(settings)) == case["settings"]
    else:
        assert settings_payload(settings) == case["settings"]
        with pytest.raises(LocalProtocolError):
            encode_settings(settings)
