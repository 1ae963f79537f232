"""Values of models as plain values: dicts and lists of any values, or of JSON values.

As pydantic's serialisers of `Any` (https://docs.pydantic.dev/latest/concepts/serialization/).
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections import deque
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

# Selections that include a field or item entirely.
_WHOLE = (True, ...)
_ALL = "__all__"


class Options(typing.NamedTuple):
    """How values are dumped.

    Attributes:
        is_json: whether the result may have JSON values only.
        models: the options of `model_dump` that hold for models inside too.
        fallback: makes a JSON value of an object that has none.
    """

    is_json: bool
    models: Mapping[str, Any]
    fallback: Callable[[Any], Any] | None = None


class Selection(typing.NamedTuple):
    """A selection of a model's fields, a dict's keys or a list's items.

    Attributes:
        include: a set of names or positions, or a mapping from them to those to include within it; None for all.
        exclude: the same, for those to leave out.
    """

    include: Any = None
    exclude: Any = None

    def takes(self, key: Any, size: int = 0) -> bool:
        """Whether a field or item is taken, in whole or in part. `size` is the length of a list, for positions."""
        if self.include is not None and _found(self.include, key, size) in (None, False):
            return False
        return self.exclude is None or _found(self.exclude, key, size) not in _WHOLE

    def inside(self, key: Any, size: int = 0) -> Selection:
        """The part of a selection that applies within a field or an item."""
        if self.include is None and self.exclude is None:
            return self
        return Selection(_part(self.include, key, size), _part(self.exclude, key, size))


def _found(names: Any, key: Any, size: int) -> Any:
    for name in (key, key - size, _ALL) if size else (key,):
        if name in names:
            return typing.cast("Mapping[Any, Any]", names)[name] if isinstance(names, Mapping) else True
    return None


def _part(names: Any, key: Any, size: int) -> Any:
    found = None if names is None else _found(names, key, size)
    return None if found in (None, *_WHOLE) else found


def dumped(value: Any, options: Options, selection: Selection) -> Any:
    """A value, and those inside it, as plain values.

    Raises:
        ValueError: for JSON, if an object has no JSON value.
    """
    if value is None or isinstance(value, (str, int, float)):
        return json_scalar(value) if options.is_json else value
    kind = typing.cast("type[Any]", type(value))
    if hasattr(kind, "model_dump"):
        return value.model_dump(include=selection.include, exclude=selection.exclude, **options.models)
    if isinstance(value, Mapping):
        items = typing.cast("Mapping[Any, Any]", value).items()
        return {
            json_key(key) if options.is_json else key: dumped(item, options, selection.inside(key))
            for key, item in items
            if selection.takes(key)
        }
    if isinstance(value, (list, tuple)):
        items = _dumped_items(typing.cast("list[Any]", value), options, selection)
        return tuple(items) if isinstance(value, tuple) and not options.is_json else items
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return dumped(fields, options, selection)
    return _json_value(value, options) if options.is_json else value


def _dumped_items(items: list[Any], options: Options, selection: Selection) -> list[Any]:
    size = len(items)
    return [
        dumped(item, options, selection.inside(index, size))
        for index, item in enumerate(items)
        if selection.takes(index, size)
    ]


def json_scalar(value: Any) -> Any:
    """A string, number, boolean or None without a type of the program's own. JSON has no infinities and no NaN."""
    if type(value) is float and not math.isfinite(value):
        return None
    own = getattr(value, "value", value)  # an Enum's member stands for its value
    for kind in (bool, int, float, str):
        if isinstance(own, kind):
            return kind(own)
    return own


def json_key(key: Any) -> str:
    """A dict's key as JSON has it."""
    if isinstance(key, tuple):
        return ",".join(map(json_key, typing.cast("tuple[Any, ...]", key)))
    if isinstance(key, (bytes, bytearray)):
        return key.decode()
    if isinstance(key, bool):
        return "true" if key else "false"
    if hasattr(key, "isoformat"):
        return key.isoformat()
    return str(getattr(key, "value", key))


def _json_value(value: Any, options: Options) -> Any:
    """The JSON value of an object of a rarer type than strings, numbers, lists and dicts."""
    if isinstance(value, (AbstractSet, deque)) or hasattr(value, "__next__"):
        return _dumped_items(list(typing.cast("Any", value)), options, Selection())
    if isinstance(value, (bytes, bytearray)):
        return value.decode()
    if isinstance(value, complex) or type(value).__module__ in ("decimal", "uuid"):
        return str(value)
    if hasattr(value, "isoformat"):  # dates and times
        text: str = value.isoformat()
        return f"{text.removesuffix('+00:00')}Z" if text.endswith("+00:00") else text
    if hasattr(value, "value"):  # an Enum's member
        return dumped(value.value, options, Selection())
    if options.fallback is not None:
        return dumped(options.fallback(value), options, Selection())
    kind = typing.cast("type[Any]", type(value))
    raise ValueError(
        f"a {kind.__module__}.{kind.__qualname__} has no JSON value; store one that has, as a string or a dict, "
        "or leave the field out with exclude="
    )
