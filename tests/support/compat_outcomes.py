"""Outcomes of calls on fastapi_poe's types or on poeproto_compat's, in a form that can be compared."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any


def outcome(call: Callable[[], Any]) -> Any:
    """The value that a call returns, or its failure."""
    try:
        return plain(call())
    except ValueError as error:
        if hasattr(error, "errors"):
            return "invalid", [(each["type"], each["loc"]) for each in error.errors()]  # pyright: ignore[reportAttributeAccessIssue]
        return (ValueError,)  # the words are each library's own
    except Exception as error:  # noqa: BLE001  # any exception is an outcome
        return type(error), re.sub(r"^\w+\.(?=__init__)|type object '\w+' has no attribute ", "", str(error))


def plain(value: Any) -> Any:
    """A value with its types, and those of the values inside, but without the module of models."""
    if hasattr(type(value), "model_dump"):
        fields = {**value.__dict__, **(value.model_extra or {})}
        return type(value).__name__, plain(fields), sorted(value.model_fields_set)
    if isinstance(value, dict):
        return type(value), [(plain(key), plain(item)) for key, item in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value), [plain(item) for item in value]
    return type(value), re.sub(r"fastapi_poe|poeproto_compat", "", repr(value))
