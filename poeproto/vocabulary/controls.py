"""The single elements of a user interface whose values arrive in `Message.parameters`.

These values are small and rare, and a mistake in them would make Poe drop the lot in silence, so that each is checked
when it is made, types first and then the rules of the protocol; where it is read from JSON, the error names the
whole path. https://creator.poe.com/docs/server-bots/parameter-controls
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

# Poe's documents use this word in their text, and the other in their examples.
OLD_COMPARATORS = {"equals": "eq"}

PARAMETER_NAME = re.compile("[A-Za-z0-9_]+", re.ASCII)
RESERVED_PREFIX = "poe_"


class Validated:
    """A value with rules of its own, checked by the constructor and, since msgspec calls the same hook, when read."""

    __slots__ = ()

    def __attrs_post_init__(self) -> None:
        check_types(self)
        for path, message in self.departures():
            raise InvalidValue(message, path=path)

    def departures(self) -> Iterator[tuple[str, str]]:
        """What is wrong with this value itself: the path within it, and the reason. Just the first counts."""
        return iter(())


class Control:
    """One element of the user interface: the base of all below, and of `UnknownControl`."""

    __slots__ = ()
    control: ClassVar[str]
    extra: Mapping[str, Any]


class Operand:
    """One side of a `Comparison`: `LiteralValue` or `ParameterValue`."""

    __slots__ = ()


@attrs.frozen(kw_only=True)
class Input(Control, Validated):
    """What all controls that set a parameter have in common."""

    label: str
    parameter_name: str
    description: str | None = None

    def departures(self) -> Iterator[tuple[str, str]]:
        yield from _name_departures(self.parameter_name)


def _name_departures(name: str) -> Iterator[tuple[str, str]]:
    if not PARAMETER_NAME.fullmatch(name):
        yield "parameter_name", f"{name!r} is not made of the letters A to Z and a to z, digits and underscores alone"
    elif name.startswith(RESERVED_PREFIX):
        yield "parameter_name", f"{name!r} starts with {RESERVED_PREFIX!r}, which Poe keeps for itself"


@attrs.frozen(kw_only=True)
class Divider(Control, Validated):
    """A line between controls.

    Attributes:
        extra: keys this version does not know.
    """

    control: ClassVar[str] = "divider"
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, hash=False)


@attrs.frozen(kw_only=True)
class TextField(Input):
    """One line of text.

    Attributes:
        label: what stands beside it.
        parameter_name: the key in `Message.parameters`: letters, digits and underscores, not starting with ``poe_``.
        description: a longer explanation.
        default_value: the text it starts with.
        placeholder: what is shown while it is empty.
        extra: keys this version does not know.

    Raises:
        TypeError: for a field of another type.
        InvalidValue: for a name that is none.
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
        value: what the parameter is set to.
        name: what the user reads.
        extra: keys this version does not know.
    """

    value: str
    name: str
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)

    def __attrs_post_init__(self) -> None:
        check_types(self)


@attrs.frozen(kw_only=True)
class DropDown(Input):
    """A choice of one among several.

    Attributes:
        label: what stands beside it.
        parameter_name: as in `TextField`.
        options: at least one.
        description: a longer explanation.
        default_value: the `DropDownOption.value` it starts with.
        extra: keys this version does not know.

    Raises:
        TypeError: for a field of another type.
        InvalidValue: for a name that is none, no options, two of the same value, a default that is not among them.
    """

    control: ClassVar[str] = "drop_down"
    options: list[DropDownOption]
    default_value: str | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, hash=False)

    def departures(self) -> Iterator[tuple[str, str]]:
        yield from _name_departures(self.parameter_name)
        yield from _option_departures([option.value for option in self.options], self.default_value)


def _option_departures(values: list[str], default: str | None) -> Iterator[tuple[str, str]]:
    if not values:
        yield "options", "empty, and the user must have something to choose from"
    seen: set[str] = set()
    for number, value in enumerate(values):
        if value in seen:
            yield f"options[{number}].value", f"{value!r} is the value of an earlier option"
        seen.add(value)
    if default is not None and default not in seen:
        yield "default_value", f"{default!r} is not among the options"


@attrs.frozen(kw_only=True)
class ToggleSwitch(Input):
    """A switch that is on or off.

    Attributes:
        label: what stands beside it.
        parameter_name: as in `TextField`.
        description: a longer explanation.
        default_value: whether it starts as on.
        extra: keys this version does not know.

    Raises:
        TypeError: for a field of another type.
        InvalidValue: for a name that is none.
    """

    control: ClassVar[str] = "toggle_switch"
    default_value: bool | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, hash=False)


@attrs.frozen(kw_only=True)
class Slider(Input):
    """A number from a range.

    Attributes:
        label: what stands beside it.
        parameter_name: as in `TextField`.
        min_value: the least number.
        max_value: the greatest, above the least.
        step: the distance of neighbouring numbers, above zero.
        description: a longer explanation.
        default_value: where it starts, within the range.
        extra: keys this version does not know.

    Raises:
        TypeError: for a field of another type.
        InvalidValue: for a name that is none, a number that is not finite, an empty range, a step that is not above
            zero, a default outside the range.
    """

    control: ClassVar[str] = "slider"
    min_value: int | float
    max_value: int | float
    step: int | float
    default_value: int | float | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, hash=False)

    def departures(self) -> Iterator[tuple[str, str]]:
        yield from _name_departures(self.parameter_name)
        low, high, default = self.min_value, self.max_value, self.default_value
        numbers = {"min_value": low, "max_value": high, "step": self.step, "default_value": default}
        for name, number in numbers.items():
            if isinstance(number, float) and not math.isfinite(number):
                yield name, f"{number} is not a finite number"
        if low >= high:
            yield "max_value", f"{high} is not above min_value, which is {low}"
        elif default is not None and not low <= default <= high:
            yield "default_value", f"{default} is outside {low}..{high}"
        if self.step <= 0:
            yield "step", f"{self.step} is not above zero"


@attrs.frozen(kw_only=True)
class AspectRatioOption(Validated):
    """One of the ratios an `AspectRatio` offers.

    Attributes:
        width: the width of the picture it stands for, in any unit.
        height: the height, in the same unit.
        value: what the parameter is set to; where None, "width:height".
        extra: keys this version does not know.

    Raises:
        TypeError: for a field of another type.
        InvalidValue: for a side that is not a finite number above zero.
    """

    width: int | float
    height: int | float
    value: str | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, hash=False)

    @property
    def effective_value(self) -> str:
        """What the parameter is set to."""
        return f"{self.width}:{self.height}" if self.value is None else self.value

    def departures(self) -> Iterator[tuple[str, str]]:
        for name, side in (("width", self.width), ("height", self.height)):
            if not 0 < side < math.inf:
                yield name, f"{side} is not a finite number above zero"


@attrs.frozen(kw_only=True)
class AspectRatio(Input):
    """A choice of one among several shapes of a picture.

    Attributes:
        label: what stands beside it.
        parameter_name: as in `TextField`.
        options: at least one.
        description: a longer explanation.
        default_value: the value of the option it starts with.
        extra: keys this version does not know.

    Raises:
        TypeError: for a field of another type.
        InvalidValue: for a name that is none, no options, two of the same value, a default that is not among them.
    """

    control: ClassVar[str] = "aspect_ratio"
    options: list[AspectRatioOption]
    default_value: str | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, hash=False)

    def departures(self) -> Iterator[tuple[str, str]]:
        yield from _name_departures(self.parameter_name)
        yield from _option_departures([option.effective_value for option in self.options], self.default_value)


@attrs.frozen
class LiteralValue(Operand, Validated):
    """A value to compare with.

    Attributes:
        literal: a string, number or boolean.
        extra: keys this version does not know.

    Raises:
        TypeError: for a value of another type.
        InvalidValue: for a number that is not finite.
    """

    literal: str | int | float | bool
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)

    def departures(self) -> Iterator[tuple[str, str]]:
        if isinstance(self.literal, float) and not math.isfinite(self.literal):
            yield "literal", f"{self.literal} is not a finite number"


@attrs.frozen
class ParameterValue(Operand, Validated):
    """The value that a parameter has at the moment.

    Attributes:
        parameter_name: as in `TextField`.
        extra: keys this version does not know.

    Raises:
        TypeError: for a value of another type.
        InvalidValue: for a name that is none.
    """

    parameter_name: str
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)

    def departures(self) -> Iterator[tuple[str, str]]:
        yield from _name_departures(self.parameter_name)


@attrs.frozen(kw_only=True)
class Comparison(Validated):
    """When `ConditionalControls` are shown.

    Attributes:
        comparator: "eq", "ne", "gt", "ge", "lt" or "le"; "equals" becomes "eq".
        left: a literal value or a parameter's.
        right: likewise.
        extra: keys this version does not know.

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
        # Not an attrs converter: msgspec would pass it by.
        object.__setattr__(self, "comparator", OLD_COMPARATORS.get(self.comparator, self.comparator))
        super().__attrs_post_init__()

    def departures(self) -> Iterator[tuple[str, str]]:
        if self.comparator not in COMPARATORS:
            yield "comparator", f"{self.comparator!r} is none of {', '.join(COMPARATORS)}"


