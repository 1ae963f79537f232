"""Fast codec: a decoder, a structurer and an encoder, generated for each class of the vocabulary.

**Fast path and general path.** The general path is `wire.json` followed by `wire.structure`: JSON to a dict, the dict
normalised (nulls where a default stands, unknown keys), the dict to an attrs value. It knows every rule, and it names
the place of a fault. The fast path handles a message that is exactly as its class says, or has a null for an optional
field, as many writers do for every unset one. Each function made here returns None for a message that it does not
handle, and its caller (`wire.codec`) then takes the general path. So a fast path never decides that something is a
fault, and both paths give the same value or the same bytes wherever the fast path gives any.

**Struct twins.** msgspec can fill an attrs class directly, but then it silently drops unknown keys, and it raises and
catches an exception for each absent field. A `msgspec.Struct` has neither problem: `forbid_unknown_fields` refuses an
unknown key, absent fields are filled in C, and encoding leaves out unset fields in C. So each class gets a struct twin
with the same fields, each optional one None by default. JSON is decoded into twins, and a function that is generated
for the class (`from_twin`) copies a twin into a value, and sets the defaults. To keep unknown keys, JSON is parsed into
a dict first; the twins are made from the dict, and `from_twin` looks up the unknown keys in it.

**The mutable subclass.** `attrs.frozen` sets fields through `object.__setattr__`, one call a field, which takes ten
times as long as an assignment. `from_twin` therefore makes an instance of a subclass that is not frozen and has no
slots of its own, assigns the fields, and sets `__class__` to the real class. CPython allows that assignment because
both classes have the same slot layout. A class that is a struct (`vocabulary.struct_values`) has a constructor that
needs none of this.

**Depth.** The types bound how deep the JSON may nest, so no brackets have to be counted: a class contains itself at
most once (a message that another refers to), and a value of type Any is `SHALLOW`. Deeper JSON takes the general path.

Only this module of the core relies on:

- msgspec: `defstruct`, `forbid_unknown_fields`, `omit_defaults`; it raises ValueError (of which its own errors and
  UnicodeEncodeError are subclasses) or RecursionError for input that it does not accept.
- attrs: `attrs.frozen` with slots, so that a subclass with empty `__slots__` has the same layout; no validators and no
  `__attrs_post_init__` on the classes used here, because neither is run.
- CPython: assignment to `__class__` between classes of one slot layout.

Gain, in microseconds against the general path: decoding a text event 0.5 : 2.5, encoding one 0.3 : 2.2,
decoding a query of 50 messages 60 : 290. `python -m benchmarks codec` measures it; there, messages with an unknown key
are parsed into a dict first.

Without it nothing else breaks: let each of the three functions return a function that returns None, and every message
takes the general path with the same result. Tests that fail when a new msgspec, attrs or Python breaks an assumption:
`tests/core/wire/test_fast_codec.py` (layout, defaults, classes that qualify) and `test_codec_paths.py` (both paths
agree on recorded and on generated messages).
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
from poeproto.wire.reader_requirements import requirements_of

T = TypeVar("T")
FromTwin = Callable[..., Any]

# For each type of a field: the expression that tells whether the encoder can write the field's value unchanged. An
# integer beyond 2**53 - 1 is one that JavaScript cannot tell from its neighbours.
_CAN_ENCODE: dict[Any, str] = {
    types.NoneType: "{0} is None",
    str: "type({0}) is str",
    bool: "type({0}) is bool",
    int: f"type({{0}}) is int and {-LARGEST_INDEX} <= {{0}} <= {LARGEST_INDEX}",
    Any: "is_writable({0})",
    dict[str, Any]: "type({0}) is dict and is_writable({0})",
}

# --- decoding


@functools.cache
def fast_decoder(cls: type[T], *ignored_keys: tuple[Any, ...]) -> Callable[[str | bytes], T | None]:
    """A function that decodes JSON to a value of that class, or returns None: then take the general path.

    Args:
        cls: an attrs class without validators and without `__attrs_post_init__`.
        ignored_keys: keys that may be present besides the fields and are dropped, each as `msgspec.defstruct` takes a
            field.
    """
    twin, from_twin = _struct_twin(cls, (cls,), keep_extra=False)
    whole = msgspec.defstruct(cls.__name__, ignored_keys, bases=(twin,), kw_only=True)
    decode = msgspec.json.Decoder(whole).decode

    def decode_value(data: str | bytes) -> T | None:
        try:
            return from_twin(decode(data))
        # msgspec's own errors, a lone surrogate, or a stack that was nearly full when this was called.
        except (ValueError, RecursionError):
            return None

    return decode_value


@functools.cache
def fast_structurer(cls: type[T]) -> Callable[[dict[str, Any]], T | None]:
    """A function that makes a value of that class from a parsed JSON object, or returns None.

    It keeps unknown keys, and handles a null where the field has a default.

    Args:
        cls: as for `fast_decoder`.
    """
    twin, from_twin = _struct_twin(cls, (cls,), keep_extra=True)

    def structure_value(wire: dict[str, Any]) -> T | None:
        try:
            return from_twin(msgspec.convert(wire, twin), wire)
        except (ValueError, RecursionError):
            return None

    return structure_value


def _struct_twin(
    cls: type[Any], within: tuple[type[Any], ...], *, keep_extra: bool
) -> tuple[type[msgspec.Struct], FromTwin]:
    """The struct twin of a class, and the function that copies a twin into a value of the class.

    For a class with the fields `id`, `sender` and `files`, where `sender` is of another class and `files` is a list of
    a third, the function is

        def from_twin(twin, wire):
            given_sender = twin.sender
            given_files = twin.files
            value = mutable()
            value.id = twin.id or ""
            value.sender = given_sender and make_sender(given_sender, wire["sender"])
            value.files = default_files() if given_files is None else given_files and list(
                map(make_files, given_files, wire["files"])
            )
            value.extra = NO_EXTRA if known.issuperset(wire) else extra_keys(wire, known)
            value.__class__ = cls
            return value

    or, with `keep_extra` False, the same without `wire` and with `value.extra = NO_EXTRA`. The twin has None for each
    optional field that is absent or null. If the default is another one, as for `id` and `files`, the function sets it.
    A class that is itself a struct has a constructor in C; the function then only calls that.
    """
    hints = typing.get_type_hints(cls)
    fields: list[tuple[Any, ...]] = []
    lines: list[str] = []
    copies: dict[str, str] = {}
    names: dict[str, Any] = {
        "cls": cls,
        "NO_EXTRA": NO_EXTRA,
        "extra_keys": _extra_keys,
    }
    for field in attrs.fields(cls):
        name = field.name
        default: Any = field.default
        copied = given = f"twin.{name}"
        if name == "extra":
            copied = "NO_EXTRA if known.issuperset(wire) else extra_keys(wire, known)" if keep_extra else "NO_EXTRA"
        else:
            hint, inner_from_twin = _twin_annotation(hints[name], within, keep_extra=keep_extra)
            fields.append((name, hint) if default is attrs.NOTHING else (name, hint | None, None))
            if default is attrs.NOTHING:
                default = None
            is_factory = isinstance(default, attrs.Factory)  # pyright: ignore[reportArgumentType]
            if inner_from_twin or is_factory or default:
                lines.append(f"    given_{name} = {given}")
                copied = given = f"given_{name}"
            if inner_from_twin:
                names[f"make_{name}"] = inner_from_twin
                arguments = f'{given}, wire["{name}"]' if keep_extra else given
                made = f"make_{name}({arguments})"
                is_list = any(typing.get_origin(option) is list for option in options(hints[name]))
                if is_list and keep_extra:
                    made = f"list(map(make_{name}, {arguments}))"
                elif is_list:
                    made = f"[make_{name}(item) for item in {arguments}]"
                copied = f"{given} and {made}"
            if is_factory:
                names[f"default_{name}"] = default.factory
                copied = f"default_{name}() if {given} is None else {copied}"
            elif default:
                copied = f"{default!r} if {given} is None else {copied}"
            elif default is not None:
                # Only the default itself is a false value besides None: "", 0 or False. This test is faster.
                copied = f"{copied} or {default!r}"
        copies[name] = copied
    if issubclass(cls, msgspec.Struct):
        lines.append(f"    return cls({', '.join(f'{name}={copied}' for name, copied in copies.items())})")
    else:
        names["mutable"] = _mutable_subclass(cls)
        assignments = [f"    value.{name} = {copied}" for name, copied in copies.items()]
        lines += ["    value = mutable()", *assignments, "    value.__class__ = cls", "    return value"]
    lines.insert(0, f"def from_twin({'twin, wire' if keep_extra else 'twin'}):")
    names["known"] = frozenset(name for name, *_ in fields)
    exec("\n".join(lines), names)
    twin = msgspec.defstruct(cls.__name__, fields, forbid_unknown_fields=not keep_extra, gc=False)
    return twin, names["from_twin"]


def _extra_keys(wire: dict[str, Any], known: frozenset[str]) -> dict[str, Any]:
    return {key: wire[key] for key in wire if key not in known}


def _twin_annotation(hint: Any, within: tuple[type[Any], ...], *, keep_extra: bool) -> tuple[Any, FromTwin | None]:
    """The annotation with a struct twin in place of each attrs class; and `from_twin` of that class, if there is one.

    It bounds the depth: a class stands at most once within itself, and a value of type Any is shallow.
    """
    if hint is Any:
        return SHALLOW, None
    if attrs.has(hint):
        if within.count(hint) == 2:
            return None, None
        return _struct_twin(hint, (*within, hint), keep_extra=keep_extra)
    args = [_twin_annotation(arg, within, keep_extra=keep_extra) for arg in typing.get_args(hint)]
    if not args:
        return hint, None
    kind: Any = Union if is_union(hint) else typing.get_origin(hint)
    return kind[tuple(arg for arg, _ in args)], next((from_twin for _, from_twin in args if from_twin), None)


def _mutable_subclass(cls: type[Any]) -> type[Any]:
    """A subclass that is not frozen; it has the same slot layout, so that an instance can become one of `cls`."""
    plain = {name: getattr(object, name) for name in ("__init__", "__setattr__", "__delattr__")}
    return type(f"_Mutable{cls.__name__}", (cls,), {"__slots__": (), **plain})


# --- encoding


def fast_encoder(cls: type[T], around: bytes, *, whole: str | None = None) -> Callable[[T], bytes | None]:
    """A function that encodes a value of that class, or returns None: then take the general path.

    It raises UnicodeEncodeError for a lone surrogate. For a class with the fields `text` and `index` the function is

        def encode_value(value):
            text = value.text
            index = value.index
            if (type(text) is str) and (index is None or ...) and (value.extra is NO_EXTRA):
                return around % encode(twin(text, index))

    Args:
        cls: an attrs class whose fields with a default of None come last; they are left out where they are None, except
            those that `wire.reader_requirements` writes as a null.
        around: the bytes around the JSON object, with ``%b`` in its place.
        whole: the name of the field that is itself the JSON object, if there is one.
    """
    hints = typing.get_type_hints(cls)
    required = requirements_of(cls)
    lines, tests, fields = ["def encode_value(value):"], list[str](), list[tuple[Any, ...]]()
    for field in attrs.fields(cls):
        name = field.name
        if name == "extra":
            tests.append("value.extra is NO_EXTRA")
            continue
        lines.append(f"    {name} = value.{name}")
        # Most of these fields are None, which stands last in an annotation, so it is tested first.
        tests.append(" or ".join(_CAN_ENCODE[option].format(name) for option in reversed(options(hints[name]))))
        # A field without a default is never left out: a null of a field that readers require is written.
        fields.append((name, Any, None) if field.default is None and name not in required else (name, Any))
    written = whole or f"twin({', '.join(name for name, *_ in fields)})"
    lines += [f"    if ({') and ('.join(tests)}):", f"        return around % encode({written})"]
    names: dict[str, Any] = {"around": around, "encode": encode, "is_writable": is_writable, "NO_EXTRA": NO_EXTRA}
    names["twin"] = msgspec.defstruct(cls.__name__, fields, omit_defaults=True, gc=False)
    exec("\n".join(lines), names)
    return names["encode_value"]
