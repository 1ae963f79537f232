"""Rules of single controls, checked when one is made."""

from __future__ import annotations

import math
from typing import Any

import attrs
import pytest

from poeproto import (
    AspectRatio,
    AspectRatioOption,
    Comparison,
    Control,
    Divider,
    DropDown,
    DropDownOption,
    InvalidValue,
    LiteralValue,
    ParameterValue,
    Slider,
    TextArea,
    TextField,
    ToggleSwitch,
    UnknownControl,
)

NAMED: dict[str, Any] = {"label": "A label", "parameter_name": "name"}
OPTIONS = [DropDownOption("a", "A"), DropDownOption("b", "B")]
RANGE: dict[str, Any] = {"min_value": 10, "max_value": 100, "step": 5}
SQUARE = AspectRatioOption(width=1, height=1)
WIDE = AspectRatioOption(width=16, height=9, value="wide")
INPUTS: list[tuple[type[Control], dict[str, Any]]] = [
    (TextField, {}),
    (TextArea, {}),
    (DropDown, {"options": OPTIONS}),
    (ToggleSwitch, {}),
    (Slider, RANGE),
    (AspectRatio, {"options": [SQUARE]}),
]
inputs = pytest.mark.parametrize(("cls", "arguments"), INPUTS, ids=[cls.__name__ for cls, _ in INPUTS])


def refusal(cls: type[Any], **arguments: Any) -> InvalidValue:
    with pytest.raises(InvalidValue) as caught:
        cls(**arguments)
    return caught.value


@inputs
@pytest.mark.parametrize("name", ["a", "A9_", "9", "_", "poe", "Poe_x", "x_poe_"])
def test_names_of_letters_digits_and_underscores_are_accepted(
    cls: type[Any], arguments: dict[str, Any], name: str
) -> None:
    assert cls(**NAMED | arguments | {"parameter_name": name}).parameter_name == name


@inputs
@pytest.mark.parametrize("name", ["", "a b", "a-b", "é", "٣", "a\n", "a.b", "poe_", "poe_x"])
def test_other_names_are_refused(cls: type[Any], arguments: dict[str, Any], name: str) -> None:
    error = refusal(cls, **NAMED | arguments | {"parameter_name": name})
    assert error.path == "parameter_name"
    assert repr(name) in str(error)


@inputs
def test_a_control_has_a_label_a_name_and_defaults_to_nothing(cls: type[Any], arguments: dict[str, Any]) -> None:
    control: Any = cls(**NAMED, **arguments)
    assert (control.description, control.default_value, control.extra) == (None, None, {})
    assert isinstance(control, Control)
    for missing in NAMED:
        with pytest.raises(TypeError, match=missing):
            cls(**{key: value for key, value in NAMED.items() if key != missing}, **arguments)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(control, "label", "another")  # noqa: B010


def test_the_kinds_have_their_names_on_the_wire() -> None:
    kinds = [Divider, TextField, TextArea, DropDown, ToggleSwitch, Slider, AspectRatio]
    assert [cls.control for cls in kinds] == [
        "divider", "text_field", "text_area", "drop_down", "toggle_switch", "slider", "aspect_ratio",
    ]  # fmt: skip
    assert UnknownControl("dial").control == "dial"


@pytest.mark.parametrize(
    ("arguments", "path", "message"),
    [
        ({"default_value": 7}, "default_value", "7 is outside 10..100"),
        ({"default_value": 100.5}, "default_value", "100.5 is outside 10..100"),
        ({"min_value": 100}, "max_value", "100 is not greater than min_value, which is 100"),
        ({"min_value": 101}, "max_value", "100 is not greater than min_value, which is 101"),
        ({"step": 0}, "step", "0 is not greater than zero"),
        ({"step": -1.5}, "step", "-1.5 is not greater than zero"),
        ({"default_value": math.nan}, "default_value", "nan is not a finite number"),
        ({"max_value": math.inf}, "max_value", "inf is not a finite number"),
        ({"min_value": -math.inf}, "min_value", "-inf is not a finite number"),
        ({"step": math.nan}, "step", "nan is not a finite number"),
    ],
)
def test_the_default_of_a_slider_is_within_its_range(arguments: dict[str, Any], path: str, message: str) -> None:
    error = refusal(Slider, **NAMED | RANGE | arguments)
    assert (error.path, str(error)) == (path, f"{path}: {message}")


