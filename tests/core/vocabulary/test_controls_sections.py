"""Sections, tabs and conditions; and that all controls are read as they were written, or refused with their place."""

from __future__ import annotations

import json
from typing import Any, cast

import attrs
import pytest
from hypothesis import given, settings

from poeproto import (
    AspectRatio,
    Comparison,
    ConditionalControls,
    Divider,
    DropDown,
    InvalidValue,
    LiteralValue,
    LocalProtocolError,
    ParameterControls,
    RemoteProtocolError,
    Section,
    SettingsResponse,
    Slider,
    Tab,
    TextArea,
    TextField,
    ToggleSwitch,
    UnknownControl,
    decode_settings,
    encode_settings,
)
from poeproto.testing import sample_settings

from ...support.control_strategies import attrs_to_wire, parameter_controls, without_unknown, without_unknown_keys

SLIDER = Slider(label="Depth", parameter_name="depth", min_value=10, max_value=100, step=5)
TITLE = TextField(label="Title", parameter_name="title")
ALWAYS = Comparison(comparator="eq", left=LiteralValue(1), right=LiteralValue(1))


def read(controls: Any) -> ParameterControls:
    found = decode_settings(json.dumps({"response_version": 2, "parameter_controls": controls})).parameter_controls
    assert found is not None
    return found


def wire_of(controls: ParameterControls) -> Any:
    return json.loads(encode_settings(SettingsResponse(parameter_controls=controls)))["parameter_controls"]


# --- reading and writing


@settings(max_examples=200)
@given(parameter_controls)
def test_controls_are_read_as_they_were_written(controls: ParameterControls) -> None:
    wire = attrs_to_wire(controls)
    assert read(wire) == controls


@settings(max_examples=100)
@given(parameter_controls.filter(without_unknown))
def test_known_controls_are_written(controls: ParameterControls) -> None:
    plain = read(without_unknown_keys(wire := attrs_to_wire(controls)))
    assert wire_of(plain) == without_unknown_keys(wire)


def test_the_sample_has_every_kind_of_control_and_survives() -> None:
    sample = sample_settings()
    assert decode_settings(encode_settings(sample)) == sample
    assert sample.parameter_controls is not None
    kinds = {type(control) for _, control in sample.parameter_controls.walk()}
    assert kinds == {
        Divider, TextField, TextArea, DropDown, ToggleSwitch, Slider, AspectRatio, ConditionalControls,
    }  # fmt: skip


def test_unset_fields_are_left_out() -> None:
    assert wire_of(ParameterControls([Section(controls=[TITLE])])) == {
        "api_version": "2",
        "sections": [{"controls": [{"control": "text_field", "label": "Title", "parameter_name": "title"}]}],
    }


def test_a_control_of_an_unknown_kind_is_kept_and_not_sent() -> None:
    wire = {"sections": [{"controls": [{"control": "dial", "label": "Volume", "marks": [1, None]}]}]}
    controls = read(wire)
    (unknown,) = controls.sections[0].controls or []
    assert unknown == UnknownControl("dial", extra={"label": "Volume", "marks": [1, None]})
    with pytest.raises(LocalProtocolError) as caught:
        encode_settings(SettingsResponse(parameter_controls=controls))
    assert str(caught.value).startswith("parameter_controls.sections[0].controls[0].control: ")
    assert "'dial'" in str(caught.value)


def test_unknown_keys_are_kept_at_every_level_and_not_sent() -> None:
    wire = attrs_to_wire(sample_settings().parameter_controls)
    wire["sections"][0]["controls"][2]["condition"]["right"]["hint"] = "x"
    controls = read(wire)
    assert attrs_to_wire(controls) == wire
    with pytest.raises(LocalProtocolError) as caught:
        encode_settings(SettingsResponse(parameter_controls=controls))
    path = "parameter_controls.sections[0].controls[2].condition.right"
    assert str(caught.value) == f"{path}: Poe refuses settings with unknown keys: hint"


