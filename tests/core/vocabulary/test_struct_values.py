from __future__ import annotations

import copy
import inspect
import pickle
import typing
import weakref
from collections.abc import Mapping
from typing import Any

import attrs
import msgspec
import pytest

from poeproto import Event, Json, UnknownEvent
from poeproto.vocabulary.field_types import NO_EXTRA
from poeproto.vocabulary.struct_values import struct_value


@attrs.frozen
class Plain:
    """A value."""

    name: str
    number: int | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)

    def shouted(self) -> str:
        return self.name.upper()


Value = struct_value(Plain)
EVENTS: list[Any] = [cls for cls in typing.get_args(Event) if cls not in (Json, UnknownEvent)]


def arguments_of(cls: Any) -> dict[str, Any]:
    return {field.name: f"a {field.name}" for field in attrs.fields(cls) if field.name != "extra"}


@pytest.mark.parametrize("cls", [Value, *EVENTS], ids=lambda cls: cls.__name__)
def test_the_class_is_an_attrs_class_with_a_constructor_in_c(cls: Any) -> None:
    assert issubclass(cls, msgspec.Struct)
    assert not inspect.isfunction(cls.__init__)
    names = list(attrs.fields_dict(cls))
    assert list(inspect.signature(cls).parameters) == list(cls.__annotations__) == names
    assert list(typing.get_type_hints(cls)) == names
    assert cls.__match_args__ == tuple(names[:-1])


@pytest.mark.parametrize("cls", EVENTS, ids=lambda cls: cls.__name__)
def test_a_value_is_frozen_comparable_and_copyable_as_with_attrs(cls: Any) -> None:
    value = cls(**arguments_of(cls), extra={"new": 1})
    plain = attrs.make_class(cls.__name__, list(arguments_of(cls)), frozen=True)(**arguments_of(cls))
    assert repr(value) == repr(plain)[:-1] + ", extra={'new': 1})"
    assert value == cls(*arguments_of(cls).values(), extra={"new": 1}) != cls(**arguments_of(cls))
    assert value != plain
    assert hash(value) == hash(cls(**arguments_of(cls)))
    for copied in (copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value)), attrs.evolve(value)):
        assert type(copied) is cls
        assert copied == value
    assert attrs.evolve(value, index=2) == cls(**{**arguments_of(cls), "index": 2}, extra={"new": 1})
    assert attrs.asdict(value) == {**arguments_of(cls), "extra": {"new": 1}}
    assert weakref.ref(value)() is value
    assert not hasattr(value, "__dict__")
    for change in (lambda: setattr(value, "index", 1), lambda: delattr(value, "index"), lambda: setattr(value, "x", 1)):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            change()


def test_methods_of_the_class_are_kept() -> None:
    assert (Value.__name__, Value.__qualname__, Value.__module__, Value.__doc__) == (
        "Plain",
        "Plain",
        __name__,
        "A value.",
    )
    assert Value("a").shouted() == "A"
    assert Value("a").extra is NO_EXTRA
    assert repr(Value("a", 1)) == repr(Plain("a", 1))


@pytest.mark.parametrize(
    ("positional", "by_name", "message"),
    [
        ((), {}, "name"),
        (("a", 1, {}), {}, "positional"),
        (("a",), {"other": 1}, "other"),
        (("a",), {"name": "b"}, "name"),
    ],
)
def test_wrong_arguments(positional: tuple[Any, ...], by_name: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        Value(*positional, **by_name)