@attrs.frozen
class UnknownControl(Control):
    """A control of a kind this version does not know. It is kept when read; sending refuses it.

    Attributes:
        control: the kind, as it came.
        extra: all other keys.
    """

    control: str  # pyright: ignore[reportIncompatibleVariableOverride]  # here it differs from value to value
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)

    def __attrs_post_init__(self) -> None:
        check_types(self)


def _emptiness(name: str, values: list[Any]) -> Iterator[tuple[str, str]]:
    if not values:
        yield name, "empty; at least one is needed"


@attrs.frozen(kw_only=True)
class ConditionalControls(Control, Validated):
    """Controls that are shown while a comparison holds.

    Attributes:
        condition: the comparison.
        controls: at least one, none of them a condition itself.
        extra: keys this version does not know.

    Raises:
        TypeError: for a field of another type.
        InvalidValue: for no controls, or a condition within.
    """

    control: ClassVar[str] = "condition"
    condition: Comparison
    controls: list[Control]
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, hash=False)

    def departures(self) -> Iterator[tuple[str, str]]:
        yield from _emptiness("controls", self.controls)
        for number, control in enumerate(self.controls):
            if isinstance(control, ConditionalControls):
                yield f"controls[{number}]", "a condition within a condition, which Poe has no form for"


@attrs.frozen(kw_only=True)
class Tab(Validated):
    """One of several groups of controls, of which one is seen at a time.

    Attributes:
        name: what stands on the tab.
        controls: at least one.
        extra: keys this version does not know.

    Raises:
        TypeError: for a field of another type.
        InvalidValue: for no controls.
    """

    name: str
    controls: list[Control]
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, hash=False)

    def departures(self) -> Iterator[tuple[str, str]]:
        yield from _emptiness("controls", self.controls)


