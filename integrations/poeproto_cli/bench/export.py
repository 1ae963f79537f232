"""The replies of measurements in a file: one line of JSON or CSV each, or a page with plots."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence

import attrs
import click

from poeproto_cli.bench.measurement import Measurement
from poeproto_cli.bench.option_values import ExportFile
from poeproto_load import ReplySample

_COLUMNS = ("connections", "rate", "started_at", *(field.name for field in attrs.fields(ReplySample)))


def export(file: ExportFile, measurements: Sequence[Measurement], what: str) -> None:
    """Write the file.

    Args:
        file: where to, and in which format.
        measurements: with their samples.
        what: the name of the measured bot, for the title of a page.

    Raises:
        click.ClickException: when it cannot be written.
    """
    if file.format == "html":
        from poeproto_cli.bench.page import as_page

        content = as_page(measurements, what)
    else:
        content = _as_jsonl(measurements) if file.format == "jsonl" else _as_csv(measurements)
    try:
        file.path.write_text(content, encoding="utf-8", newline="")
    except OSError as exc:
        raise click.ClickException(f"{file.path} cannot be written: {exc.strerror or exc}") from exc


def _as_jsonl(measurements: Sequence[Measurement]) -> str:
    return "".join(f"{json.dumps(row)}\n" for row in _rows(measurements))


def _as_csv(measurements: Sequence[Measurement]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS)
    writer.writeheader()
    writer.writerows(_rows(measurements))
    return text.getvalue()


def _rows(measurements: Sequence[Measurement]) -> list[dict[str, object]]:
    """A row for each reply, with the load that it belongs to. Times are in seconds; `started_at` is Unix time."""
    return [
        {
            "connections": measurement.connections,
            "rate": measurement.rate,
            "started_at": measurement.result.started_at,
            **attrs.asdict(sample),
        }
        for measurement in measurements
        for sample in measurement.samples
    ]


__all__ = ["export"]
