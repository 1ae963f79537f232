"""Lint of one JSON object: its keys, the types of its fields, and the rules of its class, down to the innermost.

https://creator.poe.com/docs/server-bots/poe-protocol-specification
"""

from __future__ import annotations

import functools
import json
import typing
from collections.abc import Iterator
from typing import Any, cast

import attrs

from poeproto.identifiers import is_identifier
from poeproto.lint.rules import BIAS_RANGE, DEPRECATED, IDENTIFIER_TAGS, NOT_EMPTY, OPEN_SETS, Finding, Severity
from poeproto.vocabulary.controls import (
    OLD_COMPARATORS,
    Comparison,
    Control,
    LiteralValue,
    Operand,
    ParameterValue,
    Validated,
)
from poeproto.vocabulary.errors import RemoteProtocolError
from poeproto.vocabulary.field_types import NO_EXTRA, fits, options, type_name, with_integers
from poeproto.vocabulary.requests import QueryRequest
from poeproto.wire.json import join_paths, json_type, loads
from poeproto.wire.structure import CONTROL_CLASSES


def load_strictly(text: bytes | str) -> tuple[dict[str, Any] | None, list[Finding]]:
    """The JSON object in the text, or None if there is none, and the findings in it as JSON."""
    try:
        wire = loads(text)
    except RemoteProtocolError as exc:
        return None, [Finding("", "json", Severity.ERROR, str(exc))]
    try:
        return wire, list(_duplicates(json.loads(text, object_pairs_hook=_Pairs)))
    except RecursionError:  # this parser needs a few more frames than msgspec's
        return None, [_TOO_DEEP]


