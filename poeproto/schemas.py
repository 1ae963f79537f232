"""JSON Schemas of requests, events and settings, generated from the vocabulary: for SDKs, editors and validators.

They describe the messages of a strict sender: an unset field is left out, so nothing is null. Requests and events allow
unknown keys, as every reader must; settings do not, since Poe refuses them. A schema cannot express every rule, such as
a slider's default within its range or the order of events; constructors and exchanges check those.

https://json-schema.org/draft/2020-12/json-schema-core
"""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from poeproto.vocabulary.controls import (
    COMPARATORS,
    CONTROLS_API_VERSION,
    PARAMETER_NAME,
    RESERVED_PREFIX,
    AspectRatio,
    AspectRatioOption,
    Comparison,
    ConditionalControls,
    Control,
    DropDown,
    LiteralValue,
    Operand,
    ParameterControls,
    ParameterValue,
    Section,
    Slider,
    Tab,
)
from poeproto.vocabulary.events import EVENT_CLASSES, Json
from poeproto.vocabulary.field_types import options
from poeproto.vocabulary.settings import SettingsResponse
from poeproto.wire.codec import REQUEST_CLASSES, event_payload, settings_payload
from poeproto.wire.reader_requirements import requirements_of
from poeproto.wire.structure import CONTROL_CLASSES

__all__ = ["event_payload", "event_schema", "request_schema", "settings_payload", "settings_schema"]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TYPES: dict[Any, str] = {str: "string", bool: "boolean", int: "integer", float: "number"}
_KINDS: dict[Any, str] = {cls: kind for kind, cls in CONTROL_CLASSES.items()}
_BASES: dict[Any, tuple[type, ...]] = {Control: tuple(_KINDS), Operand: (LiteralValue, ParameterValue)}

# The rules of the constructors that a schema can express.
_NOT_EMPTY = {"minItems": 1}
_ABOVE_ZERO = {"exclusiveMinimum": 0}
_FIELD_RULES: dict[tuple[type, str], dict[str, Any]] = {
    (AspectRatio, "options"): _NOT_EMPTY,
    (AspectRatioOption, "height"): _ABOVE_ZERO,
    (AspectRatioOption, "width"): _ABOVE_ZERO,
    (Comparison, "comparator"): {"enum": list(COMPARATORS)},
    (ConditionalControls, "controls"): _NOT_EMPTY | {"not": {"contains": {"$ref": "#/$defs/ConditionalControls"}}},
    (DropDown, "options"): _NOT_EMPTY,
    (ParameterControls, "api_version"): {"const": CONTROLS_API_VERSION},
    (Section, "controls"): _NOT_EMPTY,
    (Section, "tabs"): _NOT_EMPTY,
    (SettingsResponse, "response_version"): {"default": 0},  # the oldest; constructors set the newest
    (SettingsResponse, "server_bot_dependencies"): {"additionalProperties": {"type": "integer", "minimum": 0}},
    (Slider, "step"): _ABOVE_ZERO,
    (Tab, "controls"): _NOT_EMPTY,
}  # fmt: skip
_PARAMETER_NAME_RULE = {"pattern": f"^(?!{RESERVED_PREFIX}){PARAMETER_NAME.pattern}(?!\\n)$"}
_CLASS_RULES: dict[type, dict[str, Any]] = {Section: {"oneOf": [{"required": ["controls"]}, {"required": ["tabs"]}]}}


def request_schema() -> dict[str, Any]:
    """The JSON Schema of the body of any request.

    Its ``$defs`` contain a schema for each class, such as `QueryRequest` and `Message`.
    """
    schemas = _Schemas(is_open=True)
    for name, cls in REQUEST_CLASSES.items():
        schemas.define(cls, {"type": {"const": name}}, required=["version", "type"])
    return schemas.document("A request of a Poe server to a bot server", REQUEST_CLASSES.values())


def event_schema() -> dict[str, Any]:
    """The JSON Schema of an event as an object of its name, ``event``, and its payload, ``data``.

    `event_payload` and the command's ``--json`` show events in this form. The ``$defs`` contain the schemas of the
    payloads by the names of their classes: `Text` and so on.
    """
    schemas = _Schemas(is_open=True)
    alternatives: list[dict[str, Any]] = []
    for name, cls in EVENT_CLASSES.items():
        alternatives.append({"properties": {"event": {"const": name}, "data": schemas.of(cls)}})
    return schemas.document("An event of a bot server's reply") | {
        "type": "object",
        "required": ["event", "data"],
        "oneOf": alternatives,
    }


