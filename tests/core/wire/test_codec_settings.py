"""Settings to bytes and back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import attrs
import pytest

from poeproto import (
    LocalProtocolError,
    RemoteProtocolError,
    SettingsResponse,
    decode_settings,
    encode_settings,
)
from poeproto.schemas import settings_payload
from poeproto.testing import sample_settings
from poeproto.wire.json import dumps


def test_settings_are_written_at_version_2_without_unset_fields() -> None:
    settings = SettingsResponse(server_bot_dependencies={"GPT-4o": 1}, allow_attachments=False, rate_card="")
    assert encode_settings(settings) == (
        b'{"response_version":2,"server_bot_dependencies":{"GPT-4o":1},"allow_attachments":false,"rate_card":""}'
    )


@pytest.mark.parametrize(
    "document", ["{}", '{"response_version": null}', '{"rate_card": null, "server_bot_dependencies": null}']
)
def test_settings_without_a_version_are_of_version_0(document: str) -> None:
    assert decode_settings(document) == decode_settings(document.encode()) == SettingsResponse(response_version=0)


@pytest.mark.parametrize(
    ("wire", "value"),
    [
        ({"enable_multi_bot_chat_prompting": True}, True),
        ({"enable_multi_bot_chat_prompting": False}, False),
        ({"enable_multi_bot_chat_prompting": None}, None),
        ({"enable_multi_entity_prompting": False, "enable_multi_bot_chat_prompting": True}, False),
        ({"enable_multi_entity_prompting": None, "enable_multi_bot_chat_prompting": True}, True),
    ],
)
def test_the_old_name_of_a_setting_is_read_and_the_new_one_written(wire: dict[str, Any], value: bool | None) -> None:
    settings = decode_settings(json.dumps(wire))
    assert settings.enable_multi_entity_prompting is value
    assert settings.extra == {}
    assert b"multi_bot" not in encode_settings(settings)
    assert json.loads(encode_settings(settings)).get("enable_multi_entity_prompting") is value


def test_unknown_settings_are_read_and_not_written() -> None:
    settings = decode_settings('{"response_version": 2, "b": 1, "a": null}')
    assert settings == SettingsResponse(extra={"a": None, "b": 1})
    with pytest.raises(LocalProtocolError, match=r"^Poe refuses settings with unknown keys: a, b$"):
        encode_settings(settings)
    assert decode_settings(encode_settings(attrs.evolve(settings, extra={}))) == SettingsResponse()


@pytest.mark.parametrize(
    ("wire", "path"),
    [
        ({"response_version": "2"}, "response_version"),
        ({"response_version": True}, "response_version"),
        ({"server_bot_dependencies": {"a": "1"}}, "server_bot_dependencies"),
        ({"allow_attachments": 1}, "allow_attachments"),
        ({"parameter_controls": []}, "parameter_controls"),
        ({"enable_multi_bot_chat_prompting": "yes"}, "enable_multi_entity_prompting"),
    ],
)
def test_a_fault_in_settings_is_found_at_its_place(wire: dict[str, Any], path: str) -> None:
    for document in (wire, {**wire, "unknown": 1}):
        with pytest.raises(RemoteProtocolError) as caught:
            decode_settings(json.dumps(document))
        assert caught.value.path == path


# --- settings of another server, shown and forwarded as received


def objects_in(value: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every JSON object within a value, with its path."""
    if isinstance(value, dict):
        yield path, value
    items = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
    for key, item in items:
        yield from objects_in(item, f"{path}.{key}")


def whole_wire() -> dict[str, Any]:
    return json.loads(encode_settings(sample_settings()))


# In these objects a key is a bot's name, and not one that a later version may have added.
PLACES = [path for path, _ in objects_in(whole_wire()) if path != ".server_bot_dependencies"]


@pytest.mark.parametrize("place", PLACES)
def test_fields_of_a_later_version_are_shown_and_not_sent(place: str) -> None:
    wire = whole_wire()
    dict(objects_in(wire))[place]["added"] = {"deep": [None, "\ud83d", 1.0]}
    settings = decode_settings(dumps(wire))
    assert settings_payload(settings) == wire
    assert decode_settings(dumps(settings_payload(settings))) == settings
    with pytest.raises(LocalProtocolError, match="Poe refuses settings with unknown keys: added"):
        encode_settings(settings)


@pytest.mark.parametrize("place", [place for place in PLACES if place.rpartition(".")[0].endswith("controls")])
def test_a_control_of_a_later_version_is_shown_and_not_sent(place: str) -> None:
    wire = whole_wire()
    control = dict(objects_in(wire))[place]
    control.clear()
    control.update(control="dial", turns=[1, None])
    settings = decode_settings(dumps(wire))
    assert settings_payload(settings) == wire
    with pytest.raises(LocalProtocolError, match="Poe does not know the control 'dial'"):
        encode_settings(settings)


def test_the_payload_of_usual_settings_equals_the_bytes_sent() -> None:
    assert settings_payload(sample_settings()) == whole_wire()
    assert settings_payload(SettingsResponse()) == {"response_version": 2}