_TOO_DEEP = Finding("", "json", Severity.ERROR, "not acceptable JSON: nested too deeply")


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as a list of pairs, with duplicate keys."""


def _duplicates(value: Any) -> Iterator[Finding]:
    left: list[tuple[str, Any]] = [("", value)]
    while left:
        path, value = left.pop()
        if isinstance(value, _Pairs):
            inner = [(join_paths(path, key), item) for key, item in value]
            seen: set[str] = set()
            for key, _ in value:
                if key in seen:
                    message = f"the key {key!r} is there twice; readers take the last one"
                    yield Finding(join_paths(path, key), "duplicate-key", Severity.WARNING, message)
                seen.add(key)
            left += reversed(inner)
        elif isinstance(value, list):
            items = enumerate(cast("list[Any]", value))
            left += reversed([(f"{path}[{number}]", item) for number, item in items])


def object_findings(
    wire: dict[str, Any], cls: type, *, unknown: Severity = Severity.NOTE, null: Severity = Severity.NOTE
) -> list[Finding]:
    """The findings in a JSON object of that class, and in all objects within it.

    Args:
        wire: the object.
        cls: the class.
        unknown: the severity of a field that the class does not have.
        null: the severity of a null where the field should be left out.
    """
    reading = _Reading(unknown, null)
    try:
        reading.read(wire, cls, "")
    except RecursionError:  # the caller's stack was nearly full
        return [_TOO_DEEP]
    return reading.found


@functools.cache
def _fields(cls: type) -> dict[str, tuple[attrs.Attribute[Any], Any]]:
    hints = typing.get_type_hints(cls)
    return {name: (field, hints[name]) for name, field in attrs.fields_dict(cls).items() if name != "extra"}


_UNREADABLE: Any = object()


class _Reading:
    """One pass over a JSON object and all objects within it.

    Validated values are made without their constructors, which would raise for the first violation; here every
    violation becomes a finding.
    """

    def __init__(self, unknown: Severity, null: Severity) -> None:
        self.found: list[Finding] = []
        self._unknown = unknown
        self._null = null

    def _report(self, path: str, rule: str, severity: Severity, message: str) -> None:
        self.found.append(Finding(path, rule, severity, message))

    def read(self, wire: dict[str, Any], cls: type, path: str) -> Any:
        """The value, or `_UNREADABLE` if a field is missing or has the wrong type."""
        fields = _fields(cls)
        given = {
            name: self._field(wire, cls, name, field, hint, join_paths(path, name))
            for name, (field, hint) in fields.items()
        }
        for key in wire:
            if key not in fields:
                self._report(join_paths(path, key), "unknown-field", self._unknown, "unknown field")
        if any(value is _UNREADABLE for value in given.values()):
            return _UNREADABLE
        if not issubclass(cls, Validated):
            return cls(**given)
        value = object.__new__(cls)
        for name, field_value in {**given, "extra": NO_EXTRA}.items():
            object.__setattr__(value, name, field_value)
        for place, message in value.violations():
            self._report(join_paths(path, place), "value", Severity.ERROR, message)
        return value

    def _field(
        self, wire: dict[str, Any], cls: type, name: str, field: attrs.Attribute[Any], hint: Any, place: str
    ) -> Any:
        required = field.default is attrs.NOTHING
        given = wire.get(name)
        if required and name not in wire:
            self._report(place, "missing-field", Severity.ERROR, "missing")
            return _UNREADABLE
        if given is None and not required:
            if name in wire and (not fits(None, hint) or self._null is not Severity.NOTE):
                self._report(place, "null-for-absent", self._null, "null; leave the key out instead")
            default: Any = field.default
            return default.factory() if hasattr(default, "factory") else default
        value = self._value(given, hint, place)
        self._word(given, cls, name, place)
        if isinstance(value, str) and (cls, name) == (Comparison, "comparator"):
            return OLD_COMPARATORS.get(value, value)
        return value

    def _value(self, given: Any, hint: Any, place: str) -> Any:
        inner, many = _class_within(hint)
        if inner is not None and not many:
            return self._inner(given, inner, place)
        if inner is not None and isinstance(given, list):
            items = enumerate(cast("list[Any]", given))
            values = [self._inner(item, inner, f"{place}[{number}]") for number, item in items]
            return _UNREADABLE if any(value is _UNREADABLE for value in values) else values
        given = with_integers(given, hint)
        if not fits(given, hint):
            message = f"expected {type_name(hint)}, got {json_type(given)}"
            self._report(place, "field-type", Severity.ERROR, message)
            return _UNREADABLE
        return given

    def _inner(self, given: Any, base: type, place: str) -> Any:
        if not isinstance(given, dict):
            self._report(place, "field-type", Severity.ERROR, f"expected an object, got {json_type(given)}")
            return _UNREADABLE
        wire, cls = cast("dict[str, Any]", given), base
        if base is Control:
            kind = wire.get("control")
            if not isinstance(kind, str) or kind not in CONTROL_CLASSES:
                message = f"unknown control {kind!r}; expected one of {', '.join(CONTROL_CLASSES)}"
                self._report(f"{place}.control", "unknown-control", Severity.ERROR, message)
                return _UNREADABLE
            wire, cls = {key: item for key, item in wire.items() if key != "control"}, CONTROL_CLASSES[kind]
        elif base is Operand:
            cls = ParameterValue if "parameter_name" in wire else LiteralValue
        return self.read(wire, cls, place)

    def _word(self, value: Any, cls: type, name: str, place: str) -> None:
        known = OPEN_SETS.get((cls, name))
        if known is not None and isinstance(value, str) and value not in known:
            message = f"{value!r} is not one of {', '.join(sorted(known))}"
            self._report(place, "unknown-value", Severity.NOTE, message)
        if name in DEPRECATED.get(cls, ()):
            self._report(place, "deprecated-field", Severity.WARNING, "deprecated")
        # Simulators and other bots leave identifiers empty; the specification tells readers to accept that.
        tag = IDENTIFIER_TAGS.get(name)
        if tag is not None and isinstance(value, str) and value and not is_identifier(value, tag):
            message = f"expected {tag}- and 32 characters from a-z, 0-9 and ="
            self._report(place, "identifier-form", Severity.NOTE, message)
        if value == "" and (cls, name) in NOT_EMPTY:
            self._report(place, "empty-for-absent", Severity.WARNING, "empty; leave the key out instead")
        if cls is Comparison and name == "comparator" and isinstance(value, str) and value in OLD_COMPARATORS:
            message = f"{value!r} is the older name; write {OLD_COMPARATORS[value]!r}"
            self._report(place, "deprecated-value", Severity.WARNING, message)
        if cls is QueryRequest and name == "logit_bias" and isinstance(value, dict):
            self._biases(cast("dict[str, Any]", value), place)

    def _biases(self, biases: dict[str, Any], place: str) -> None:
        low, high = BIAS_RANGE
        for token, bias in biases.items():
            if isinstance(bias, int | float) and not low <= bias <= high:
                self._report(join_paths(place, token), "value", Severity.WARNING, f"{bias} is outside {low}..{high}")


@functools.cache
def _class_within(hint: Any) -> tuple[type | None, bool]:
    """The class of the objects in a field, None if it has none, and whether the field is a list."""
    for option in options(hint):
        many = typing.get_origin(option) is list
        inner = typing.get_args(option)[0] if many else option
        if attrs.has(inner) or inner in (Control, Operand):
            return inner, many
    return None, False
