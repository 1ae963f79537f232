"""`poeproto recording har`: a recording as an HTTP Archive."""

from __future__ import annotations

import json
from io import TextIOWrapper
from pathlib import Path

import click

import poeproto
from poeproto_cli.recording_files import (
    file_argument,
    output_option,
    private_file,
    recording_failures,
    refuse_same_file,
    report_cut,
)
from poeproto_cli.terminal import echo
from poeproto_record import har_log, load_recording


@click.command()
@file_argument
@output_option("the archive")
def har(file: Path, output: Path) -> None:
    """Export a recording as a HAR 1.2, which the developer tools of browsers import.

    A HAR has one time for a whole body. The times of the reads are in the field _reads, which other tools ignore.
    """
    refuse_same_file(file, output)
    with recording_failures(file):
        recording = load_recording(file)
        archive = har_log(recording.header, recording.exchanges, poeproto.__version__)
        report_cut(file, recording)
        if str(output) == "-":
            echo(json.dumps(archive, indent=1, ensure_ascii=False))
            return
        with private_file(output) as file_of_archive, TextIOWrapper(file_of_archive, encoding="utf-8") as stream:
            json.dump(archive, stream, indent=1, ensure_ascii=False)
