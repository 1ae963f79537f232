"""Field types of attrs classes, checked by the constructor, at no cost when a value is decoded.

attrs validators would do the same, but msgspec runs them in Python for every value that it decodes, after it has
checked the same types in C. So the check wraps `__init__`, which msgspec does not call.
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

# The key in the metadata of a field under which its author says what to do about a value of a wrong type.
ADVICE = "advice"
# The key for a field whose converter returns the annotated type or raises, so that it need not be checked again.
CONVERTED = "converted"


class _NoExtra(dict[str, Any]):
    """The empty dict that every value without unknown keys shares. It cannot be changed."""

    def _refuse(self, *args: object, **kwargs: object) -> NoReturn:
        raise TypeError("the extra keys of a frozen value cannot be changed; make a new one with attrs.evolve")

    __setitem__ = setdefault = update = __ior__ = _refuse  # pyright: ignore[reportAssignmentType]

    def __reduce__(self) -> str:
        return "NO_EXTRA"  # a copy or unpickled one is the same object, which the fast paths know by its identity


# A shared default instead of a factory: a dict of its own would double the time to make an event.
NO_EXTRA: Mapping[str, Any] = _NoExtra()


def checked(cls: type[T]) -> type[T]:
    """Decorator of an attrs class: the constructor raises TypeError for a field of another type than annotated."""
    construct = cls.__init__

    @functools.wraps(construct)
    def __init__(self: T, *args: Any, **kwargs: Any) -> None:
        try:
            construct(self, *args, **kwargs)
        except TypeError:
            _check_names(cls, kwargs)
            raise
        check_types(self)

    cls.__init__ = __init__
    return explain_frozen(cls)


def suggesting_fields(cls: type[T]) -> type[T]:
    """Decorator of an attrs class that checks its types itself: the error for an unknown field names a similar one."""
    construct = cls.__init__

    @functools.wraps(construct)
    def __init__(self: T, *args: Any, **kwargs: Any) -> None:
        try:
            construct(self, *args, **kwargs)
        except TypeError:
            _check_names(cls, kwargs)
            raise

    cls.__init__ = __init__
    return explain_frozen(cls)


def _check_names(cls: type, arguments: Mapping[str, object]) -> None:
    """Raise a TypeError for arguments that are not fields: with the field that may be meant, as newer Pythons do."""
    from difflib import get_close_matches  # large, and needed for mistakes only

    names = [field.alias or field.name for field in attrs.fields(cls)]
    for name in arguments:
        if name not in names:
            similar = get_close_matches(name, names, 1)
            hint = f"did you mean {similar[0]}?" if similar else f"its fields are {', '.join(names)}"
            raise TypeError(f"{cls.__name__} got an unexpected keyword argument {name!r}; {hint}") from None


def explain_frozen(cls: type[T]) -> type[T]:
    """Decorator of a frozen attrs class: the error for a changed field says how to make a changed copy."""

    def refuse(self: object, name: str, value: object = None) -> NoReturn:
        error = attrs.exceptions.FrozenInstanceError()
        # Its own constructor takes no message.
        AttributeError.__init__(
            error,
            f"{type(self).__name__}.{name} cannot be changed; make a changed copy with attrs.evolve(value, {name}=...)",
        )
        raise error

    cls.__setattr__ = cls.__delattr__ = refuse
    return cls


def check_types(value: object) -> None:
    """Check the type of every field of an attrs instance.

    Raises:
        TypeError: for a field of another type than annotated; the message names the class, the field and both types.
    """
    cls = type(value)
    for name, fits, hint in _checks(cls):
        field = getattr(value, name)
        if not fits(field):
            advice = attrs.fields_dict(cls)[name].metadata.get(ADVICE)
            raise TypeError(
                f"{cls.__name__}.{name} must be {type_name(hint)}, got {_describe(field)}"
                + (f"; {advice}" if advice else "")
            )


@functools.cache
def _checks(cls: type) -> list[tuple[str, Check, Any]]:
    # Resolved at the first use: by then all names in the annotations are defined.
    hints = typing.get_type_hints(cls)
    checked = [field for field in attrs.fields(cls) if CONVERTED not in field.metadata]
    return [(field.name, _check(hints[field.name]), hints[field.name]) for field in checked]


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
        return lambda value: (
            isinstance(value, tuple)
            and len(cast("tuple[Any, ...]", value)) == len(places)
            and all(fits(item) for fits, item in zip(places, cast("tuple[Any, ...]", value), strict=True))
        )
    # In the protocol, unlike in Python, a boolean is not a number. An integer is a float, as in PEP 484.
    if hint is int:
        return lambda value: isinstance(value, int) and not isinstance(value, bool)
    if hint is float:
        return lambda value: isinstance(value, int | float) and not isinstance(value, bool)
    return lambda value: isinstance(value, hint)


def fits(value: object, hint: Any) -> bool:
    """Whether the value has the annotated type."""
    return _check(hint)(value)


def as_integer(value: Any) -> Any:
    """A float without a fraction as an integer; any other value unchanged.

    JSON has one type for numbers, and JSON Schema counts 1.0 as an integer. Some writers know nothing but floats.
    """
    return int(value) if type(value) is float and value.is_integer() else value


def with_integers(value: Any, hint: Any) -> Any:
    """A value from JSON with `as_integer` applied where the annotation has integers: to itself, or to its items."""
    if is_integer_type(hint):
        return as_integer(value)
    if isinstance(value, dict) and typing.get_origin(hint) is dict and is_integer_type(typing.get_args(hint)[1]):
        return {key: as_integer(item) for key, item in cast("dict[str, Any]", value).items()}
    return cast("Any", value)


def is_integer_type(hint: Any) -> bool:
    """Whether the annotation allows an integer, and no other number."""
    return int in options(hint) and float not in options(hint)


def is_union(hint: Any) -> bool:
    """Whether the annotation is a union, written either way."""
    return typing.get_origin(hint) in (Union, types.UnionType)


def options(hint: Any) -> tuple[Any, ...]:
    """The members of a union; the annotation itself if it is not a union."""
    return typing.get_args(hint) if is_union(hint) else (hint,)


def type_name(hint: Any) -> str:
    """The annotation as it is written in source, without module names."""
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