@attrs.frozen(kw_only=True)
class Section(Validated):
    """A group of controls, or of tabs.

    Attributes:
        controls: at least one, where there are no tabs.
        tabs: at least one, where there are no controls.
        name: what stands above it.
        collapsed_by_default: whether it must be opened to be seen.
        extra: keys this version does not know.

    Raises:
        TypeError: for a field of another type.
        InvalidValue: for both controls and tabs, neither, or an empty list.
    """

    controls: list[Control] | None = None
    tabs: list[Tab] | None = None
    name: str | None = None
    collapsed_by_default: bool | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, hash=False)

    def departures(self) -> Iterator[tuple[str, str]]:
        if (self.controls is None) == (self.tabs is None):
            what = "neither" if self.tabs is None else "both"
            yield "", f"one of controls and tabs is needed, and there are {what}"
        if self.controls is not None:
            yield from _emptiness("controls", self.controls)
        if self.tabs is not None:
            yield from _emptiness("tabs", self.tabs)


@attrs.frozen
class ParameterControls(Validated):
    """The whole user interface for `Message.parameters`.

    Attributes:
        sections: its groups, from the top.
        api_version: "2".
        extra: keys this version does not know.

    Raises:
        TypeError: for a field of another type.
        InvalidValue: for controls that share a parameter's name but not its default; the path names the later one.
    """

    sections: list[Section]
    api_version: str = CONTROLS_API_VERSION
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)

    def walk(self) -> Iterator[tuple[str, Control]]:
        """Every control with its path, as in ``sections[0].tabs[1].controls[2]``, conditions before their content."""
        for number, section in enumerate(self.sections):
            place = f"sections[{number}]"
            yield from _walk(place, section.controls or ())
            for tab_number, tab in enumerate(section.tabs or ()):
                yield from _walk(f"{place}.tabs[{tab_number}]", tab.controls)

    def departures(self) -> Iterator[tuple[str, str]]:
        defaults: dict[str, tuple[Any, str]] = {}
        for path, control in self.walk():
            if isinstance(control, Input):
                default = getattr(control, "default_value", None)
                first, first_path = defaults.setdefault(control.parameter_name, (default, path))
                # In Python True equals 1, but to Poe they are a switch's and a slider's.
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
