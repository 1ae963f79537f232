"""Hypothesis strategies for parameter controls, and their form on the wire as the protocol's page has it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, cast

import attrs
from hypothesis import strategies as st

from poeproto import (
    AspectRatio,
    AspectRatioOption,
    Comparison,
    ConditionalControls,
    Control,
    Divider,
    DropDown,
    DropDownOption,
    LiteralValue,
    ParameterControls,
    ParameterValue,
    Section,
    Slider,
    Tab,
    TextArea,
    TextField,
    ToggleSwitch,
    UnknownControl,
)
from poeproto.vocabulary.controls import Operand

text = st.text(max_size=10)
integers = st.integers(-(10**20), 10**20)
floats = st.floats(allow_nan=False, allow_infinity=False)
extra = st.dictionaries(text.map("x-".__add__), text | integers | st.none(), max_size=1)

# Controls have rules, so that they are built by hand.
parameter_names = st.from_regex(r"[A-Za-z0-9_]{1,8}", fullmatch=True).filter(lambda name: not name.startswith("poe_"))
input_fields: dict[str, st.SearchStrategy[Any]] = {
    "label": text, "parameter_name": parameter_names, "description": st.none() | text, "extra": extra,
}  # fmt: skip
drop_downs = st.lists(text, min_size=1, max_size=3, unique=True).flatmap(
    lambda names: st.builds(
        DropDown,
        **input_fields,
        options=st.just([DropDownOption(name, name.title()) for name in names]),
        default_value=st.none() | st.sampled_from(names),
    )
)
sides = st.integers(1, 100) | st.floats(0.5, 100)
sliders = st.tuples(sides, sides, sides).map(sorted).filter(lambda three: three[0] < three[2])
leaf_controls: st.SearchStrategy[Control] = st.one_of(
    st.builds(Divider, extra=extra),
    st.builds(TextField, **input_fields, default_value=st.none() | text, placeholder=st.none() | text),
    st.builds(TextArea, **input_fields, default_value=st.none() | text, placeholder=st.none() | text),
    drop_downs,
    st.builds(ToggleSwitch, **input_fields, default_value=st.none() | st.booleans()),
    sliders.flatmap(
        lambda three: st.builds(
            Slider,
            **input_fields,
            min_value=st.just(three[0]),
            default_value=st.none() | st.just(three[1]),
            max_value=st.just(three[2]),
            step=sides,
        )
    ),
    st.builds(
        AspectRatio,
        **input_fields,
        options=st.builds(AspectRatioOption, width=sides, height=sides, extra=extra).map(lambda option: [option]),
    ),
    st.builds(UnknownControl, text.map("x-".__add__), extra=extra),
)
operands: st.SearchStrategy[Operand] = st.one_of(
    st.builds(LiteralValue, text | integers | floats | st.booleans(), extra=extra),
    st.builds(ParameterValue, parameter_names, extra=extra),
)
comparisons = st.builds(
    Comparison, comparator=st.sampled_from(["eq", "ne", "gt", "ge", "lt", "le"]), left=operands, right=operands
)
some_controls = st.lists(leaf_controls, min_size=1, max_size=3)
controls = st.lists(
    leaf_controls | st.builds(ConditionalControls, condition=comparisons, controls=some_controls, extra=extra),
    min_size=1,
    max_size=2,
)
tabs = st.lists(st.builds(Tab, name=text, controls=controls, extra=extra), min_size=1, max_size=2)
sections = st.builds(Section, controls=controls, name=st.none() | text, extra=extra) | st.builds(
    Section, tabs=tabs, collapsed_by_default=st.none() | st.booleans()
)


def with_names_of_their_own(section_list: list[Section]) -> ParameterControls:
    """Controls that share a name must share a default, and these were drawn independently."""

    def renamed(control: Control, number: Iterator[int]) -> Control:
        if isinstance(control, ConditionalControls):
            return attrs.evolve(control, controls=[renamed(inner, number) for inner in control.controls])
        if hasattr(control, "parameter_name"):
            return attrs.evolve(cast("TextField", control), parameter_name=f"p{next(number)}")
        return control

    number = itertools.count()
    return ParameterControls(
        [
            attrs.evolve(
                section,
                controls=section.controls and [renamed(control, number) for control in section.controls],
                tabs=section.tabs
                and [
                    attrs.evolve(tab, controls=[renamed(control, number) for control in tab.controls])
                    for tab in section.tabs
                ],
            )
            for section in section_list
        ]
    )


parameter_controls = st.lists(sections, max_size=2).map(with_names_of_their_own)


def without_unknown(controls: ParameterControls) -> bool:
    return not any(isinstance(control, UnknownControl) for _, control in controls.walk())


def attrs_to_wire(value: Any) -> Any:
    """The wire form as the page of the protocol defines it, written independently of the package: kinds by name, the
    unset left out.
    """
    if isinstance(value, list):
        return [attrs_to_wire(item) for item in value]
    if not attrs.has(type(value)):
        return value
    fields = {field.name: getattr(value, field.name) for field in attrs.fields(type(value)) if field.name != "extra"}
    kind = {"control": value.control} if isinstance(value, Control) else {}
    return kind | {name: attrs_to_wire(item) for name, item in fields.items() if item is not None} | dict(value.extra)


def without_unknown_keys(wire: Any) -> Any:
    if isinstance(wire, list):
        return [without_unknown_keys(item) for item in wire]
    if isinstance(wire, dict):
        return {key: without_unknown_keys(item) for key, item in wire.items() if not key.startswith("x-")}
    return wire
