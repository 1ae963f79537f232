"""Lint of one JSON object: its keys, the types of its fields, and the rules of its class, down to the innermost.

https://creator.poe.com/docs/server-bots/poe-protocol-specification
"""

from __future__ import annotations

import functools
import json
import re
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Literal, cast

import attrs

from poeproto.identifiers import is_identifier
from poeproto.lint.finding import Finding
from poeproto.lint.known_values import BIAS_RANGE, DEPRECATED, IDENTIFIER_TAGS, NOT_EMPTY, NULL_ACCEPTED, OPEN_SETS
from poeproto.vocabulary.controls import (
    OLD_COMPARATORS,
    Comparison,
    ConditionalControls,
    Control,
    LiteralValue,
    Operand,
    ParameterControls,
    ParameterValue,
    Section,
    Validated,
)
from poeproto.vocabulary.errors import RemoteProtocolError
from poeproto.vocabulary.field_types import NO_EXTRA, fits, options, type_name, with_integers
from poeproto.vocabulary.requests import QueryRequest
from poeproto.vocabulary.settings import SettingsResponse
from poeproto.wire.json import join_paths, json_type, loads
from poeproto.wire.reader_requirements import REQUIREMENTS
from poeproto.wire.structure import CONTROL_CLASSES

# The families of the rules about JSON objects. The controls are a part of the settings.
Family = Literal["request", "settings", "controls", "event"]


def load_strictly(text: bytes | str, family: Family) -> tuple[dict[str, Any] | None, list[Finding]]:
    """The JSON object in the text, or None if there is none, and the findings in it as JSON."""
    try:
        wire = loads(text)
    except RemoteProtocolError as exc:
        return None, [Finding("", f"{family}.json", str(exc))]
    try:
        pairs = _load_pairs(text) if isinstance(text, str) else json.loads(text, object_pairs_hook=_Pairs)
        return wire, list(_json_findings(pairs, family))
    except RecursionError:  # this parser needs a few more frames than msgspec's
        return None, [_too_deep(family)]


def _too_deep(family: Family) -> Finding:
    return Finding("", f"{family}.json", "not acceptable JSON: nested too deeply")


