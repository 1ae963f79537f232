"""Structure: dicts to attrs values and back. The general path of the codec, and the only module that uses cattrs.

`structure` first normalises the dict, then lets msgspec convert it. Normalising drops a null where the field has a
default, makes an integer of a float without a fraction where the field is an integer, and moves unknown keys to
`extra`; msgspec alone would refuse the first two and drop the third. A fault becomes a `RemoteProtocolError` whose
`path` is the place, which msgspec has only as text at the end of its message.

`unstructure` lets cattrs make the dict, drops unset fields except those that a known reader requires
(`wire.reader_requirements`), and puts `extra` back.
"""

from __future__ import annotations

import functools
import re
import typing
from collections.abc import Callable
from typing import Any, TypeVar, cast

import attrs
import cattrs
import msgspec
from cattrs.gen import make_dict_unstructure_fn, override

from poeproto.vocabulary.controls import (
    AspectRatio,
    ConditionalControls,
    Control,
    Divider,
    DropDown,
    LiteralValue,
    Operand,
    ParameterValue,
    Slider,
    TextArea,
    TextField,
    ToggleSwitch,
    UnknownControl,
)
from poeproto.vocabulary.errors import InvalidValue, LocalProtocolError, RemoteProtocolError
from poeproto.vocabulary.field_types import is_integer_type, options, with_integers
from poeproto.wire.json import join_paths, json_type
from poeproto.wire.reader_requirements import requirements_of

T = TypeVar("T")

CONTROL_CLASSES: dict[str, type[Control]] = {
    cls.control: cls
    for cls in (
        Divider, TextField, TextArea, DropDown, ToggleSwitch, Slider, AspectRatio, ConditionalControls,
    )
}  # fmt: skip


@attrs.frozen
class _Shape:
    """The layout of a class, prepared for normalising."""

    known: frozenset[str]
    defaulted: frozenset[str]
    nested: tuple[tuple[str, type, bool], ...]  # name of a field, class of its values, whether it is a list of them
    integers: tuple[tuple[str, Any], ...]  # name and annotation of a field that is an integer, or a dict of integers


@functools.cache
def _shape(cls: type) -> _Shape:
    fields = [field for field in attrs.fields(cls) if field.name != "extra"]
    hints = typing.get_type_hints(cls)
    nested: list[tuple[str, type, bool]] = []
    for field in fields:
        for option in options(hints[field.name]):
            many = typing.get_origin(option) is list
            inner = typing.get_args(option)[0] if many else option
            if attrs.has(inner):
                nested.append((field.name, inner, many))
    return _Shape(
        known=frozenset(field.name for field in fields),
        defaulted=frozenset(field.name for field in fields if field.default is not attrs.NOTHING),
        nested=tuple(nested),
        integers=tuple((name, hint) for name, hint in hints.items() if is_integer_type(hint) or hint == dict[str, int]),
    )


def structure(wire: dict[str, Any], cls: type[T]) -> T:
    """The value of that class in a parsed JSON object.

    Raises:
        RemoteProtocolError: if a field is missing, has the wrong type, or breaks a rule of its class; `path` names it.
    """
    try:
        return _convert(wire, cls)
    except RecursionError as exc:
        # A message can refer to another message, and walking those takes more of the stack than parsing them took.
        raise RemoteProtocolError("nested too deeply") from exc


def _convert(wire: dict[str, Any], cls: type[T]) -> T:
    try:
        return _convert_normalised(_normalised(wire, cls), cls)
    except msgspec.ValidationError as exc:
        raise _remote_error(exc) from exc


def _convert_normalised(wire: dict[str, Any], cls: type[T]) -> T:
    try:
        return msgspec.convert(wire, cls, dec_hook=_structure_by_kind)
    except UnicodeEncodeError:
        # If another type than a string is expected, msgspec fails on a lone surrogate before it can report the type.
        return msgspec.convert(_without_surrogates(wire), cls, dec_hook=_structure_by_kind)


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {key: _without_surrogates(item) for key, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_without_surrogates(item) for item in cast("list[Any]", value)]
    return value


def _structure_by_kind(cls: type, wire: Any) -> Any:
    """Hook of msgspec for fields with several classes: a control, and a side of a comparison."""
    if not isinstance(wire, dict):
        raise InvalidValue(f"expected an object, got {json_type(wire)}")
    given = cast("dict[str, Any]", wire)
    try:
        return _convert_control(given) if cls is Control else _convert_comparison_side(given)
    except RemoteProtocolError as exc:
        # msgspec adds its path to a ValueError, and to no other exception.
        raise InvalidValue(exc.args[0], path=exc.path) from exc


