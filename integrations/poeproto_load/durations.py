"""Durations as people type them: `200ms`, `5s`."""

from __future__ import annotations

import re

__all__ = ["format_duration", "parse_duration"]

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*(us|µs|ms|s|m|h)", re.ASCII)
_NUMBER = re.compile(r"\d+(\.\d+)?", re.ASCII)


def parse_duration(text: str) -> float:
    """The seconds of a duration with its unit, as `200ms`. The units are us, ms, s, m and h.

    Raises:
        ValueError: when it is not a duration, or has no unit.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        hint = f"; did you mean {text.strip()}s?" if _NUMBER.fullmatch(text.strip()) else ""
        raise ValueError(f"{text!r} is not a duration; expected a number with a unit, as 200ms or 5s{hint}")
    return float(match[1]) * _UNITS[match[2].replace("µ", "u")]


def format_duration(seconds: float) -> str:
    """A duration in seconds, as `parse_duration` reads it, with as many digits as it needs: `200ms`, `1.5s`."""
    for unit in ("s", "ms"):
        if seconds >= _UNITS[unit] or not seconds:
            return f"{seconds / _UNITS[unit]:.12g}{unit}"
    return f"{seconds / _UNITS['us']:.12g}us"
