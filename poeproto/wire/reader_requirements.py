"""Reader requirements: the optional fields that are written even when unset, because a known reader requires the key.

The protocol lets a writer leave out unset fields, and all other optional fields are left out. The readers named here
answer with status 500, or fail, where the key of one of these fields is missing. Nothing but this table decides it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from poeproto.vocabulary.events import File
from poeproto.vocabulary.messages import Feedback
from poeproto.vocabulary.tools import FunctionDefinition

_EMPTY_OBJECT_SCHEMA: Mapping[str, Any] = {"type": "object", "properties": {}}


@attrs.frozen
class Requirement:
    """The JSON value written for a field that a known reader requires.

    Attributes:
        written: makes the value to write of the field's value.
        source: where the reader requires it.
    """

    written: Callable[[Any], Any]
    source: str


def _null(value: Any) -> Any:
    return value


def _empty_string(value: Any) -> Any:
    return "" if value is None else value


def _object_schema(value: Any) -> Any:
    """The schema with `type` and `properties`: those of an object without properties where they are missing or null."""
    schema: dict[str, Any] = value or {}
    missing = {key: default for key, default in _EMPTY_OBJECT_SCHEMA.items() if schema.get(key) is None}
    return {**schema, **missing} if missing else schema


REQUIREMENTS: Mapping[tuple[type, str], Requirement] = {
    (Feedback, "reason"): Requirement(_null, "fastapi_poe.types.MessageFeedback: Optional[str] without a default"),
    (FunctionDefinition, "description"): Requirement(
        _empty_string, "fastapi_poe.types.FunctionDefinition: str without a default; null is refused"
    ),
    (FunctionDefinition, "parameters"): Requirement(
        _object_schema, "fastapi_poe.types.ParametersDefinition: `type` and `properties` without defaults"
    ),
    (File, "inline_ref"): Requirement(
        _null, "fastapi_poe.base.PoeBot.file_event: in every reply of its servers the key is there, null where unset"
    ),
}


def requirements_of(cls: type) -> dict[str, Requirement]:
    """The requirements on the fields of a class, by the field's name."""
    return {name: requirement for (owner, name), requirement in REQUIREMENTS.items() if owner is cls}
