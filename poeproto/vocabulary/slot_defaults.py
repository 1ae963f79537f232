"""Defaults set before msgspec looks for them.

msgspec makes an attrs instance without calling `__init__`, fills in what was in the JSON, and then asks of every field
with a default whether it is set. A slot that is not answers with an AttributeError, and to make and throw away one for
each field took half of the time that a query took.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import attrs

T = TypeVar("T")
Put = Callable[[object, object], None]

# list[Message] would do as a factory, but tries each time, in vain, to note on the list what it is a list of.
new_list: Callable[[], list[Any]] = list
new_dict: Callable[[], dict[str, Any]] = dict


def prefilled(cls: type[T]) -> type[T]:
    """A decorator over an attrs class with slots: msgspec finds the defaults in place, and writes over them.

    Constructors stay as they are: attrs calls a hook of this name only where it stood in the class before attrs came.
    """
    defaults: list[tuple[Put, object]] = [
        (getattr(cls, field.name).__set__, field.default)
        for field in attrs.fields(cast("type[Any]", cls))
        # A list made in advance costs more than it saves: most writers give every list, empty or not.
        if field.default is not attrs.NOTHING and not isinstance(field.default, attrs.Factory)  # pyright: ignore[reportArgumentType]
    ]

    def __attrs_pre_init__(self: object) -> None:
        for put, value in defaults:
            put(self, value)

    cls.__attrs_pre_init__ = __attrs_pre_init__  # pyright: ignore[reportAttributeAccessIssue]
    return cls
