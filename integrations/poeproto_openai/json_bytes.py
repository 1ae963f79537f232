"""JSON as it is sent: UTF-8, and lone surrogates as escapes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec

_encode: Callable[[Any], bytes] = msgspec.json.Encoder().encode


def json_bytes(value: Any) -> bytes:
    """The value as JSON."""
    try:
        return _encode(value)
    except UnicodeEncodeError:  # a lone surrogate, which bots written in JavaScript send
        return json.dumps(value, separators=(",", ":")).encode()
