"""The JSON Schema of a line of a recording.

https://json-schema.org/draft/2020-12
"""

from __future__ import annotations

from typing import Any

from poeproto_record.lines import LARGEST, MARK
from poeproto_record.records import FORMAT_VERSION, End

__all__ = ["recording_schema"]


def recording_schema() -> dict[str, Any]:
    """The JSON Schema of one line: the first is a ``header``, each other one a ``record``."""
    body = {"text": _TEXT, "b64": {"type": "string", "contentEncoding": "base64"}, "omitted": _COUNT}
    either = {"oneOf": [{"required": ["text"]}, {"required": ["b64"]}]}
    records = {
        "request": _record("request", {"method": _TEXT, "url": _TEXT, "headers": _HEADERS}, body)
        | {"not": {"required": ["text", "b64"]}},
        "request-data": _record("request-data", {}, body) | either,
        "head": _record("head", {"status": {"type": "integer", "minimum": 100, "maximum": 999}, "headers": _HEADERS}),
        "data": _record("data", {}, body) | either,
        "end": _record("end", {"outcome": {"enum": [end.value for end in End]}}, {"detail": _TEXT}),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A line of a recording",
        "oneOf": [{"$ref": "#/$defs/header"}, {"$ref": "#/$defs/record"}],
        "$defs": {
            "header": {
                "type": "object",
                "properties": {
                    MARK: {"type": "integer", "minimum": 0, "maximum": FORMAT_VERSION},
                    "created": _TEXT,
                    "tool": _TEXT,
                    "redacted": {"type": ["object", "null"]},
                },
                "required": [MARK],
            },
            "record": {"oneOf": [{"$ref": f"#/$defs/{kind}"} for kind in records]},
            **records,
        },
    }


_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0, "maximum": LARGEST}
_HEADERS = {
    "type": "array",
    "items": {"type": "array", "prefixItems": [_TEXT, _TEXT], "minItems": 2, "maxItems": 2},
}


def _record(kind: str, required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    common = {
        "kind": {"const": kind},
        "exchange": {"type": "integer", "minimum": 1, "maximum": LARGEST},
        "at": {"type": "number", "minimum": 0, "maximum": LARGEST},
    }
    return {
        "type": "object",
        "properties": common | required | (optional or {}),
        "required": [*common, *required],
    }
