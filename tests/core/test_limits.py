from __future__ import annotations

import inspect
import math
import re
from typing import Any

import attrs
import pytest

from poeproto import Limits

FIELDS = [field.name for field in attrs.fields(Limits)]


@pytest.mark.parametrize(
    ("field", "value"),
    # The specification of late 2025 and the functional guides.
    [("text_length", 512_000), ("events", 10_000), ("files", 20), ("answer_seconds", 3600)],
)
def test_the_published_limits_are_the_defaults(field: str, value: float) -> None:
    assert getattr(Limits(), field) == value


def test_a_text_of_the_greatest_length_fits_into_an_event_even_as_escapes() -> None:
    limits = Limits()
    escapes_of_one_character = len(r"\ud83d\udc08")
    assert limits.text_length * escapes_of_one_character < limits.event_size <= limits.answer_size


def test_every_bound_has_a_text() -> None:
    _, _, attributes = (inspect.getdoc(Limits) or "").partition("Attributes:\n")
    assert re.findall(r"^    (\w+): ", attributes.partition("\n\n")[0], re.MULTILINE) == FIELDS


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", [0, -1, -0.5, math.nan])
def test_a_bound_is_positive(field: str, value: float) -> None:
    changes: dict[str, Any] = {field: value}
    with pytest.raises(ValueError, match=rf"Limits\.{field} must be positive"):
        Limits(**changes)


@pytest.mark.parametrize("field", FIELDS)
def test_every_bound_can_be_set(field: str) -> None:
    changes: dict[str, Any] = {field: 1}
    assert getattr(Limits(**changes), field) == 1
    assert attrs.evolve(Limits(), **changes) == Limits(**changes) != Limits()


def test_a_time_without_end_is_possible() -> None:
    assert Limits(answer_seconds=math.inf).answer_seconds == math.inf


def test_limits_are_frozen_and_given_by_name() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(Limits(), "events", 5)  # noqa: B010 - to the type checker an assignment is an error already
    positional: Any = Limits
    with pytest.raises(TypeError):
        positional(5)
    assert len({Limits(), Limits(), Limits(events=5)}) == 2
