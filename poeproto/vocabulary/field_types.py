"""Types checked where a person constructs a value, at no cost where the codec does.

attrs validators would do the first, but msgspec runs them in Python for every value it decodes, after checking the
same types itself in C. So the check wraps `__init__`, which msgspec does not call.
"""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar, Union, cast

import attrs

T = TypeVar("T")
Check = Callable[[object], bool]


class _NoExtra(dict[str, Any]):
    """The empty dict that every value without unknown keys shares; it refuses to be filled."""

    def _refuse(self, *args: object, **kwargs: object) -> NoReturn:
        raise TypeError("the extra keys of a frozen value cannot be changed; make a new one with attrs.evolve")

    __setitem__ = setdefault = update = __ior__ = _refuse  # pyright: ignore[reportAssignmentType]

    def __reduce__(self) -> str:
        return "NO_EXTRA"  # copied or unpickled it stays the one, which the quick ways know by its identity


# A shared default instead of a factory: a dict for each event would double the time to make one.
NO_EXTRA: Mapping[str, Any] = _NoExtra()


def checked(cls: type[T]) -> type[T]:
    """A decorator over an attrs class: its constructor raises TypeError for a field of another type than annotated."""
    construct = cls.__init__

    @functools.wraps(construct)
    def __init__(self: T, *args: Any, **kwargs: Any) -> None:
        construct(self, *args, **kwargs)
        check_types(self)

    cls.__init__ = __init__
    return cls


def check_types(value: object) -> None:
    """Compare every field of an attrs instance with its annotation.

    Raises:
        TypeError: naming the class, the field, and both types.
    """
    cls = type(value)
    for name, fits, hint in _checks(cls):
        field = getattr(value, name)
        if not fits(field):
            raise TypeError(f"{cls.__name__}.{name} must be {type_name(hint)}, got {_describe(field)}")


@functools.cache
def _checks(cls: type) -> list[tuple[str, Check, Any]]:
    # Resolved at the first use, when the names in the annotations exist.
    hints = typing.get_type_hints(cls)
    return [(field.name, _check(hints[field.name]), hints[field.name]) for field in attrs.fields(cls)]


@functools.cache
def _check(hint: Any) -> Check:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any or hint is object:
        return lambda value: True
    if is_union(hint):
        classes = tuple(option for option in args if isinstance(option, type) and option not in (int, float, Any))
        others = [_check(option) for option in args if option not in classes]
        if not others:
            return lambda value: isinstance(value, classes)
        return lambda value: isinstance(value, classes) or any(fits(value) for fits in others)
    if origin in (dict, Mapping):
        fits_item = _check(args[1])
        return lambda value: (
            isinstance(value, dict)
            and all(isinstance(key, str) and fits_item(item) for key, item in cast("dict[Any, Any]", value).items())
        )
    if origin is list:
        fits_element = _check(args[0])
        return lambda value: isinstance(value, list) and all(map(fits_element, cast("list[Any]", value)))
    if origin is tuple:
        if args[-1] is ...:
            fits_element = _check(args[0])
            return lambda value: isinstance(value, tuple) and all(map(fits_element, cast("tuple[Any, ...]", value)))
        places = [_check(arg) for arg in args]
        if args == (bytes, bytes):  # a header, of which every message has many
            return _is_pair_of_bytes
        return lambda value: (
            isinstance(value, tuple)
            and len(cast("tuple[Any, ...]", value)) == len(places)
            and all(fits(item) for fits, item in zip(places, cast("tuple[Any, ...]", value), strict=True))
        )
    # To the protocol a boolean is no number, though Python has it so; an integer is a float, as in PEP 484.
    if hint is int:
        return lambda value: isinstance(value, int) and not isinstance(value, bool)
    if hint is float:
        return lambda value: isinstance(value, int | float) and not isinstance(value, bool)
    return lambda value: isinstance(value, hint)


def _is_pair_of_bytes(value: Any) -> bool:
    return (
        isinstance(value, tuple)
        and len(cast("tuple[Any, ...]", value)) == 2
        and isinstance(value[0], bytes)
        and isinstance(value[1], bytes)
    )


def fits(value: object, hint: Any) -> bool:
    """Whether the value is of the type that the annotation says."""
    return _check(hint)(value)


def is_union(hint: Any) -> bool:
    """Whether the annotation is a union, however it is spelt."""
    return typing.get_origin(hint) in (Union, types.UnionType)


def options(hint: Any) -> tuple[Any, ...]:
    """The members of a union, or the annotation itself where it is none."""
    return typing.get_args(hint) if is_union(hint) else (hint,)


def type_name(hint: Any) -> str:
    """The annotation as a person would write it, without module names."""
    args = typing.get_args(hint)
    if not args:
        names = {types.NoneType: "None", ...: "..."}
        return names.get(hint) or getattr(hint, "__name__", str(hint))
    if is_union(hint):
        return " | ".join(map(type_name, args))
    return f"{typing.get_origin(hint).__name__}[{', '.join(map(type_name, args))}]"


def _describe(value: object) -> str:
    kind = type(value).__name__
    if isinstance(value, list) and value:
        kinds = sorted({type(item).__name__ for item in cast("list[object]", value)})
        return f"a list with {', '.join(kinds)} in it"
    return "None" if value is None else f"a value of type {kind}"
