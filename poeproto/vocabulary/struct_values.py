"""Constructor in C for attrs classes: an optimisation of making events.

The constructor of a frozen attrs class sets each field through its slot's descriptor, one call a field, in a Python
function. Nearly every event is a `Text`, so a bot that yields `Text` objects spent a third of its time there. A
`msgspec.Struct` with the same fields is constructed in C, in a fifth of the time (``python -m benchmarks codec``, row
"constructing a Text").

`struct_value` therefore replaces an attrs class by a struct that has everything else from the attrs class: equality,
hash, repr, the frozen `__setattr__` and `__delattr__`, weak references, and the list of fields that `attrs.fields`,
`attrs.evolve` and cattrs read.

It relies on: msgspec's `defstruct` takes methods in `namespace`, and its constructor calls none of them; attrs
finds the fields of a class in `__attrs_attrs__`. Without the decorator the classes behave the same, and are slower to
construct. `tests/core/vocabulary/test_struct_values.py` compares the two.
"""

from __future__ import annotations

from typing import Any, TypeVar, cast

import attrs
import msgspec

T = TypeVar("T")

# Attributes of every struct. `__getstate__` is how attrs pickles; a struct is pickled by its constructor.
_OWN = frozenset(
    {"__annotations__", "__attrs_init__", "__dict__", "__getstate__", "__init__", "__setstate__", "__slots__"}
)


def struct_value(cls: type[T]) -> type[T]:
    """Decorator of a frozen attrs class: the same class, as a struct with a constructor in C.

    Args:
        cls: a class without validators, converters, factories, `__attrs_post_init__` and base classes. Keyword-only
            fields come last.
    """
    fields = attrs.fields(cast("type[Any]", cls))
    annotations = cls.__annotations__
    names = {field.name for field in fields}
    kept = {name: value for name, value in vars(cls).items() if name not in names | _OWN and name != "__weakref__"}
    # Keyword-only is a property of a struct's class, not of its field.
    base = _define(f"_{cls.__name__}", [field for field in fields if not field.kw_only], annotations, weakref=True)
    keyword_only = [field for field in fields if field.kw_only]
    struct = _define(cls.__name__, keyword_only, annotations, bases=(base,), kw_only=True, namespace=kept)
    # msgspec sets these when it makes the class: annotations without those of the base, and errors of its own.
    for name in ("__annotations__", "__setattr__", "__delattr__"):
        setattr(struct, name, vars(cls)[name])
    return cast("type[T]", struct)


def _define(
    name: str, fields: list[attrs.Attribute[Any]], annotations: dict[str, Any], **options: Any
) -> type[msgspec.Struct]:
    return msgspec.defstruct(
        name,
        [
            (field.name, annotations[field.name])
            if field.default is attrs.NOTHING
            else (field.name, annotations[field.name], field.default)
            for field in fields
        ],
        frozen=True,
        **options,
    )