def _convert_control(wire: dict[str, Any]) -> Control:
    kind = wire.get("control")
    if not isinstance(kind, str):
        raise RemoteProtocolError("missing, or not a string", path="control")
    cls = CONTROL_CLASSES.get(kind)
    if cls is None:
        return _convert(wire, UnknownControl)
    return _convert({key: value for key, value in wire.items() if key != "control"}, cls)


def _convert_comparison_side(wire: dict[str, Any]) -> Operand:
    kinds = [cls for cls in (LiteralValue, ParameterValue) if attrs.fields(cls)[0].name in wire]
    if len(kinds) != 1:
        raise RemoteProtocolError("expected exactly one of literal and parameter_name")
    return _convert(wire, kinds[0])


def _normalised(wire: dict[str, Any], cls: type) -> dict[str, Any]:
    """The object without nulls that mean a default, with whole floats as integers, and unknown keys under `extra`."""
    shape = _shape(cls)
    known = {
        key: value
        for key, value in wire.items()
        if key in shape.known and not (value is None and key in shape.defaulted)
    }
    for name, inner, many in shape.nested:
        value = known.get(name)
        if many and isinstance(value, list):
            known[name] = [_normalised_item(item, inner) for item in cast("list[Any]", value)]
        elif not many and name in known:
            known[name] = _normalised_item(value, inner)
    for name, hint in shape.integers:
        if name in known:
            known[name] = with_integers(known[name], hint)
    extra = {key: value for key, value in wire.items() if key not in shape.known}
    return {**known, "extra": extra} if extra else known


def _normalised_item(item: Any, cls: type) -> Any:
    return _normalised(cast("dict[str, Any]", item), cls) if isinstance(item, dict) else item


# msgspec puts the place at the end of its message: "Expected `str`, got `int` - at `$.query[0].role`".
_PLACE = re.compile(r" - at `(?:key in )?\$\.?(.*)`$", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(\w+)`")


def _remote_error(exc: msgspec.ValidationError) -> RemoteProtocolError:
    text = str(exc)
    place = _PLACE.search(text)
    # msgspec does not name the key of a mapping (`[...]`); the mapping is then the place.
    path = place[1].replace("[...]", "") if place else ""
    if isinstance(exc.__cause__, InvalidValue):  # a rule of the class, with a path within the value
        return RemoteProtocolError(exc.__cause__.message, path=join_paths(path, exc.__cause__.path))
    message = _PLACE.sub("", text).replace("`", "")
    if missing := _MISSING.match(text):
        path = join_paths(path, missing[1])
        message = "missing"
    return RemoteProtocolError(message[:1].lower() + message[1:], path=path)


_converter = cattrs.Converter()


def _unstructure_factory(cls: type[Any]) -> Callable[[Any], dict[str, Any]]:
    # A field whose default is None is unset when it is None, and the protocol leaves out unset fields.
    required = requirements_of(cls)
    unset: dict[str, Any] = {
        field.name: override(omit_if_default=True)
        for field in attrs.fields(cls)
        if (field.default is None or field.metadata.get("omit_if_default")) and field.name not in required
    }
    known = make_dict_unstructure_fn(cls, _converter, **unset, extra=override(omit=True))

    kind = {"control": cls.control} if cls in CONTROL_CLASSES.values() else {}

    def to_wire(value: Any) -> dict[str, Any]:
        wire = {**kind, **known(value)} if kind else known(value)
        if value.extra:
            for key, item in value.extra.items():
                wire.setdefault(key, item)
        return wire

    def to_wire_with_required(value: Any) -> dict[str, Any]:
        wire = to_wire(value)
        for name, requirement in required.items():
            wire[name] = requirement.written(wire[name])
        return wire

    return to_wire_with_required if required else to_wire


_converter.register_unstructure_hook_factory(attrs.has, _unstructure_factory)
# Where a field is annotated with a base class, the class of the value decides how it is encoded.
_converter.register_unstructure_hook_func(
    lambda cls: cls is Control or cls is Operand, lambda value: _converter.unstructure(value)
)


def unstructure(value: Any) -> dict[str, Any]:
    """The JSON object of an attrs value: unset fields are left out, `extra` is put back.

    The unset fields in `wire.reader_requirements` are written too.

    Raises:
        LocalProtocolError: if it is nested too deeply.
    """
    try:
        return _converter.unstructure(value)
    except RecursionError as exc:
        raise LocalProtocolError("cannot be written as JSON: nested too deeply") from exc
