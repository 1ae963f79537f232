"""The parameters of a query, as given with `--parameter`, and the controls that a bot has for them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click

from poeproto import (
    AspectRatio,
    Control,
    DropDown,
    SettingsResponse,
    Slider,
    ToggleSwitch,
    UnknownControl,
)
from poeproto_cli.strict_json import loads_strictly


def checked_parameters(
    context: click.Context, parameter: click.Parameter, described: tuple[str, ...]
) -> dict[str, Any]:
    """The callback of an option for parameters: each NAME=VALUE, where a VALUE that is not JSON is a string."""
    parameters: dict[str, Any] = {}
    for each in described:
        name, separator, value = each.partition("=")
        if not separator or not name:
            raise click.BadParameter(f"{each!r} is not of the form NAME=VALUE")
        if name in parameters:
            raise click.BadParameter(f"{name} is given twice")
        parameters[name] = _value(value)
    return parameters


def _value(text: str) -> Any:
    try:
        return loads_strictly(text)
    except (ValueError, RecursionError):
        return text


def check_parameters(parameters: Mapping[str, Any], settings: SettingsResponse) -> None:
    """Check parameters against the controls in a bot's settings.

    Raises:
        click.UsageError: for a parameter that no control sets, or a value that its controls cannot have.
    """
    shown = settings.parameter_controls
    controls = [] if shown is None else [control for _, control in shown.walk()]
    names = sorted({name for control in controls if (name := _name_of(control)) is not None})
    for name, value in parameters.items():
        setting = [control for control in controls if _name_of(control) == name]
        if not setting:
            known = f"its parameters are {', '.join(names)}" if names else "it has none"
            raise click.UsageError(f"the bot has no parameter {name}; {known}")
        expected = [_expected(control, value) for control in setting]
        if None not in expected:
            given = json.dumps(value, ensure_ascii=False)
            raise click.UsageError(f"{name} is {given}; expected {' or '.join(dict.fromkeys(filter(None, expected)))}")


def _name_of(control: Control) -> str | None:
    """The parameter that a control sets, if it sets one."""
    if isinstance(control, UnknownControl):
        name = control.extra.get("parameter_name")
    else:
        name = getattr(control, "parameter_name", None)
    return name if isinstance(name, str) else None


def _expected(control: Control, value: Any) -> str | None:
    """The values that a control accepts, for an error message; None if this value is one of them."""
    match control:
        case DropDown():
            return _one_of([option.value for option in control.options], value)
        case AspectRatio():
            return _one_of([option.effective_value for option in control.options], value)
        case ToggleSwitch():
            return None if isinstance(value, bool) else "true or false"
        case Slider():
            low, high = control.min_value, control.max_value
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            return None if is_number and low <= value <= high else f"a number from {low} to {high}"
        case UnknownControl():
            return None
        case _:
            return None if isinstance(value, str) else f"a string, as in '\"{value}\"'"


def _one_of(options: list[str], value: Any) -> str | None:
    return None if value in options else f"one of {', '.join(options)}"
