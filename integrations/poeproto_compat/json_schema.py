"""JSON Schemas of models, for programs whose routes take or return them."""

from __future__ import annotations

import types
import typing
from typing import Any

_NAMES: dict[Any, str] = {
    str: "string",
    bytes: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    type(None): "null",
    list: "array",
    dict: "object",
}


def schema_of(cls: Any) -> dict[str, Any]:
    """The schema of a class derived from `Model`.

    The schemas of models in its fields stand inside. A model within itself is any object.
    """
    return _model_schema(cls, ())


def _model_schema(cls: Any, outer: tuple[Any, ...]) -> dict[str, Any]:
    if cls in outer:
        return {"type": "object", "title": cls.__name__}
    properties: dict[str, Any] = {}
    required: list[str] = []
    for name, info in cls.model_fields.items():
        key = info.alias or name
        properties[key] = _schema(info.annotation, (*outer, cls))
        if info.is_required():
            required.append(key)
    schema: dict[str, Any] = {"type": "object", "title": cls.__name__, "properties": properties}
    if required:
        schema["required"] = required
    if cls.model_config.get("extra") == "forbid":
        schema["additionalProperties"] = False
    return schema


def _schema(hint: Any, outer: tuple[Any, ...]) -> dict[str, Any]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return {"enum": list(arguments)}
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_schema(each, outer) for each in arguments]}
    if origin is list:
        return {"type": "array", "items": _schema(arguments[0], outer)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema(arguments[1], outer)}
    if hasattr(hint, "model_fields"):
        return _model_schema(hint, outer)
    name = _NAMES.get(hint)
    return {} if name is None else {"type": name}
