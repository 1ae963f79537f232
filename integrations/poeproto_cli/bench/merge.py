"""`poeproto bench merge`: the measurements of several processes at the same time, as one."""

from __future__ import annotations

import json
from pathlib import Path

import click

from poeproto_cli.bench.measurement import Measurement
from poeproto_cli.bench.text import as_text
from poeproto_cli.options import json_option
from poeproto_cli.strict_json import loads_strictly
from poeproto_cli.terminal import echo


@click.command()
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
)
@json_option
def merge(files: tuple[Path, ...], as_json: bool) -> None:
    """Merge the measurements of several load generators.

    FILES are the outputs of `poeproto bench --json`, each of one process; - is standard input. The first measurement of
    each file is merged with the first of the others, and so on. Counts add up, and percentiles are those of all replies
    together. Use --start-at, so that the processes begin together.

    Exit codes: 0, or 1 if an SLO is missed.
    """
    merged: list[Measurement] = []
    warnings: list[str] = []
    for number, file in enumerate(files):
        measurements = _read(file)
        if not number:
            merged = measurements
            continue
        if len(measurements) != len(merged):
            raise click.UsageError(
                f"{file} has {len(measurements)} measurements, {files[0]} has {len(merged)}; expected the same load in"
                " each"
            )
        for one, other in zip(merged, measurements, strict=True):
            warnings += _merge(one, other, file)
    for measurement in merged:
        echo(json.dumps(measurement.as_json()) if as_json else as_text(measurement))
    for warning in warnings:
        echo(f"warning: {warning}", err=True)
    if not all(measurement.result.is_reached for measurement in merged):
        raise click.exceptions.Exit(1)


def _merge(one: Measurement, other: Measurement, file: Path) -> list[str]:
    """Merge a measurement into another; returns warnings."""
    if (one.rate is None, one.arrivals) != (other.rate is None, other.arrivals):
        raise click.UsageError(f"{file} has another kind of load: open and closed models cannot be merged")
    start = max(one.result.started_at, other.result.started_at)
    end = min(one.result.started_at + one.result.seconds, other.result.started_at + other.result.seconds)
    shared = max(0.0, end - start) / min(one.result.seconds or 1, other.result.seconds or 1)
    try:
        one.merge(other)
    except ValueError as exc:
        raise click.UsageError(f"{file}: {exc}") from None
    if shared >= 0.5:
        return []
    return [
        f"{file} ran at the same time as the others for {shared:.0%} only, so that rates are too low;"
        " start them together with --start-at"
    ]


def _read(file: Path) -> list[Measurement]:
    measurements: list[Measurement] = []
    try:
        with click.open_file(str(file), "r", encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                try:
                    measurements.append(Measurement.from_json(loads_strictly(line)))
                except (ValueError, RecursionError) as exc:
                    message = f"{file}, line {number} is not a measurement of poeproto bench --json: {exc}"
                    raise click.ClickException(message) from None
    except (OSError, UnicodeDecodeError) as exc:
        raise click.ClickException(f"{file} cannot be read: {getattr(exc, 'strerror', None) or exc}") from None
    if not measurements:
        raise click.ClickException(f"{file} has no measurement; expected the output of poeproto bench --json")
    return measurements


__all__ = ["merge"]
