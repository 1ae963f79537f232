"""Settings to bytes and back."""

from __future__ import annotations

import json
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


def test_settings_are_written_at_version_2_without_what_is_unset() -> None:
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
