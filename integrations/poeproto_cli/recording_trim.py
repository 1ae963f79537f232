"""`poeproto recording trim`: a part of a recording."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

from poeproto_cli.recording_files import file_argument, output_option, private_file, reading, refuse_same_file
from poeproto_cli.terminal import echo
from poeproto_record import RecordedEnd, RecordedRequest, RecordingReader, encode_header, encode_record

_RANGE = re.compile(r"(\d{1,15})(?:-(\d{1,15})?)?")


def _checked_numbers(context: click.Context, parameter: click.Parameter, value: str | None) -> list[range] | None:
    if value is None:
        return None
    ranges: list[range] = []
    for part in value.split(","):
        match = _RANGE.fullmatch(part.strip())
        if match is None:
            raise click.BadParameter(f"{part.strip()!r} is not a number or a range; expected for instance 1,3-5,8-")
        first = int(match[1])
        last = int(match[2]) if match[2] else 2**53 if "-" in part else first
        if last < first:
            raise click.BadParameter(f"{part.strip()!r} ends before it begins")
        ranges.append(range(first, last + 1))
    return ranges


@click.command()
@file_argument
@output_option("the part")
@click.option(
    "--exchanges",
    callback=_checked_numbers,
    metavar="NUMBERS",
    help="Keep these exchanges: numbers and ranges, as in 1,3-5,8-.",
)
@click.option("--from", "start", type=click.FloatRange(min=0), help="Keep what began at this second or later.")
@click.option("--to", "stop", type=click.FloatRange(min=0), help="Keep what began before this second.")
def trim(file: Path, output: Path, exchanges: list[range] | None, start: float | None, stop: float | None) -> None:
    """Copy some exchanges of a recording, whole, with its first line.

    Numbers and times stay as they are. Seconds count from the beginning of the recording.
    """
    if exchanges is None and start is None and stop is None:
        raise click.UsageError("say what to keep: --exchanges, --from or --to")
    refuse_same_file(file, output)
    with reading(file) as reader:
        lines = _kept(reader, exchanges, start or 0, float("inf") if stop is None else stop)
        if str(output) == "-":
            for line in lines:
                echo(line.decode(), nl=False)
            return
        with private_file(output) as stream:
            stream.writelines(lines)


def _kept(reader: RecordingReader, exchanges: list[range] | None, start: float, stop: float) -> Iterator[bytes]:
    yield encode_header(reader.header)
    kept: set[int] = set()
    for record in reader:
        if isinstance(record, RecordedRequest):
            is_numbered = exchanges is None or any(record.exchange in numbers for numbers in exchanges)
            if is_numbered and start <= record.at < stop:
                kept.add(record.exchange)
        if record.exchange in kept:
            yield encode_record(record)
            if isinstance(record, RecordedEnd):
                kept.remove(record.exchange)
