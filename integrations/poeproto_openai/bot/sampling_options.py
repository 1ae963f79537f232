"""The options of a request that a user may set: as controls of the bot's settings, and as values of the request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from poeproto import (
    Control,
    DropDown,
    DropDownOption,
    ParameterControls,
    QueryRequest,
    Section,
    Slider,
    TextField,
    ToggleSwitch,
)

MODEL = "model"
SHOW_REASONING = "show_reasoning"
STOP = "stop"
MAX_TOKENS = "max_tokens"


@attrs.frozen(kw_only=True)
class _Range:
    """An option that is a number."""

    label: str
    low: float
    high: float
    step: float
    default: float

    def control(self, name: str, default: Any) -> Control:
        return Slider(
            label=self.label,
            parameter_name=name,
            min_value=self.low,
            max_value=self.high,
            step=self.step,
            default_value=self.default if default is None else default,
        )

    def read(self, value: object) -> float | None:
        if isinstance(value, str):
            try:
                value = float(value)
            except ValueError:
                return None
        if not isinstance(value, int | float) or isinstance(value, bool) or not self.low <= value <= self.high:
            return None
        return int(value) if self.step >= 1 else value

    @property
    def expected(self) -> str:
        return f"a number from {self.low:g} to {self.high:g}"


@attrs.frozen(kw_only=True)
class _Choice:
    """An option with a fixed set of words."""

    label: str
    values: tuple[str, ...]
    default: str

    def control(self, name: str, default: Any) -> Control:
        options = [DropDownOption(value, value) for value in self.values]
        return DropDown(label=self.label, parameter_name=name, options=options, default_value=default or self.default)

    def read(self, value: object) -> str | None:
        return value if isinstance(value, str) and value in self.values else None

    @property
    def expected(self) -> str:
        return f"one of {', '.join(self.values)}"


@attrs.frozen(kw_only=True)
class _Switch:
    """An option that is on or off."""

    label: str

    def control(self, name: str, default: Any) -> Control:
        return ToggleSwitch(label=self.label, parameter_name=name, default_value=bool(default))

    def read(self, value: object) -> bool | None:
        return value if isinstance(value, bool) else {"true": True, "false": False}.get(str(value).lower())

    expected = "true or false"


@attrs.frozen(kw_only=True)
class _Text:
    """An option that is a text: strings at which the model stops, separated by commas."""

    label: str

    def control(self, name: str, default: Any) -> Control:
        return TextField(label=self.label, parameter_name=name, default_value=",".join(default or ()))

    def read(self, value: object) -> list[str] | None:
        if isinstance(value, list):
            items: list[object] = list(value)  # pyright: ignore[reportUnknownArgumentType]
            return [item for item in items if isinstance(item, str)] if items else []
        return [part for part in value.split(",") if part] if isinstance(value, str) else None

    expected = "a text, or a list of texts"


_Option = _Range | _Choice | _Switch | _Text
_OPTIONS: Mapping[str, _Option] = {
    "temperature": _Range(label="Temperature", low=0, high=2, step=0.1, default=1),
    "top_p": _Range(label="Top P", low=0, high=1, step=0.05, default=1),
    "presence_penalty": _Range(label="Presence penalty", low=-2, high=2, step=0.1, default=0),
    "frequency_penalty": _Range(label="Frequency penalty", low=-2, high=2, step=0.1, default=0),
    MAX_TOKENS: _Range(label="Longest answer, in tokens", low=1, high=1_000_000, step=1, default=4096),
    "seed": _Range(label="Seed", low=0, high=2**31 - 1, step=1, default=0),
    "reasoning_effort": _Choice(
        label="Reasoning effort", values=("minimal", "low", "medium", "high"), default="medium"
    ),
    STOP: _Text(label="Stop at (separated by commas)"),
    SHOW_REASONING: _Switch(label="Show the model's reasoning"),
}
OPTION_NAMES = frozenset(_OPTIONS)


class InvalidOption(Exception):
    """A parameter of the message has a value that the option does not allow. The message is for the user."""


class SamplingOptions:
    """The options that a bot offers.

    Only these are read from a message: any other parameter could change what the bot costs, or whom it asks.

    Args:
        models: the models to choose from; the first is the default.
        offered: the names of the options that users may set.
        defaults: values of options, offered or not.
        max_tokens: the largest value of `max_tokens`, if that is offered, and its default.

    Raises:
        ValueError: for a name that is not an option, or a default that the option does not allow.
    """

    def __init__(
        self,
        models: Sequence[str],
        offered: Sequence[str] = (),
        defaults: Mapping[str, Any] | None = None,
        max_tokens: int | None = None,
    ) -> None:
        self._models = list(models)
        self._defaults = dict(defaults or {})
        self._options = {name: _known(name) for name in [*offered, *self._defaults]}
        if max_tokens is not None:
            limit = _Range(label="Longest answer, in tokens", low=1, high=max_tokens, step=1, default=max_tokens)
            self._options = {MAX_TOKENS: limit, **{n: o for n, o in self._options.items() if n != MAX_TOKENS}}
            self._defaults.setdefault(MAX_TOKENS, max_tokens)
        self._offered = [name for name in self._options if name in set(offered)]
        for name, value in self._defaults.items():
            if self._options[name].read(value) is None:
                raise ValueError(f"the default of {name} must be {self._options[name].expected}, got {value!r}")

    def controls(self) -> ParameterControls | None:
        """The controls of the settings; None where there is nothing to choose."""
        controls: list[Control] = []
        if len(self._models) > 1:
            choices = [DropDownOption(model, model) for model in self._models]
            controls.append(
                DropDown(label="Model", parameter_name=MODEL, options=choices, default_value=self._models[0])
            )
        controls += [self._options[name].control(name, self._defaults.get(name)) for name in self._offered]
        return ParameterControls(sections=[Section(controls=controls)]) if controls else None

    def values(self, request: QueryRequest) -> dict[str, Any]:
        """The values for a query, `model` included: those of its last message, else of the query, else the defaults.

        Raises:
            InvalidOption: for a value that the option does not allow.
        """
        values: dict[str, Any] = {MODEL: self._models[0], **self._defaults}
        if (
            request.temperature is not None and "temperature" in self._offered
        ):  # some models refuse a temperature of any value
            values["temperature"] = request.temperature
        if request.stop_sequences:
            values[STOP] = request.stop_sequences
        if request.logit_bias:
            values["logit_bias"] = request.logit_bias
        given = {**(request.extra_params or {}), **(request.query[-1].parameters if request.query else {})}
        for name in self._offered:
            if (value := given.get(name)) is None or value == "":
                continue
            read = self._options[name].read(value)
            if read is None:
                raise InvalidOption(f"The option {name} must be {self._options[name].expected}.")
            values[name] = read
        model = given.get(MODEL)
        if model and len(self._models) > 1:
            if model not in self._models:
                raise InvalidOption(f"The option model must be one of {', '.join(self._models)}.")
            values[MODEL] = model
        return {name: value for name, value in values.items() if name != STOP or value}


def _known(name: str) -> _Option:
    if name not in _OPTIONS:
        raise ValueError(f"there is no option {name!r}; the options are {', '.join(sorted(_OPTIONS))}")
    return _OPTIONS[name]
