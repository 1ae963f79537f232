"""Files of the commands for recordings: opened for reading, and failures that end the command with one line."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

import click

from poeproto_cli.terminal import echo
from poeproto_record import Recording, RecordingError, RecordingReader

C = TypeVar("C", bound=Callable[..., Any])

file_argument = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))


def output_option(what: str) -> Callable[[C], C]:
    """The option for the file that is written; standard output by default."""
    return click.option(
        "-o",
        "--output",
        type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
        default="-",
        help=f"The file for {what}; standard output by default.",
    )


def private_file(output: Path, *, empty: bool = True) -> BinaryIO:
    """The file, open for writing; only its owner may read it, unless it was there before: it has conversations.

    Args:
        output: the path.
        empty: whether to empty it if it was there before.
    """
    flags = os.O_WRONLY | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | (os.O_TRUNC if empty else 0)
    return cast("BinaryIO", os.fdopen(os.open(output, flags, 0o600), "wb"))


@contextmanager
def reading(file: Path) -> Generator[RecordingReader]:
    """A reader of the file. Failures end the command, as in `recording_failures`."""
    with recording_failures(file), file.open("rb") as stream:
        reader = RecordingReader(stream, name=str(file))
        yield reader
        report_cut(file, reader)


def report_cut(file: Path, recording: RecordingReader | Recording) -> None:
    """Say so if the last line of the file was incomplete."""
    if recording.is_cut:
        echo(f"{file}: the last line is incomplete, and was not read", err=True)


@contextmanager
def recording_failures(file: Path) -> Generator[None]:
    """Within the block, a file that is not a recording, or that cannot be read or written, ends the command with 1."""
    try:
        yield
    except RecordingError as exc:
        raise click.ClickException(str(exc)) from exc
    except BrokenPipeError:
        raise  # the reader of standard output has enough, as `head` does; click exits without a word
    except OSError as exc:
        raise click.ClickException(f"{exc.filename or file}: {exc.strerror or exc}") from exc


def refuse_same_file(file: Path, output: Path) -> None:
    """Refuse to write to the file that is read.

    Raises:
        click.UsageError: if they are the same.
    """
    if output.exists() and output.samefile(file):
        raise click.UsageError(f"{output} is the file that is read; write to another one")
