"""The quick way from JSON to a value and back, for what is just as its class says.

Into an attrs class msgspec drops unknown keys in silence, and it asks in vain for each field that was absent. The
mirror of a class, a `msgspec.Struct` of the same fields, it fills in less time than a dict, and refuses a key that is
no field. So the JSON is read into mirrors, and a function written for each class copies them into values; where a key
is no field, by way of a dict, which has it still. Writing goes the same way back, since a mirror also leaves out what
is unset, in no time. Whatever else is unusual is left to `_structure`, which tells a fault from what is tolerated.
"""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Callable
from typing import Any, TypeVar, Union

import attrs
import msgspec

from poeproto.vocabulary.events import LARGEST_INDEX
from poeproto.vocabulary.field_types import NO_EXTRA, is_union, options
from poeproto.wire.json import SHALLOW, encode, is_writable

T = TypeVar("T")
Make = Callable[..., Any]

# Whether a value is written as it is by all that read and write its type, as an expression. An integer is one that
# every reader can tell from its neighbours.
_AS_IT_IS: dict[Any, str] = {
    types.NoneType: "{0} is None",
    str: "type({0}) is str",
    bool: "type({0}) is bool",
    int: f"type({{0}}) is int and {-LARGEST_INDEX} <= {{0}} <= {LARGEST_INDEX}",
    Any: "is_writable({0})",
    dict[str, Any]: "type({0}) is dict and is_writable({0})",
}

# --- reading


@functools.cache
def reader(cls: type[T], *beside: tuple[Any, ...]) -> Callable[[str | bytes], T | None]:
    """A function that reads a value of that class from JSON, or returns None where that takes the long way.

    Args:
        cls: an attrs class that has no rules but its types: no validators, and no hook after `__init__`.
        beside: keys that may stand beside the fields and are not kept, each as `msgspec.defstruct` takes a field.
    """
    mirror, make = _mirror(cls, (cls,), keeping=False)
    whole = msgspec.defstruct(cls.__name__, beside, bases=(mirror,), kw_only=True)
    decode = msgspec.json.Decoder(whole).decode

    def read(data: str | bytes) -> T | None:
        try:
            return make(decode(data))
        # msgspec's own errors, half a surrogate pair, or a stack that was nearly full before.
        except (ValueError, RecursionError):
            return None

    return read


@functools.cache
def filler(cls: type[T]) -> Callable[[dict[str, Any]], T | None]:
    """A function that makes a value of that class, which is as for `reader`, from an object out of JSON, and keeps keys
    that are no fields; None where that takes the long way.
    """
    mirror, make = _mirror(cls, (cls,), keeping=True)

    def fill(wire: dict[str, Any]) -> T | None:
        try:
            return make(msgspec.convert(wire, mirror), wire)
        except (ValueError, RecursionError):
            return None

    return fill


def _mirror(cls: type[Any], within: tuple[type[Any], ...], *, keeping: bool) -> tuple[type[msgspec.Struct], Make]:
    """The mirror of a class, and what makes a value of the class from one of the mirror.

    Of a class with the fields `id`, `sender` and `files`, the latter two of other classes, that is

        def make(mirror, wire):
            value = thawed()
            value.id = mirror.id
            value.sender = mirror.sender and make_sender(mirror.sender, wire["sender"])
            value.files = mirror.files and list(map(make_files, mirror.files, wire["files"]))
            value.extra = NO_EXTRA if known.issuperset(wire) else extra_keys(wire, known)
            value.__class__ = cls
            return value

    or the same without `wire` and unknown keys, where there are none to be kept.
    """
    hints = typing.get_type_hints(cls)
    fields: list[tuple[Any, ...]] = []
    lines = ["def make(mirror, wire):" if keeping else "def make(mirror):", "    value = thawed()"]
    names: dict[str, Any] = {"thawed": _thawed(cls), "cls": cls, "NO_EXTRA": NO_EXTRA, "extra_keys": _extra_keys}
    for field in attrs.fields(cls):
        name, copied = field.name, f"mirror.{field.name}"
        if name == "extra":
            copied = "NO_EXTRA if known.issuperset(wire) else extra_keys(wire, known)" if keeping else "NO_EXTRA"
        else:
            hint, make_inner = _reflected(hints[name], within, keeping=keeping)
            fields.append((name, hint, *_default(field)))
            if make_inner:
                names[f"make_{name}"] = make_inner
                given = f'{copied}, wire["{name}"]' if keeping else copied
                made = f"make_{name}({given})"
                if any(typing.get_origin(option) is list for option in options(hints[name])):
                    made = f"list(map(make_{name}, {given}))" if keeping else f"[make_{name}(item) for item in {given}]"
                copied = f"{copied} and {made}"
        lines.append(f"    value.{name} = {copied}")
    lines += ["    value.__class__ = cls", "    return value"]
    names["known"] = frozenset(name for name, *_ in fields)
    exec("\n".join(lines), names)
    mirror = msgspec.defstruct(cls.__name__, fields, forbid_unknown_fields=not keeping, gc=False)
    return mirror, names["make"]