def test_a_later_version_of_the_controls_is_read_and_not_sent() -> None:
    controls = read({"api_version": "3", "sections": []})
    assert controls.api_version == "3"
    with pytest.raises(LocalProtocolError, match=r"^parameter_controls\.api_version: '3' is not '2'"):
        encode_settings(SettingsResponse(parameter_controls=controls))


def test_the_documents_equals_is_eq() -> None:
    wire = condition({"parameter_name": "title"})
    wire["condition"]["comparator"] = "equals"
    (conditional,) = read({"sections": [{"controls": [wire]}]}).sections[0].controls or []
    assert cast("ConditionalControls", conditional).condition.comparator == "eq"
    assert Comparison(comparator="equals", left=LiteralValue(1), right=LiteralValue(1)).comparator == "eq"


DIVIDER: dict[str, Any] = {"control": "divider"}
ONE = {"literal": 1}
NAMED = {"label": "x", "parameter_name": "x"}
RANGE = {"control": "slider", **NAMED, "min_value": 10, "max_value": 100, "step": 1}
CHOICE = {"control": "drop_down", **NAMED, "options": [{"value": "a", "name": "A"}, {"value": "a"}]}


def condition(left: Any, inner: dict[str, Any] = DIVIDER) -> dict[str, Any]:
    comparison = {"comparator": "eq", "left": left, "right": ONE}
    return {"control": "condition", "condition": comparison, "controls": [inner]}


