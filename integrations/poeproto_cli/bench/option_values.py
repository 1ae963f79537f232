"""How the command reads its options: callbacks that refuse an invalid value."""

from __future__ import annotations

import datetime
import re
import time
from pathlib import Path

import attrs
import click

from poeproto_load import SLO, parse_duration, parse_slo

_NUMBER = re.compile(r"\d+(\.\d+)?|\.\d+", re.ASCII)
_RANGE = re.compile(r"(\d+)\.\.(\d+)", re.ASCII)
_FORMATS = ("jsonl", "csv", "html")


def checked_duration(context: click.Context, parameter: click.Parameter, text: str | None) -> float | None:
    """The seconds of a duration: ``10s``, ``500ms``, or a number of seconds."""
    if text is None:
        return None
    try:
        return float(text) if _NUMBER.fullmatch(text) else parse_duration(text)
    except ValueError as exc:
        raise click.BadParameter(str(exc)) from None


def checked_share(context: click.Context, parameter: click.Parameter, text: str) -> float:
    """A share, as ``5%``, from 0 to 1."""
    number = text.removesuffix("%")
    if number == text or not _NUMBER.fullmatch(number) or not float(number) <= 100:
        raise click.BadParameter(f"{text!r} is not a share; expected per cent from 0% to 100%, as 5%")
    return float(number) / 100


def checked_slo(context: click.Context, parameter: click.Parameter, text: str | None) -> SLO | None:
    """An SLO, as ``first_event:200ms,gap:50ms``."""
    try:
        return None if text is None else parse_slo(text)
    except ValueError as exc:
        raise click.BadParameter(str(exc)) from None


def checked_concurrency(context: click.Context, parameter: click.Parameter, text: str | None) -> tuple[int, ...] | None:
    """Numbers of connections, in increasing order: ``1..64``, which doubles from 1 to 64, or ``1,4,16``."""
    if text is None:
        return None
    if (match := _RANGE.fullmatch(text)) is not None:
        first, last = int(match[1]), int(match[2])
        levels = [first]
        while 0 < levels[-1] < last:
            levels.append(min(2 * levels[-1], last))
    else:
        levels = [int(part) if part.isdecimal() and part.isascii() else 0 for part in text.split(",")]
        last = levels[-1]
    if levels[0] < 1 or levels[-1] != last or levels != sorted(set(levels)):
        raise click.BadParameter(f"{text!r} is not a sweep; expected increasing numbers from 1 on, as 1..64 or 1,4,16")
    return tuple(levels)


def checked_start(context: click.Context, parameter: click.Parameter, text: str | None) -> float | None:
    """A moment in the future, in Unix time. It is written in ISO 8601; without a zone, it is local time."""
    if text is None:
        return None
    try:
        at = float(text) if _NUMBER.fullmatch(text) else datetime.datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{text!r} is not a time; expected one in ISO 8601, as 2030-01-31T12:00:00Z") from None
    if at <= time.time():
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        raise click.BadParameter(f"{text} has passed; the time is {now}")
    return at


@attrs.frozen
class ExportFile:
    """A file to export to, and its format."""

    path: Path
    format: str


def checked_exports(
    context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]
) -> tuple[ExportFile, ...]:
    """Files whose suffix is their format. A format alone is the file ``bench`` with that suffix."""
    return tuple(map(_read_export, texts))


def _read_export(text: str) -> ExportFile:
    path = Path(f"bench.{text}" if text in _FORMATS else text)
    if path.suffix[1:].lower() not in _FORMATS:
        raise click.BadParameter(
            f"{text!r}: expected jsonl, csv or html, or a file with such a suffix, as results.html"
        )
    if path.is_dir() or not path.parent.is_dir():
        raise click.BadParameter(f"{path} cannot be written: it is a folder, or its folder does not exist")
    return ExportFile(path, path.suffix[1:].lower())


__all__ = [
    "ExportFile",
    "checked_concurrency",
    "checked_duration",
    "checked_exports",
    "checked_share",
    "checked_slo",
    "checked_start",
]