def _extra_keys(wire: dict[str, Any], known: frozenset[str]) -> dict[str, Any]:
    return {key: wire[key] for key in wire if key not in known}


def _reflected(hint: Any, within: tuple[type[Any], ...], *, keeping: bool) -> tuple[Any, Make | None]:
    """The annotation with a mirror in the place of a class, and what makes the values of that class, if there is one.

    How deep the JSON may nest is then bounded by the type: a class stands within itself once, as a message does that
    another refers to, and what may be anything is shallow.
    """
    if hint is Any:
        return SHALLOW, None
    if attrs.has(hint):
        return _mirror(hint, (*within, hint), keeping=keeping) if within.count(hint) < 2 else (None, None)
    reflected = [_reflected(arg, within, keeping=keeping) for arg in typing.get_args(hint)]
    if not reflected:
        return hint, None
    kind: Any = Union if is_union(hint) else typing.get_origin(hint)
    return kind[tuple(arg for arg, _ in reflected)], next((make for _, make in reflected if make), None)


def _default(field: attrs.Attribute[Any]) -> tuple[Any, ...]:
    default: Any = field.default
    if default is attrs.NOTHING:
        return ()
    return (msgspec.field(default_factory=default.factory) if isinstance(default, attrs.Factory) else default,)  # pyright: ignore[reportArgumentType]


def _thawed(cls: type[Any]) -> type[Any]:
    """The class as if it were not frozen, whose instances have the same layout and so can become the class's.

    To fill a frozen instance takes a call for each field, which is ten times as slow.
    """
    plain = {name: getattr(object, name) for name in ("__init__", "__setattr__", "__delattr__")}
    return type(f"_Thawed{cls.__name__}", (cls,), {"__slots__": (), **plain})


# --- writing


def writer(cls: type[T], around: bytes, *, whole: str | None = None) -> Callable[[T], bytes | None]:
    """A function that writes such a value as a JSON object, or returns None where that takes the long way.

    It raises UnicodeEncodeError for a lone surrogate. Of a class with the fields `text` and `index` it is

        def write(value):
            text = value.text
            index = value.index
            if (type(text) is str) and (index is None or ...) and (value.extra is NO_EXTRA):
                return around % encode(mirror(text, index))

    Args:
        cls: an attrs class; fields that are None by default, and left out then, stand behind all others.
        around: what is written around the object, with ``%b`` in its place.
        whole: the field that is the object itself, where one is.
    """
    hints = typing.get_type_hints(cls)
    lines, tests, fields = ["def write(value):"], list[str](), list[tuple[Any, ...]]()
    for field in attrs.fields(cls):
        name = field.name
        if name == "extra":
            tests.append("value.extra is NO_EXTRA")
            continue
        lines.append(f"    {name} = value.{name}")
        # None, which an annotation has last, is what most of these fields are.
        tests.append(" or ".join(_AS_IT_IS[option].format(name) for option in reversed(options(hints[name]))))
        fields.append((name, Any, None) if field.default is None else (name, Any))
    written = whole or f"mirror({', '.join(name for name, *_ in fields)})"
    lines += [f"    if ({') and ('.join(tests)}):", f"        return around % encode({written})"]
    names: dict[str, Any] = {"around": around, "encode": encode, "is_writable": is_writable, "NO_EXTRA": NO_EXTRA}
    names["mirror"] = msgspec.defstruct(cls.__name__, fields, omit_defaults=True, gc=False)
    exec("\n".join(lines), names)
    return names["write"]
