"""Findings about objects: each one, with its place, where readers refuse the object and where they accept it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poeproto import RemoteProtocolError, decode_settings
from poeproto.lint import Finding, Level, lint_settings


def places(found: list[Finding]) -> list[tuple[str, str]]:
    return [(each.path, each.rule) for each in found]


def settings_with(control: dict[str, Any], **more: Any) -> str:
    controls = {"api_version": "2", "sections": [{"controls": [{"control": "divider"}, control]}]}
    return json.dumps({"response_version": 2, "parameter_controls": controls, **more})


def condition(left: Any) -> dict[str, Any]:
    comparison = {"comparator": "eq", "left": left, "right": {"literal": 1}}
    return {"control": "condition", "condition": comparison, "controls": [{"control": "divider"}]}


PLACE = "parameter_controls.sections[0].controls[1]"
SLIDER = {
    "control": "slider", "label": "x", "parameter_name": "x", "min_value": 10, "max_value": 100, "step": 1,
}  # fmt: skip


@pytest.mark.parametrize(
    ("control", "path", "rule"),
    [
        ({**SLIDER, "default_value": 7}, ".default_value", "default-value"),
        ({**SLIDER, "step": "1"}, ".step", "field-types"),
        ({**SLIDER, "new": 1}, ".new", "unknown-fields"),
        ({**SLIDER, "parameter_name": "poe_x"}, ".parameter_name", "parameter-name"),
        ({"control": "dial"}, ".control", "kinds"),
        ({"control": ["dial"]}, ".control", "kinds"),
        (condition({"parameter_name": 1}), ".condition.left.parameter_name", "field-types"),
        (condition({}), ".condition.left.literal", "required-fields"),
        (condition(1), ".condition.left", "field-types"),
    ],
)  # fmt: skip
def test_controls_are_held_to_their_rules(control: dict[str, Any], path: str, rule: str) -> None:
    assert places(lint_settings(settings_with(control))) == [(PLACE + path, f"controls.{rule}")]


def test_each_of_several_controls_is_reported() -> None:
    bad = {**SLIDER, "default_value": 7}
    controls = {"api_version": "2", "sections": [{"controls": [bad]}, {"name": "empty"}, {"controls": [bad]}]}
    found = lint_settings(json.dumps({"response_version": 2, "parameter_controls": controls}))
    assert [each.path for each in found] == [
        "parameter_controls.sections[0].controls[0].default_value",
        "parameter_controls.sections[1]",
        "parameter_controls.sections[2].controls[0].default_value",
    ]
    assert found[0].message == "7 is outside 10..100"


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        ({}, [("response_version", "settings.response-version")]),
        ({"response_version": 1}, [("response_version", "settings.response-version")]),
        ({"response_version": 2, "allow_attachments": None}, [("allow_attachments", "settings.null-fields")]),
        ({"response_version": 2, "custom_rate_card": "x"}, [("custom_rate_card", "settings.deprecated-fields")]),
        ({"response_version": 2, "new": 1}, [("new", "settings.unknown-fields")]),
        (
            {"response_version": 2, "enable_multi_bot_chat_prompting": True},
            [("enable_multi_bot_chat_prompting", "settings.deprecated-fields")],
        ),
    ],
)
def test_settings_are_to_be_of_today(wire: dict[str, Any], expected: list[Any]) -> None:
    assert places(lint_settings(json.dumps(wire))) == expected


def test_a_whole_number_may_be_written_as_a_float() -> None:
    whole = {"response_version": 2.0, "server_bot_dependencies": {"x": 1.0}}
    assert lint_settings(json.dumps(whole)) == []
    broken = {"response_version": 2.5, "server_bot_dependencies": {"x": 1.5}}
    assert places(lint_settings(json.dumps(broken))) == [
        ("response_version", "settings.field-types"),
        ("server_bot_dependencies", "settings.field-types"),
    ]


def test_an_old_version_that_loses_the_controls_is_an_error() -> None:
    (found,) = lint_settings(settings_with({**SLIDER}, response_version=None))
    assert (found.path, found.rule) == ("response_version", "controls.response-version")
    assert "Poe ignores parameter_controls" in found.message


def test_every_rule_that_is_broken_is_reported_whatever_else_there_is() -> None:
    slider = {**SLIDER, "default_value": 7, "step": 0, "parameter_name": "poe_x", "description": None}
    assert places(lint_settings(settings_with(slider))) == [
        (f"{PLACE}.description", "controls.null-fields"),
        (f"{PLACE}.parameter_name", "controls.parameter-name"),
        (f"{PLACE}.default_value", "controls.default-value"),
        (f"{PLACE}.step", "controls.slider-range"),
    ]
    both = {"controls": [SLIDER], "tabs": [{"name": "t", "controls": []}], "collapsed_by_default": None}
    again = {"controls": [{**SLIDER, "default_value": 20}]}
    controls = {"api_version": "1", "sections": [both, again]}
    assert places(lint_settings(json.dumps({"response_version": 2, "parameter_controls": controls}))) == [
        ("parameter_controls.api_version", "controls.api-version"),
        ("parameter_controls.sections[0].tabs[0].controls", "controls.empty"),
        ("parameter_controls.sections[0].collapsed_by_default", "controls.null-fields"),
        ("parameter_controls.sections[0]", "controls.section"),
        ("parameter_controls.sections[1].controls[0].default_value", "controls.shared-default"),
    ]


def test_an_old_word_for_a_comparison_is_pointed_out_and_understood() -> None:
    control = condition({"parameter_name": "x"})
    control["condition"]["comparator"] = "equals"
    assert places(lint_settings(settings_with(control))) == [
        (f"{PLACE}.condition.comparator", "controls.old-comparator")
    ]
    control["condition"]["comparator"] = ["equals"]
    assert places(lint_settings(settings_with(control))) == [(f"{PLACE}.condition.comparator", "controls.field-types")]


BROKEN = st.fixed_dictionaries(
    {"control": st.sampled_from(["slider", "drop_down", "condition"])},
    optional={
        "label": st.sampled_from(["x", None]),
        "parameter_name": st.sampled_from(["x", "poe_x", ""]),
        "min_value": st.integers(0, 3),
        "max_value": st.integers(0, 3),
        "step": st.integers(0, 3),
        "default_value": st.none() | st.integers(0, 3) | st.sampled_from("ab"),
        "options": st.lists(st.fixed_dictionaries({"value": st.sampled_from("ab"), "name": st.just("x")})),
        "condition": st.just(condition({"parameter_name": "x"})["condition"]),
        "controls": st.lists(st.just({"control": "divider"}), max_size=1),
        "description": st.none(),
    },
)


@given(st.lists(BROKEN, max_size=3))
def test_errors_are_reported_exactly_where_readers_refuse(controls: list[Any]) -> None:
    body = json.dumps({"response_version": 2, "parameter_controls": {"sections": [{"controls": controls}]}})
    # Keys that readers keep and Poe refuses are errors, too.
    errors = [each for each in lint_settings(body) if each.level is Level.MUST and "unknown-fields" not in each.rule]
    try:
        decode_settings(body)
    except RemoteProtocolError as exc:
        assert exc.path in {each.path for each in errors}  # noqa: PT017
    else:
        assert errors == []
