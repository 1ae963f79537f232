from __future__ import annotations

from typing import Any

import attrs
import pytest

from poeproto import InvalidValue, RemoteProtocolError, SettingsResponse, decode_settings


def test_nothing_but_the_version_is_set_by_itself() -> None:
    assert attrs.asdict(SettingsResponse(), filter=lambda _, value: value is not None) == {
        "response_version": 2,
        "server_bot_dependencies": {},
        "extra": {},
    }


def test_settings_are_given_by_name() -> None:
    construct: Any = SettingsResponse
    with pytest.raises(TypeError):
        construct(2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"response_version": None}, "response_version must be int, got None"),
        (
            {"server_bot_dependencies": {"GPT-4o": 1.5}},
            "server_bot_dependencies must be dict[str, int], got a value of type dict",
        ),
        (
            {"server_bot_dependencies": ["GPT-4o"]},
            "server_bot_dependencies must be dict[str, int], got a list with str in it",
        ),
        ({"allow_attachments": 1}, "allow_attachments must be bool | None, got a value of type int"),
        ({"introduction_message": b"Hi"}, "introduction_message must be str | None, got a value of type bytes"),
        ({"parameter_controls": {}}, "parameter_controls must be ParameterControls | None, got a value of type dict"),
        ({"context_clear_window_secs": True}, "context_clear_window_secs must be int | None, got a value of type bool"),
    ],
)
def test_types_are_checked(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError) as caught:
        SettingsResponse(**arguments)
    assert str(caught.value) == f"SettingsResponse.{message}"


def test_calls_below_zero_are_not_a_dependency() -> None:
    assert SettingsResponse(server_bot_dependencies={"a": 0}).server_bot_dependencies == {"a": 0}
    with pytest.raises(InvalidValue) as caught:
        SettingsResponse(server_bot_dependencies={"b": 1, "a": -1})
    assert caught.value.path == "server_bot_dependencies.a"
    with pytest.raises(RemoteProtocolError) as read:
        decode_settings(b'{"server_bot_dependencies": {"a": -1}}')
    assert read.value.path == "server_bot_dependencies.a"
