"""A JSON Schema of HAR 1.2, as its page describes the format: http://www.softwareishard.com/blog/har-12-spec/"""

from __future__ import annotations

from typing import Any

_TEXT = {"type": "string"}
_SIZE = {"type": "integer", "minimum": -1}


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    """An object of those fields; others begin with an underscore, as the page demands."""
    return {
        "type": "object",
        "properties": {**required, **(optional or {}), "comment": _TEXT},
        "patternProperties": {"^_": {}},
        "required": list(required),
        "additionalProperties": False,
    }


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


_PAIRS = _list(_object({"name": _TEXT, "value": _TEXT}))
_MILLISECONDS = {"type": "number", "minimum": 0}
_MESSAGE = {
    "httpVersion": _TEXT,
    "cookies": _PAIRS,
    "headers": _PAIRS,
    "headersSize": _SIZE,
    "bodySize": _SIZE,
}
_REQUEST = _object(
    {"method": _TEXT, "url": {"type": "string", "pattern": "^[a-z]+://"}, "queryString": _PAIRS, **_MESSAGE},
    {"postData": _object({"mimeType": _TEXT, "params": _PAIRS, "text": _TEXT})},
)
_CONTENT = _object({"size": _SIZE, "mimeType": _TEXT}, {"text": _TEXT, "encoding": _TEXT, "compression": _SIZE})
_RESPONSE = _object(
    {"status": {"type": "integer"}, "statusText": _TEXT, "content": _CONTENT, "redirectURL": _TEXT, **_MESSAGE}
)
_TIMES = {"send": _MILLISECONDS, "wait": _MILLISECONDS, "receive": _MILLISECONDS}
_DATE = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"}
_ENTRY = _object(
    {
        "startedDateTime": _DATE,
        "time": _MILLISECONDS,
        "request": _REQUEST,
        "response": _RESPONSE,
        "cache": _object({}),
        "timings": _object(_TIMES),
    },
    {"pageref": _TEXT, "serverIPAddress": _TEXT, "connection": _TEXT},
)
_LOG = _object(
    {"version": {"const": "1.2"}, "creator": _object({"name": _TEXT, "version": _TEXT}), "entries": _list(_ENTRY)},
    {"pages": {"type": "array"}, "browser": _object({"name": _TEXT, "version": _TEXT})},
)
HAR_SCHEMA: dict[str, Any] = _object({"log": _LOG})
