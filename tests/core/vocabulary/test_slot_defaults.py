from __future__ import annotations

import inspect
from typing import Any

import attrs
import pytest

from poeproto import Message, QueryRequest, Text, decode_event, decode_request
from poeproto.vocabulary.slot_defaults import prefilled


@prefilled
@attrs.frozen
class Value:
    name: str
    number: int = 7
    items: list[Any] = attrs.field(factory=list[Any])
    keys: dict[str, Any] = attrs.field(factory=dict)


def test_a_prefilled_value_has_its_defaults_and_nothing_else() -> None:
    value: Any = object.__new__(Value)
    value.__attrs_pre_init__()
    assert value.number == 7
    assert not any(hasattr(value, name) for name in ("name", "items", "keys"))


def test_constructors_do_not_check_it() -> None:
    assert "__attrs_pre_init__" not in inspect.getsource(Value.__init__)
    assert Value("a", items=[1]) == Value("a", 7, [1], {})


def test_no_two_values_share_a_default_that_can_change() -> None:
    first, second = (decode_request(b'{"type":"query","query":[{"role":"a","content":""}]}') for _ in range(2))
    assert first == second == QueryRequest([Message("a", "")])
    assert isinstance(first, QueryRequest)
    assert isinstance(second, QueryRequest)
    first.query[0].attachments.append(first)  # pyright: ignore[reportArgumentType]
    first.logit_bias["a"] = 1
    assert second == QueryRequest([Message("a", "")])


def test_a_constructed_text_equals_a_decoded_one() -> None:
    made = Text("a", index=3)
    assert made == decode_event("text", '{"text":"a","index":3}') == attrs.evolve(Text("b", 3), text="a")
    assert (made.text, made.index, made.extra) == ("a", 3, {})
    assert hash(Text("a", extra={"b": 1})) == hash(Text("a"))
    assert list(inspect.signature(Text).parameters) == [field.name for field in attrs.fields(Text)]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        made.text = "b"  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(TypeError, match="positional"):
        Text("a", None, {})  # pyright: ignore[reportCallIssue]
