"""Parameter controls: the user interface of a bot, whose values arrive in `Message.parameters`.

Poe silently drops all controls if one is invalid, so each value is validated when it is made: first the types, then
the rules of the protocol. An error in controls read from JSON names the whole path.

https://creator.poe.com/docs/server-bots/parameter-controls
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

import attrs

from poeproto.vocabulary.errors import InvalidValue
from poeproto.vocabulary.field_types import NO_EXTRA, check_types

__all__ = [
    "AspectRatio",
    "AspectRatioOption",
    "Comparison",
    "ConditionalControls",
    "Control",
    "Divider",
    "DropDown",
    "DropDownOption",
    "LiteralValue",
    "ParameterControls",
    "ParameterValue",
    "Section",
    "Slider",
    "Tab",
    "TextArea",
    "TextField",
    "ToggleSwitch",
    "UnknownControl",
]

CONTROLS_API_VERSION = "2"

COMPARATORS = ("eq", "ne", "gt", "ge", "lt", "le")

# Poe's documents use the key in their text, and the value in their examples.
OLD_COMPARATORS = {"equals": "eq"}

PARAMETER_NAME = re.compile("[A-Za-z0-9_]+", re.ASCII)
RESERVED_PREFIX = "poe_"


class Validated:
    """A value that checks the types of its fields and its own rules when it is made: by a constructor or by msgspec."""

    __slots__ = ()

    def __attrs_post_init__(self) -> None:
        check_types(self)
        for path, message in self.violations():
            raise InvalidValue(message, path=path)

    def violations(self) -> Iterator[tuple[str, str]]:
        """The rules that this value breaks: the path within it, and the reason. The constructor raises the first."""
        return iter(())


class Control:
    """One element of the user interface: the base class of all controls."""

    __slots__ = ()
    control: ClassVar[str]
    extra: Mapping[str, Any]


class Operand:
    """One side of a `Comparison`: `LiteralValue` or `ParameterValue`."""

    __slots__ = ()


@attrs.frozen(kw_only=True)
class Input(Control, Validated):
    """A control that sets a parameter: the base class of those."""

    label: str
    parameter_name: str
    description: str | None = None

    def violations(self) -> Iterator[tuple[str, str]]:
        yield from _name_violations(self.parameter_name)


def _name_violations(name: str) -> Iterator[tuple[str, str]]:
    if not PARAMETER_NAME.fullmatch(name):
        yield "parameter_name", f"{name!r} may only contain the letters A to Z and a to z, digits and underscores"
    elif name.startswith(RESERVED_PREFIX):
        yield "parameter_name", f"{name!r} starts with {RESERVED_PREFIX!r}, which is reserved for Poe"


@attrs.frozen(kw_only=True)
class Divider(Control, Validated):
    """A line between controls.

    Attributes:
        extra: unknown keys.
    """

    control: ClassVar[str] = "divider"
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, hash=False)


@attrs.frozen(kw_only=True)
class TextField(Input):
    """One line of text.

    Attributes:
        label: the text beside it.
        parameter_name: the key in `Message.parameters`: letters, digits and underscores, not starting with ``poe_``.
        description: a longer explanation.
        default_value: the initial text.
        placeholder: the text shown while it is empty.
        extra: unknown keys.

    Raises:
        TypeError: for a field of another type.
        InvalidValue: for an invalid parameter name.
    """

    control: ClassVar[str] = "text_field"
    default_value: str | None = None
    placeholder: str | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, hash=False)


@attrs.frozen(kw_only=True)
class TextArea(Input):
    """Several lines of text. Attributes and errors as in `TextField`."""

    control: ClassVar[str] = "text_area"
    default_value: str | None = None
    placeholder: str | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, hash=False)


@attrs.frozen
class DropDownOption:
    """One of the values a `DropDown` offers.

    Attributes:
        value: the value of the parameter.
        name: the text that the user reads.
        extra: unknown keys.
    """

    value: str
    name: str
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)

    def __attrs_post_init__(self) -> None:
        check_types(self)


@attrs.frozen(kw_only=True)
class DropDown(Input):
    """A choice of one among several options.

    Attributes:
        label: the text beside it.
        parameter_name: as in `TextField`.
        options: at least one.
        description: a longer explanation.
        default_value: the initial value: the `DropDownOption.value` of one option.
        extra: unknown keys.

    Raises:
        TypeError: for a field of another type.
        InvalidValue: for an invalid parameter name, no options, two options of one value, or a default that no option
            has.
    """

    control: ClassVar[str] = "drop_down"
    options: list[DropDownOption]
    default_value: str | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, hash=False)

    def violations(self) -> Iterator[tuple[str, str]]:
        yield from _name_violations(self.parameter_name)
        yield from _option_violations([option.value for option in self.options], self.default_value)


def _option_violations(values: list[str], default: str | None) -> Iterator[tuple[str, str]]:
    if not values:
        yield "options", "empty; add at least one option"
    seen: set[str] = set()
    for number, value in enumerate(values):
        if value in seen:
            yield f"options[{number}].value", f"{value!r} is the value of an earlier option, too"
        seen.add(value)
    if default is not None and default not in seen:
        yield "default_value", f"{default!r} is not the value of an option"


@attrs.frozen(kw_only=True)
class ToggleSwitch(Input):
    """A switch that is on or off.

    Attributes:
        label: the text beside it.
        parameter_name: as in `TextField`.
        description: a longer explanation.
        default_value: whether it is on initially.
        extra: unknown keys.

    Raises:
        TypeError: for a field of another type.
        InvalidValue: for an invalid parameter name.
    """

    control: ClassVar[str] = "toggle_switch"
    default_value: bool | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, hash=False)


@attrs.frozen(kw_only=True)
class Slider(Input):
    """A number from a range.

    Attributes:
        label: the text beside it.
        parameter_name: as in `TextField`.
        min_value: the smallest number.
        max_value: the largest number, greater than `min_value`.
        step: the distance between two numbers, greater than zero.
        description: a longer explanation.
        default_value: the initial number, within the range.
        extra: unknown keys.

    Raises:
        TypeError: for a field of another type.
        InvalidValue: for an invalid parameter name, a number that is not finite, an empty range, a step of zero or
            less, or a default outside the range.
    """

    control: ClassVar[str] = "slider"
    min_value: int | float
    max_value: int | float
    step: int | float
    default_value: int | float | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, hash=False)

    def violations(self) -> Iterator[tuple[str, str]]:
        yield from _name_violations(self.parameter_name)
        low, high, default = self.min_value, self.max_value, self.default_value
        numbers = {"min_value": low, "max_value": high, "step": self.step, "default_value": default}
        for name, number in numbers.items():
            if isinstance(number, float) and not math.isfinite(number):
                yield name, f"{number} is not a finite number"
        if low >= high:
            yield "max_value", f"{high} is not greater than min_value, which is {low}"
        elif default is not None and not low <= default <= high:
            yield "default_value", f"{default} is outside {low}..{high}"
        if self.step <= 0:
            yield "step", f"{self.step} is not greater than zero"


@attrs.frozen(kw_only=True)
class AspectRatioOption(Validated):
    """One of the ratios an `AspectRatio` offers.

    Attributes:
        width: the width of the picture, in any unit.
        height: its height, in the same unit.
        value: the value of the parameter; None means "width:height".
        extra: unknown keys.

    Raises:
        TypeError: for a field of another type.
        InvalidValue: for a width or height that is not a finite number greater than zero.
    """

    width: int | float
    height: int | float
    value: str | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, hash=False)

    @property
    def effective_value(self) -> str:
        """The value of the parameter: `value`, or "width:height" where that is None."""
        return f"{self.width}:{self.height}" if self.value is None else self.value

    def violations(self) -> Iterator[tuple[str, str]]:
        for name, side in (("width", self.width), ("height", self.height)):
            if not 0 < side < math.inf:
                yield name, f"{side} is not a finite number greater than zero"


@attrs.frozen(kw_only=True)
class AspectRatio(Input):
    """A choice of one among several aspect ratios of a picture.

    Attributes:
        label: the text beside it.
        parameter_name: as in `TextField`.
        options: at least one.
        description: a longer explanation.
        default_value: the initial value: the `AspectRatioOption.effective_value` of one option.
        extra: unknown keys.

    Raises:
        TypeError: for a field of another type.
        InvalidValue: for an invalid parameter name, no options, two options of one value, or a default that no option
            has.
    """

    control: ClassVar[str] = "aspect_ratio"
    options: list[AspectRatioOption]
    default_value: str | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, hash=False)

    def violations(self) -> Iterator[tuple[str, str]]:
        yield from _name_violations(self.parameter_name)
        yield from _option_violations([option.effective_value for option in self.options], self.default_value)


@attrs.frozen
class LiteralValue(Operand, Validated):
    """A constant in a `Comparison`.

    Attributes:
        literal: a string, number or boolean.
        extra: unknown keys.

    Raises:
        TypeError: for a value of another type.
        InvalidValue: for a number that is not finite.
    """

    literal: str | int | float | bool
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)

    def violations(self) -> Iterator[tuple[str, str]]:
        if isinstance(self.literal, float) and not math.isfinite(self.literal):
            yield "literal", f"{self.literal} is not a finite number"


@attrs.frozen
class ParameterValue(Operand, Validated):
    """The current value of a parameter, in a `Comparison`.

    Attributes:
        parameter_name: as in `TextField`.
        extra: unknown keys.

    Raises:
        TypeError: for a value of another type.
        InvalidValue: for an invalid parameter name.
    """

    parameter_name: str
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)

    def violations(self) -> Iterator[tuple[str, str]]:
        yield from _name_violations(self.parameter_name)


@attrs.frozen(kw_only=True)
class Comparison(Validated):
    """The condition under which `ConditionalControls` are shown.

    Attributes:
        comparator: "eq", "ne", "gt", "ge", "lt" or "le"; "equals" becomes "eq".
        left: a constant, or the value of a parameter.
        right: likewise.
        extra: unknown keys.

    Raises:
        TypeError: for a field of another type.
        InvalidValue: for another comparator.
    """

    comparator: str
    left: Operand
    right: Operand
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, hash=False)

    def __attrs_post_init__(self) -> None:
        check_types(self)
        # Not an attrs converter, which msgspec would not call.
        object.__setattr__(self, "comparator", OLD_COMPARATORS.get(self.comparator, self.comparator))
        super().__attrs_post_init__()

    def violations(self) -> Iterator[tuple[str, str]]:
        if self.comparator not in COMPARATORS:
            yield "comparator", f"{self.comparator!r} is not one of {', '.join(COMPARATORS)}"


@attrs.frozen
class UnknownControl(Control):
    """A control of an unknown kind. Reading keeps it, sending refuses it.

    Attributes:
        control: the kind, as received.
        extra: all other keys.
    """

    control: str  # pyright: ignore[reportIncompatibleVariableOverride]  # a field here, not a constant of the class
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)

    def __attrs_post_init__(self) -> None:
        check_types(self)


def _empty_list(name: str, values: list[Any]) -> Iterator[tuple[str, str]]:
    if not values:
        yield name, "empty; at least one element is required"


@attrs.frozen(kw_only=True)
class ConditionalControls(Control, Validated):
    """Controls that are shown while a condition is true.

    Attributes:
        condition: the condition.
        controls: at least one, none of them `ConditionalControls`.
        extra: unknown keys.

    Raises:
        TypeError: for a field of another type.
        InvalidValue: for no controls, or for conditional controls among them.
    """

    control: ClassVar[str] = "condition"
    condition: Comparison
    controls: list[Control]
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, hash=False)

    def violations(self) -> Iterator[tuple[str, str]]:
        yield from _empty_list("controls", self.controls)
        for number, control in enumerate(self.controls):
            if isinstance(control, ConditionalControls):
                yield f"controls[{number}]", "conditional controls cannot contain conditional controls"


@attrs.frozen(kw_only=True)
class Tab(Validated):
    """One of several groups of controls, of which one is shown at a time.

    Attributes:
        controls: at least one.
        name: the text on the tab.
        extra: unknown keys.

    Raises:
        TypeError: for a field of another type.
        InvalidValue: for no controls.
    """

    controls: list[Control]
    name: str | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, hash=False)

    def violations(self) -> Iterator[tuple[str, str]]:
        yield from _empty_list("controls", self.controls)


@attrs.frozen(kw_only=True)
class Section(Validated):
    """A group of controls, or of tabs.

    Attributes:
        controls: at least one, or None for a section of tabs.
        tabs: at least one, or None for a section of controls.
        name: the heading.
        collapsed_by_default: whether it is collapsed initially.
        extra: unknown keys.

    Raises:
        TypeError: for a field of another type.
        InvalidValue: for both controls and tabs, neither, or an empty list.
    """

    controls: list[Control] | None = None
    tabs: list[Tab] | None = None
    name: str | None = None
    collapsed_by_default: bool | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, hash=False)

    def violations(self) -> Iterator[tuple[str, str]]:
        if (self.controls is None) == (self.tabs is None):
            given = "neither is" if self.tabs is None else "both are"
            yield "", f"pass either controls or tabs; {given} given"
        if self.controls is not None:
            yield from _empty_list("controls", self.controls)
        if self.tabs is not None:
            yield from _empty_list("tabs", self.tabs)


@attrs.frozen
class ParameterControls(Validated):
    """The whole user interface for `Message.parameters`.

    Attributes:
        sections: the sections, from the top.
        api_version: "2".
        extra: unknown keys.

    Raises:
        TypeError: for a field of another type.
        InvalidValue: for two controls of one parameter with different defaults; the path is the second control's.
    """

    sections: list[Section]
    api_version: str = CONTROLS_API_VERSION
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)

    def walk(self) -> Iterator[tuple[str, Control]]:
        """Every control with its path, as in ``sections[0].tabs[1].controls[2]``, outer controls before inner ones."""
        for number, section in enumerate(self.sections):
            place = f"sections[{number}]"
            yield from _walk(place, section.controls or ())
            for tab_number, tab in enumerate(section.tabs or ()):
                yield from _walk(f"{place}.tabs[{tab_number}]", tab.controls)

    def violations(self) -> Iterator[tuple[str, str]]:
        defaults: dict[str, tuple[Any, str]] = {}
        for path, control in self.walk():
            if isinstance(control, Input):
                default = getattr(control, "default_value", None)
                first, first_path = defaults.setdefault(control.parameter_name, (default, path))
                # True equals 1 in Python; to Poe one is a switch's value and the other a slider's.
                if (type(first) is bool, first) != (type(default) is bool, default):
                    yield (
                        f"{path}.default_value",
                        f"{default!r} is not {first!r}, the default of {control.parameter_name!r} in {first_path}",
                    )


def _walk(place: str, controls: Iterable[Control]) -> Iterator[tuple[str, Control]]:
    for number, control in enumerate(controls):
        path = f"{place}.controls[{number}]"
        yield path, control
        if isinstance(control, ConditionalControls):
            yield from _walk(path, control.controls)