@pytest.mark.parametrize("default", [10, 100, 55, 10.0, 12.5, None])
def test_the_ends_of_the_range_belong_to_it(default: float | None) -> None:
    assert Slider(**NAMED, **RANGE, default_value=default).default_value == default


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ({"options": []}, "options"),
        ({"options": OPTIONS, "default_value": "c"}, "default_value"),
        ({"options": OPTIONS, "default_value": "A"}, "default_value"),
        ({"options": [*OPTIONS, DropDownOption("a", "Another")]}, "options[2].value"),
    ],
)
def test_a_drop_down_offers_its_default(arguments: dict[str, Any], path: str) -> None:
    assert refusal(DropDown, **NAMED, **arguments).path == path


def test_a_drop_down_starts_with_one_of_its_values() -> None:
    assert DropDown(**NAMED, options=OPTIONS, default_value="b").default_value == "b"


@pytest.mark.parametrize(
    ("option", "value"),
    [(SQUARE, "1:1"), (WIDE, "wide"), (AspectRatioOption(width=2.5, height=1), "2.5:1")],
)
def test_a_ratio_is_named_after_its_sides_unless_it_has_a_value(option: AspectRatioOption, value: str) -> None:
    assert option.effective_value == value
    assert AspectRatio(**NAMED, options=[option], default_value=value).default_value == value


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ({"options": []}, "options"),
        ({"options": [SQUARE, WIDE], "default_value": "16:9"}, "default_value"),
        ({"options": [SQUARE, AspectRatioOption(width=9, height=9, value="1:1")]}, "options[1].value"),
    ],
)
def test_an_aspect_ratio_offers_its_default(arguments: dict[str, Any], path: str) -> None:
    assert refusal(AspectRatio, **NAMED, **arguments).path == path


@pytest.mark.parametrize("side", [0, -1, math.nan, math.inf])
def test_a_side_is_a_positive_length(side: float) -> None:
    assert refusal(AspectRatioOption, width=side, height=1).path == "width"
    assert refusal(AspectRatioOption, width=1, height=side).path == "height"


@pytest.mark.parametrize("comparator", ["eq", "ne", "gt", "ge", "lt", "le"])
def test_the_comparators(comparator: str) -> None:
    comparison = Comparison(comparator=comparator, left=ParameterValue("a"), right=LiteralValue("b"))
    assert comparison.comparator == comparator


@pytest.mark.parametrize("comparator", ["", "EQ", "==", "not_equals"])
def test_no_other_comparators(comparator: str) -> None:
    error = refusal(Comparison, comparator=comparator, left=LiteralValue(1), right=LiteralValue(1))
    assert error.path == "comparator"
    assert "eq, ne, gt, ge, lt, le" in str(error)


def test_operands_have_rules_of_their_own() -> None:
    assert refusal(LiteralValue, literal=math.inf).path == "literal"
    assert refusal(ParameterValue, parameter_name="poe_x").path == "parameter_name"
    assert LiteralValue(True).literal is True


@pytest.mark.parametrize(
    ("cls", "arguments", "message"),
    [
        (TextField, {"label": 1}, "TextField.label must be str"),
        (ToggleSwitch, {"default_value": 1}, "ToggleSwitch.default_value must be bool | None"),
        (Slider, {**RANGE, "default_value": True}, "Slider.default_value must be int | float | None"),
        (Slider, {**RANGE, "min_value": "1"}, "Slider.min_value must be int | float"),
        (DropDown, {"options": ["a"]}, "DropDown.options must be list[DropDownOption]"),
    ],
)
def test_types_come_before_rules(cls: type[Any], arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError) as caught:
        cls(**NAMED | arguments)
    assert str(caught.value).startswith(message)


def test_small_values_check_their_types() -> None:
    anything: Any = None
    for make in (
        lambda: DropDownOption("a", anything),
        lambda: LiteralValue(anything),
        lambda: ParameterValue(anything),
        lambda: UnknownControl(anything),
        lambda: Comparison(comparator="eq", left=anything, right=LiteralValue(1)),
    ):
        with pytest.raises(TypeError):
            make()