# A pair of them is one character in a Python string.
_SURROGATE = re.compile("[\ud800-\udfff]")


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as a list of pairs, with duplicate keys."""


# `json.loads` would make a decoder for each event.
_load_pairs = json.JSONDecoder(object_pairs_hook=_Pairs).decode


def _json_findings(value: Any, family: Family) -> Iterator[Finding]:
    left: list[tuple[str, Any]] = [("", value)]
    while left:
        path, value = left.pop()
        if isinstance(value, _Pairs):
            inner = [(join_paths(path, key), item) for key, item in value]
            seen: set[str] = set()
            for key, _ in value:
                if key in seen:
                    message = f"the key {key!r} is there twice; readers take the last one"
                    yield Finding(join_paths(path, key), f"{family}.duplicate-keys", message)
                seen.add(key)
            left += reversed(inner)
        elif isinstance(value, list):
            items = enumerate(cast("list[Any]", value))
            left += reversed([(f"{path}[{number}]", item) for number, item in items])
        elif isinstance(value, str) and (surrogate := _SURROGATE.search(value)):
            message = f"half a character: the surrogate U+{ord(surrogate[0]):04X} without its partner"
            yield Finding(path, f"{family}.surrogates", message)


def object_findings(wire: dict[str, Any], cls: type, family: Family) -> list[Finding]:
    """The findings in a JSON object of that class, and in all objects within it, by the rules of that family."""
    reading = _Reading(family)
    try:
        reading.read(wire, cls, "")
    except RecursionError:  # the caller's stack was nearly full
        return [_too_deep(family)]
    return reading.found


@functools.cache
def _fields(cls: type) -> dict[str, tuple[attrs.Attribute[Any], Any]]:
    hints = typing.get_type_hints(cls)
    return {name: (field, hints[name]) for name, field in attrs.fields_dict(cls).items() if name != "extra"}


_UNREADABLE: Any = object()

# The rule that a violation breaks, by the class of the value and the field that is wrong. The class is None where the
# rule is the same for every class that has the field.
_VIOLATED_RULES: Mapping[tuple[type | None, str], str] = {
    (None, "parameter_name"): "controls.parameter-name",
    (None, "default_value"): "controls.default-value",
    (None, "max_value"): "controls.slider-range",
    (None, "step"): "controls.slider-range",
    (None, "options"): "controls.options",
    (None, "width"): "controls.aspect-ratio",
    (None, "height"): "controls.aspect-ratio",
    (None, "comparator"): "controls.comparator",
    (None, "controls"): "controls.empty",
    (None, "tabs"): "controls.empty",
    (Section, ""): "controls.section",
    (ParameterControls, "sections"): "controls.shared-default",
    (SettingsResponse, "server_bot_dependencies"): "settings.dependencies",
}


def _violated_rule(cls: type, place: str) -> str:
    if cls is ConditionalControls and place.startswith("controls["):
        return "controls.nested-condition"
    field = re.split(r"[.\[]", place)[0]
    return _VIOLATED_RULES.get((cls, field)) or _VIOLATED_RULES[None, field]


class _Reading:
    """One pass over a JSON object and all objects within it.

    Validated values are made without their constructors, which would raise for the first violation; here every
    violation becomes a finding.
    """

    def __init__(self, family: Family) -> None:
        self.found: list[Finding] = []
        self._family = family

    def _report(self, path: str, subject: str, message: str) -> None:
        self.found.append(Finding(path, f"{self._family}.{subject}", message))

    def read(self, wire: dict[str, Any], cls: type, path: str) -> Any:
        """The value, or `_UNREADABLE` if a field is missing or has the wrong type."""
        fields = _fields(cls)
        given = {
            name: self._field(wire, cls, name, field, hint, join_paths(path, name))
            for name, (field, hint) in fields.items()
        }
        for key in wire:
            if key not in fields:
                self._report(join_paths(path, key), "unknown-fields", "unknown field")
        if any(value is _UNREADABLE for value in given.values()):
            return _UNREADABLE
        if not issubclass(cls, Validated):
            return cls(**given)
        value = object.__new__(cls)
        for name, field_value in {**given, "extra": NO_EXTRA}.items():
            object.__setattr__(value, name, field_value)
        for place, message in value.violations():
            self.found.append(Finding(join_paths(path, place), _violated_rule(cls, place), message))
        return value

    def _field(
        self, wire: dict[str, Any], cls: type, name: str, field: attrs.Attribute[Any], hint: Any, place: str
    ) -> Any:
        required = field.default is attrs.NOTHING
        given = wire.get(name)
        if required and name not in wire:
            self._report(place, "required-fields", "missing")
            return _UNREADABLE
        if name not in wire and (cls, name) in REQUIREMENTS:
            self._report(place, "known-readers", "missing; fastapi_poe requires the key, null if there is no value")
        if given is None and not required:
            accepted = self._family in ("request", "event") or (cls, name) in NULL_ACCEPTED
            if name in wire and not (accepted and fits(None, hint)):
                self._report(place, "null-fields", "null; leave the key out instead")
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
            self._report(place, "field-types", message)
            return _UNREADABLE
        return given

    def _inner(self, given: Any, base: type, place: str) -> Any:
        if not isinstance(given, dict):
            self._report(place, "field-types", f"expected an object, got {json_type(given)}")
            return _UNREADABLE
        wire, cls = cast("dict[str, Any]", given), base
        if base is Control:
            kind = wire.get("control")
            if not isinstance(kind, str) or kind not in CONTROL_CLASSES:
                message = f"unknown control {kind!r}; expected one of {', '.join(CONTROL_CLASSES)}"
                self._report(f"{place}.control", "kinds", message)
                return _UNREADABLE
            wire, cls = {key: item for key, item in wire.items() if key != "control"}, CONTROL_CLASSES[kind]
        elif base is Operand:
            cls = ParameterValue if "parameter_name" in wire else LiteralValue
        elif base is ParameterControls:
            return self._controls(wire, place)
        return self.read(wire, cls, place)

    def _controls(self, wire: dict[str, Any], place: str) -> Any:
        reading = _Reading("controls")
        value = reading.read(wire, ParameterControls, place)
        self.found += reading.found
        return value

    def _word(self, value: Any, cls: type, name: str, place: str) -> None:
        known = OPEN_SETS.get((cls, name))
        if known is not None and isinstance(value, str) and value not in known:
            message = f"{value!r} is not one of {', '.join(sorted(known))}"
            self._report(place, "unknown-values", message)
        if name in DEPRECATED.get(cls, ()):
            self._report(place, "deprecated-fields", "deprecated")
        # Simulators and other bots leave identifiers empty; the specification requires readers to accept that.
        tag = IDENTIFIER_TAGS.get((cls, name)) or IDENTIFIER_TAGS.get((None, name))
        if tag is not None and isinstance(value, str) and value and not is_identifier(value, tag):
            message = f"expected {tag}- and 32 characters from a-z, 0-9 and ="
            self._report(place, "identifier-form", message)
        if value == "" and (cls, name) in NOT_EMPTY:
            self._report(place, "inline-ref", "empty; leave the key out instead")
        if cls is Comparison and name == "comparator" and isinstance(value, str) and value in OLD_COMPARATORS:
            message = f"{value!r} is the older name; write {OLD_COMPARATORS[value]!r}"
            self._report(place, "old-comparator", message)
        if cls is QueryRequest and name == "logit_bias" and isinstance(value, dict):
            self._biases(cast("dict[str, Any]", value), place)
        if cls is QueryRequest and name == "temperature" and isinstance(value, int | float) and value < 0:
            self._report(place, "temperature", f"{value} is negative")

    def _biases(self, biases: dict[str, Any], place: str) -> None:
        low, high = BIAS_RANGE
        for token, bias in biases.items():
            if isinstance(bias, int | float) and not low <= bias <= high:
                self._report(join_paths(place, token), "logit-bias", f"{bias} is outside {low}..{high}")


@functools.cache
def _class_within(hint: Any) -> tuple[type | None, bool]:
    """The class of the objects in a field, None if it has none, and whether the field is a list."""
    for option in options(hint):
        many = typing.get_origin(option) is list
        inner = typing.get_args(option)[0] if many else option
        if attrs.has(inner) or inner in (Control, Operand):
            return inner, many
    return None, False
