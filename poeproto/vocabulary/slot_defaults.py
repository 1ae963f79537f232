"""Defaults of attrs fields, written to the slots before msgspec reads them: an optimisation of decoding.

It relies on how msgspec makes an attrs instance: without `__init__`, but with `__attrs_pre_init__`. msgspec sets the
fields that are in the JSON, and then reads every field that has a default to see whether it is set. An unset slot
raises AttributeError; making and dropping one for each field took half of the time that decoding a query took (`make
bench`, rows "a query"). Without this module decoding is slower and otherwise the same; `test_slot_defaults.py` notices
when the defaults are not in place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import attrs

T = TypeVar("T")
Put = Callable[[object, object], None]

# list[Message] would do as a factory, but it tries to set `__orig_class__` on every list, and fails.
new_list: Callable[[], list[Any]] = list
new_dict: Callable[[], dict[str, Any]] = dict


def prefilled(cls: type[T]) -> type[T]:
    """Decorator of an attrs class with slots: msgspec finds the defaults in place, and overwrites them.

    The constructor does not change: attrs calls `__attrs_pre_init__` only where the class defined it before attrs was
    applied.
    """
    defaults: list[tuple[Put, object]] = [
        (getattr(cls, field.name).__set__, field.default)
        for field in attrs.fields(cast("type[Any]", cls))
        # Not lists: most senders write every list, empty or not, so that making one in advance costs more than it
        # saves.
        if field.default is not attrs.NOTHING and not isinstance(field.default, attrs.Factory)  # pyright: ignore[reportArgumentType]
    ]

    def __attrs_pre_init__(self: object) -> None:
        for put, value in defaults:
            put(self, value)

    cls.__attrs_pre_init__ = __attrs_pre_init__  # pyright: ignore[reportAttributeAccessIssue]
    return cls
