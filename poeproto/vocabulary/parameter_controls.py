"""Parameter controls as a whole: sections, tabs and conditions, and the rules between their elements.

https://creator.poe.com/docs/server-bots/parameter-controls
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

import attrs

from poeproto.vocabulary.controls import Comparison, Control, Input, Validated
from poeproto.vocabulary.validation import NO_EXTRA

CONTROLS_API_VERSION = "2"


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