def settings_schema() -> dict[str, Any]:
    """The JSON Schema of the settings of a bot."""
    schemas = _Schemas(is_open=False)
    schemas.of(SettingsResponse)
    return schemas.document("The settings of a bot", [SettingsResponse])


class _Schemas:
    """The schemas of classes that refer to each other.

    Args:
        is_open: whether unknown keys are allowed.
    """

    def __init__(self, is_open: bool) -> None:
        self._is_open = is_open
        self._definitions: dict[str, dict[str, Any]] = {}

    def document(self, title: str, alternatives: Iterable[type] = ()) -> dict[str, Any]:
        """The schema document of a value of one of these classes."""
        references = [_reference(cls) for cls in alternatives]
        return {
            "$schema": _DIALECT,
            "title": title,
            **(references[0] if len(references) == 1 else {"oneOf": references} if references else {}),
            "$defs": dict(sorted(self._definitions.items())),
        }

    def define(self, cls: type, properties: Mapping[str, Any], required: Iterable[str] = ()) -> None:
        """Add the schema of a class, with further properties."""
        summary, texts = _documentation(cls)
        schema: dict[str, Any] = {"type": "object", "description": summary}
        self._definitions[cls.__name__] = schema  # before its fields, since one may be of the same class
        schema["properties"] = all_properties = dict(properties)
        needed = list(required)
        hints, requirements = typing.get_type_hints(cls), requirements_of(cls)
        for field in attrs.fields(cls):
            if field.name == "extra":
                continue
            text = {"description": texts[field.name]} if field.name in texts else {}
            default = {} if field.name in needed else _default(field)
            schema_of_field = self.of(hints[field.name]) | default | _rule(cls, field.name)
            if field.name in requirements and requirements[field.name].written(None) is None:
                schema_of_field["type"] = [schema_of_field["type"], "null"]
            all_properties[field.name] = text | schema_of_field
            if field.default is attrs.NOTHING and field.name not in needed:
                needed.append(field.name)
        if needed:
            schema["required"] = needed
        schema |= _CLASS_RULES.get(cls, {})
        if not self._is_open:
            schema["additionalProperties"] = False

    def of(self, hint: Any) -> dict[str, Any]:
        """The schema of a value with this annotation."""
        if hint is Any:
            return {}
        if hint in _BASES:
            return {"oneOf": [self.of(cls) for cls in _BASES[hint]]}
        if attrs.has(hint):
            if hint is Json:
                return {"type": "object"}
            if hint.__name__ not in self._definitions:
                kind = {"control": {"const": _KINDS[hint]}} if hint in _KINDS else {}
                self.define(hint, kind, required=kind)
            return _reference(hint)
        origin, inner = typing.get_origin(hint), typing.get_args(hint)
        if origin is list:
            return {"type": "array", "items": self.of(inner[0])}
        if origin is dict:
            return {"type": "object"} | ({} if inner[1] is Any else {"additionalProperties": self.of(inner[1])})
        # None means that the field is left out.
        choices = [option for option in options(hint) if option is not types.NoneType]
        if len(choices) == 1:
            return {"type": _TYPES[choices[0]]} if choices[0] in _TYPES else self.of(choices[0])
        names = [_TYPES[choice] for choice in choices if not (choice is int and float in choices)]
        return {"type": names[0] if len(names) == 1 else names}


def _rule(cls: type, field: str) -> dict[str, Any]:
    return _PARAMETER_NAME_RULE if field == "parameter_name" else _FIELD_RULES.get((cls, field), {})


def _default(field: attrs.Attribute[Any]) -> dict[str, Any]:
    """The value that readers assume for an absent field. None means that an absent field has no value."""
    value: Any = field.default
    if isinstance(value, attrs.Factory):  # pyright: ignore[reportArgumentType]
        value = value.factory()
    return {} if value is None or value is attrs.NOTHING else {"default": value}


def _reference(cls: type) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{cls.__name__}"}


_ATTRIBUTE = re.compile(r"^    (\w+): (.*(?:\n        .*)*)", re.MULTILINE)


def _documentation(cls: type) -> tuple[str, dict[str, str]]:
    """The summary of a class and the description of each field, from its docstring; empty under `python -OO`."""
    text = inspect.cleandoc(cls.__doc__ or "")
    summary, _, rest = text.partition("\n\n")
    _, _, attributes = rest.partition("Attributes:\n")
    attributes, _, _ = attributes.partition("\n\n")
    return " ".join(summary.split()), {name: " ".join(text.split()) for name, text in _ATTRIBUTE.findall(attributes)}