@pytest.mark.parametrize(
    ("controls", "path", "message"),
    [
        ([{"label": "x"}], "controls[0].control", "missing, or not a string"),
        ([{"control": 7}], "controls[0].control", "missing, or not a string"),
        (["divider"], "controls[0]", "expected an object, got a string"),
        ([DIVIDER, None], "controls[1]", "expected an object, got null"),
        ([{"control": "text_field", "label": "x"}], "controls[0].parameter_name", "missing"),
        ([{"control": "text_field", **NAMED, "label": 1}], "controls[0].label", "expected str, got int"),
        ([condition({})], "controls[0].condition.left", "expected exactly one of literal and parameter_name"),
        (
            [condition({"literal": 1, "parameter_name": "x"})],
            "controls[0].condition.left",
            "expected exactly one of literal and parameter_name",
        ),
        (
            [condition({"literal": []})],
            "controls[0].condition.left.literal",
            "expected bool | int | float | str, got array",
        ),
        ([condition(1)], "controls[0].condition.left", "expected an object, got a number"),
        ([CHOICE], "controls[0].options[1].name", "missing"),
        ([DIVIDER, DIVIDER, {**RANGE, "default_value": 7}], "controls[2].default_value", "7 is outside 10..100"),
        (
            [condition(ONE, {"control": "text_area", **NAMED, "parameter_name": "poe_x"})],
            "controls[0].controls[0].parameter_name",
            "'poe_x' starts with 'poe_', which is reserved for Poe",
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("inside_tabs", [False, True], ids=["section", "tab"])
def test_an_invalid_value_is_reported_with_its_whole_path(
    controls: list[Any], path: str, message: str, inside_tabs: bool
) -> None:
    section = {"tabs": [{"name": "t", "controls": controls}]} if inside_tabs else {"controls": controls}
    place = "parameter_controls.sections[1]." + ("tabs[0]." if inside_tabs else "")
    with pytest.raises(RemoteProtocolError) as caught:
        read({"sections": [{"controls": [{"control": "divider"}]}, section]})
    assert caught.value.path == place + path
    assert str(caught.value) == f"{place}{path}: {message}"


def test_an_error_about_several_fields_has_the_path_of_their_parent() -> None:
    first = {"control": "slider", "label": "x", "parameter_name": "x", "min_value": 1, "max_value": 9, "step": 1}
    wire = {"sections": [{"controls": [first, {**first, "default_value": 5}]}]}
    with pytest.raises(RemoteProtocolError) as caught:
        read(wire)
    assert caught.value.path == "parameter_controls.sections[0].controls[1].default_value"
    with pytest.raises(RemoteProtocolError) as caught:
        read({"sections": [{"name": "empty"}]})
    assert caught.value.path == "parameter_controls.sections[0]"


# --- rules


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ({}, ""),
        ({"name": "x"}, ""),
        ({"controls": [Divider()], "tabs": [Tab(name="x", controls=[Divider()])]}, ""),
        ({"controls": []}, "controls"),
        ({"tabs": []}, "tabs"),
    ],
)
def test_a_section_has_controls_or_tabs(arguments: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        Section(**arguments)
    assert caught.value.path == path


def test_a_tab_is_not_empty() -> None:
    with pytest.raises(InvalidValue, match=r"^controls: empty"):
        Tab(name="x", controls=[])


def test_conditions_do_not_nest_and_are_not_empty() -> None:
    inner = ConditionalControls(condition=ALWAYS, controls=[Divider()])
    with pytest.raises(InvalidValue, match=r"^controls\[1\]: conditional controls cannot contain"):
        ConditionalControls(condition=ALWAYS, controls=[Divider(), inner])
    with pytest.raises(InvalidValue, match=r"^controls: empty"):
        ConditionalControls(condition=ALWAYS, controls=[])


def test_controls_that_share_a_name_share_a_default() -> None:
    five = attrs.evolve(SLIDER, default_value=50)
    conditional = ConditionalControls(condition=ALWAYS, controls=[five])
    ParameterControls([Section(controls=[five, conditional]), Section(tabs=[Tab(name="x", controls=[five])])])
    for other in (SLIDER, attrs.evolve(SLIDER, default_value=51), TextField(label="x", parameter_name="depth")):
        with pytest.raises(InvalidValue) as caught:
            ParameterControls([Section(controls=[conditional]), Section(tabs=[Tab(name="x", controls=[TITLE, other])])])
        assert caught.value.path == "sections[1].tabs[0].controls[1].default_value"
        assert "the default of 'depth' in sections[0].controls[0].controls[0]" in str(caught.value)


def test_a_switch_that_is_on_is_not_a_slider_at_one() -> None:
    switch = ToggleSwitch(label="x", parameter_name="x", default_value=True)
    slider = Slider(label="x", parameter_name="x", min_value=0, max_value=2, step=1, default_value=1)
    with pytest.raises(InvalidValue):
        ParameterControls([Section(controls=[switch, slider])])


def test_all_controls_are_walked_with_their_paths() -> None:
    controls = sample_settings().parameter_controls
    assert controls is not None
    assert [path for path, _ in controls.walk()] == [
        "sections[0].controls[0]",
        "sections[0].controls[1]",
        "sections[0].controls[2]",
        "sections[0].controls[2].controls[0]",
        "sections[1].tabs[0].controls[0]",
        "sections[1].tabs[0].controls[1]",
        "sections[1].tabs[0].controls[2]",
        "sections[1].tabs[0].controls[3]",
        "sections[1].tabs[1].controls[0]",
    ]


@pytest.mark.parametrize(
    ("cls", "arguments"),
    [
        (ParameterControls, {"sections": [Divider()]}),
        (Section, {"controls": [SettingsResponse()]}),
        (Tab, {"name": 7, "controls": [Divider()]}),
        (ConditionalControls, {"condition": "x", "controls": [Divider()]}),
    ],
)
def test_types_are_checked_first(cls: type[Any], arguments: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        cls(**arguments)


def test_conditions_within_conditions_are_refused_however_deep() -> None:
    control: Any = {"control": "divider"}
    comparison = {"comparator": "eq", "left": {"literal": 1}, "right": {"literal": 1}}
    for _ in range(60):
        control = {"control": "condition", "condition": comparison, "controls": [control]}
    with pytest.raises(RemoteProtocolError, match="conditional controls cannot contain") as caught:
        read({"sections": [{"controls": [control]}]})
    assert caught.value.path == "parameter_controls.sections[0]" + ".controls[0]" * 60
