"""The types of poeproto_compat by themselves, without pydantic."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from typing import Any

import pydantic
import pytest

from poeproto_compat import model, types, validation
from poeproto_compat.types import (
    Attachment,
    CustomCallDefinition,
    FunctionCallDefinition,
    FunctionDefinition,
    LiteralValue,
    MetaResponse,
    ParametersDefinition,
    PartialResponse,
    ProtocolMessage,
    QueryRequest,
    SettingsResponse,
    Slider,
    ToolCallDefinition,
    ToolCallDefinitionDelta,
    ToolDefinition,
)

IDS: dict[str, Any] = {"version": "1.0", "type": "query", "user_id": "u", "conversation_id": "c", "message_id": "m"}


def run_alone(program: str) -> str:
    """The output of a program in a process of its own, where nothing has imported pydantic."""
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_neither_pydantic_nor_a_web_framework_is_imported() -> None:
    program = """
import sys
from poeproto_compat.types import *
SettingsResponse(parameter_controls={"sections": []}).model_dump_json()
try:
    PartialResponse(text=1, is_suggested_reply="perhaps", unknown=2)
except ValueError as error:
    print(type(error).__module__, [(each["type"], each["loc"]) for each in error.errors()])
    print(error)
PartialResponse.model_json_schema()
print({"pydantic", "pydantic_core", "fastapi", "starlette", "httpx", "asyncio", "anyio"} & set(sys.modules))
"""
    kind, *message, imported = run_alone(program).splitlines()
    expected = [
        ("string_type", ("text",)),
        ("bool_parsing", ("is_suggested_reply",)),
        ("extra_forbidden", ("unknown",)),
    ]
    assert kind == f"poeproto_compat.validation {expected}"
    assert imported == "set()"
    assert message[:3] == [
        "3 validation errors for PartialResponse",
        "text",
        "  Expected a string, not an int [type=string_type, input_value=1, input_type=int]",
    ]


def test_a_program_with_pydantic_catches_its_validation_error() -> None:
    with pytest.raises(pydantic.ValidationError) as caught:
        PartialResponse(text="a", attachment={"url": "u"}, tool_calls=[{"function": {}}])  # pyright: ignore[reportArgumentType]
    assert [(each["type"], each["loc"]) for each in caught.value.errors()] == [
        ("missing", ("attachment", "content_type")),
        ("missing", ("attachment", "name")),
        ("missing", ("tool_calls", 0, "function", "arguments")),
    ]


def test_a_wrong_name_is_answered_with_the_right_ones() -> None:
    with pytest.raises(ValueError, match=r"no field of this name; there are text, data, raw_response"):
        PartialResponse.model_validate({"text": "", "replace": True})


def test_every_object_has_its_own_containers() -> None:
    one, other = (ProtocolMessage(role="user", content="") for _ in range(2))
    one.attachments.append(Attachment(url="u", content_type="c", name="n"))
    one.parameters["a"] = 1
    assert (other.attachments, other.parameters) == ([], {})
    given: list[Any] = [one]
    request = QueryRequest(query=given, **IDS)
    given.append(other)
    assert request.query == [one]
    assert request.query[0] is one


def test_fields_are_set_without_a_check() -> None:
    request = QueryRequest(query=[], **IDS)
    request.temperature = 0.5
    request.query = [ProtocolMessage(role="bot", content="x")]
    assert {"temperature", "query"} <= request.model_fields_set
    with pytest.raises(ValueError, match="QueryRequest has no field 'temperatur'"):
        request.temperatur = 1


def test_numbers_keep_their_type_where_several_fit() -> None:
    values = ["1", 1.0, 1, True]
    assert [LiteralValue(literal=value).literal for value in values] == values
    assert [type(LiteralValue(literal=value).literal) for value in values] == [str, float, int, bool]
    slider = Slider(label="l", parameter_name="p", min_value=0, max_value=1.5, step="0.5")  # pyright: ignore[reportArgumentType]
    assert [type(each) for each in (slider.min_value, slider.max_value, slider.step)] == [int, float, float]


def test_aliases_and_names_are_both_accepted() -> None:
    call = CustomCallDefinition(name="n", input="i")
    assert CustomCallDefinition.model_validate({"name": "n", "input_": "i"}) == call
    assert call.model_dump(by_alias=True) == {"name": "n", "input": "i"}


def test_the_old_methods_warn_and_name_the_new() -> None:
    meta = MetaResponse(suggested_replies=False)
    with pytest.warns(DeprecationWarning, match="json is deprecated; use model_dump_json") as caught:
        meta.json()
    assert caught[0].filename == __file__
    with pytest.warns(DeprecationWarning, match="parse_obj is deprecated; use model_validate"):
        assert MetaResponse.parse_obj({"suggested_replies": False}) == meta


def test_pydantics_validators_are_refused_with_advice() -> None:
    with pytest.raises(TypeError, match=r"Own\.check: .*check the values in __init__"):

        class Own(PartialResponse):  # pyright: ignore[reportUnusedClass]
            @pydantic.field_validator("text")
            @classmethod
            def check(cls, text: str) -> str:
                return text


def test_a_constructors_own_error_has_its_place() -> None:
    class Careful(Attachment):
        def __init__(self, **values: Any) -> None:
            super().__init__(**values)
            if not self.url.startswith("https:"):
                raise ValueError("the URL is not one of https")

    class Letter(ProtocolMessage):
        enclosure: Careful

    with pytest.raises(pydantic.ValidationError, match="not one of https") as caught:
        Letter(role="user", content="", enclosure={"url": "ftp:x", "content_type": "c", "name": "n"})  # pyright: ignore[reportArgumentType]
    assert caught.value.errors()[0]["loc"] == ("enclosure",)


def test_an_object_without_a_json_value_is_named() -> None:
    with pytest.raises(ValueError, match=r"a builtins\.type has no JSON value"):
        PartialResponse(text="", raw_response=int).model_dump_json()


def test_the_json_schema_stands_alone() -> None:
    schema = ProtocolMessage.model_json_schema()
    assert schema["required"] == ["role", "content"]
    assert schema["properties"]["referenced_message"]["anyOf"][0] == {"type": "object", "title": "ProtocolMessage"}
    assert SettingsResponse.model_json_schema()["additionalProperties"] is False


def test_all_names_are_there() -> None:
    assert all(hasattr(types, name) for name in types.__all__)
    assert issubclass(types.ErrorResponse, PartialResponse)
    assert issubclass(PartialResponse, model.Model)
    assert issubclass(validation.ValidationError, ValueError)


OLD_NAMES = {
    "poeproto_compat.PoeHandler": "poeproto_compat.PoeBot",
    "poeproto_compat.base.PoeHandler": "poeproto_compat.PoeBot",
    "poeproto_compat.base.AttachmentUploadError": "poeproto_compat.client.AttachmentUploadError",
    "poeproto_compat.client.API_VERSION": "poeproto_compat.client.PROTOCOL_VERSION",
    "poeproto_compat.client.BotMessageWithFunction": "poeproto_compat.client.BotMessage",
    "poeproto_compat.types.CustomToolCallDefinition": "poeproto_compat.types.CustomCallDefinition",
}


@pytest.mark.parametrize("old", OLD_NAMES)
def test_names_of_old_versions(old: str) -> None:
    def value(path: str) -> object:
        module, _, name = path.rpartition(".")
        return getattr(import_module(module), name)

    new = OLD_NAMES[old]
    with pytest.warns(DeprecationWarning, match=f"deprecated: use .*{new.rpartition('.')[2]}") as caught:
        assert value(old) is value(new)
    assert caught[0].filename == __file__


def test_a_setting_of_old_versions() -> None:
    old: dict[str, Any] = {"insert_attachments_to_message": True}
    with pytest.warns(DeprecationWarning, match="use PoeBot.should_insert_attachment_messages") as caught:
        settings = types.SettingsResponse(allow_attachments=True, **old)
    assert caught[0].filename == __file__
    assert settings == types.SettingsResponse(allow_attachments=True)
    with pytest.raises(ValueError, match="There is no field of this name"):
        types.SettingsResponse(allow_attachment=True)  # pyright: ignore[reportCallIssue]


def test_inner_classes_of_old_versions() -> None:
    """They stand beside each other in fastapi_poe today, and programs still name them within others."""
    with pytest.warns(DeprecationWarning, match=r"ToolDefinition\.FunctionDefinition is deprecated: use Func"):
        assert ToolDefinition.FunctionDefinition is FunctionDefinition
    with pytest.warns(DeprecationWarning, match=r"FunctionDefinition\.ParametersDefinition is deprecated"):
        assert FunctionDefinition.ParametersDefinition is ParametersDefinition
    with pytest.warns(DeprecationWarning, match="use FunctionCallDefinition"):
        assert ToolCallDefinition.FunctionDefinition is FunctionCallDefinition
    with pytest.warns(DeprecationWarning, match="use FunctionCallDefinitionDelta"):
        assert ToolCallDefinitionDelta.FunctionDefinitionDelta is types.FunctionCallDefinitionDelta
    parameters = ParametersDefinition(type="object", properties={})
    definition = FunctionDefinition(name="f", description="", parameters=parameters)
    assert list(ToolDefinition(type="function", function=definition).model_dump()) == ["type", "function"]
