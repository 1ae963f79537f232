"""The fast path of `PartialResponse`: a text alone. It differs in nothing from the constructor's other path."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

import poeproto_compat as fp


def fast() -> fp.PartialResponse:
    return fp.PartialResponse(text="a")


def by_validation() -> fp.PartialResponse:
    return fp.PartialResponse.model_construct({"text"}, text="a")


Change = Callable[[fp.PartialResponse], Any]
CHANGES: dict[str, Change] = {
    "nothing": lambda response: None,
    "an assignment": lambda response: setattr(response, "index", 3),
    "an assignment of the text": lambda response: setattr(response, "text", "b"),
    "a read": lambda response: response.full_prompt,
    "a read of the dict": vars,
    "an assignment in the dict": lambda response: vars(response).update(text="b"),
    "a deletion": lambda response: delattr(response, "text"),
    "a call": lambda response: response.tool_calls.append(
        fp.types.ToolCallDefinitionDelta(function=fp.types.FunctionCallDefinitionDelta(arguments="{}"))
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_both_ways_make_the_same(name: str) -> None:
    one, other = fast(), by_validation()
    for response in (one, other):
        CHANGES[name](response)
    assert one == other
    assert one.model_fields_set == other.model_fields_set
    assert one.model_dump() == other.model_dump()
    assert one.model_dump(exclude_unset=True) == other.model_dump(exclude_unset=True)
    for copied in (copy.copy(one), copy.deepcopy(one), one.model_copy(), pickle.loads(pickle.dumps(one))):
        assert copied == one
        assert copied.model_fields_set == one.model_fields_set
    assert one.model_copy(update={"text": "b"}).text == "b"
    assert fast().tool_calls == []
    assert vars(fast()) == vars(by_validation())
    assert list(vars(fast())) == list(vars(fp.PartialResponse(text="a", index=None)))
    assert repr(fast()) == repr(fp.PartialResponse(text="a", index=None))


@pytest.mark.parametrize("name", fp.PartialResponse.model_fields)  # pyright: ignore[reportAttributeAccessIssue]
def test_each_field_may_be_read_first(name: str) -> None:
    assert getattr(fast(), name) == getattr(by_validation(), name)


def test_a_name_that_is_not_a_field() -> None:
    assert not hasattr(fast(), "nothing")
    with pytest.raises(AttributeError, match="'PartialResponse' object has no attribute 'nothing'"):
        fast().nothing  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]


def test_a_text_of_another_type_is_checked() -> None:
    with pytest.raises(ValueError, match="text"):
        fp.PartialResponse(text=1)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="text"):
        fp.PartialResponse()  # pyright: ignore[reportCallIssue]


def test_a_derived_class_has_its_own_fields() -> None:
    class Derived(fp.PartialResponse):
        more: int = 1

    assert Derived(text="a").more == 1
    assert type(Derived(text="a")) is Derived
    assert fp.ErrorResponse(text="a").allow_retry
