"""Files that are read for an upload, with a progress bar on standard error where that is a terminal."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import click

from poeproto_cli.terminal import encodable
from poeproto_runtime.printable import printable_line

# The longest name of a file that is shown: the bar needs the rest of the line.
_NAME_LENGTH = 30
_BESIDE_BAR = len("  []  100%") + 1
_WIDEST = 36
_USUAL_WIDTH = 80


class _CountedFile(io.FileIO):
    """A file that reports the position after each read. An upload that is retried reads it again.

    Attributes:
        on_position: is given the position.
    """

    on_position: Callable[[int], None] | None = None

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(-1 if size is None else size)
        if self.on_position is not None and self.seekable():
            self.on_position(self.tell())
        return data or b""


@contextmanager
def file_with_progress(path: Path) -> Generator[io.FileIO]:
    """The file, open for reading; a bar shows how much of it was read, if standard error is a terminal.

    Raises:
        click.UsageError: when it cannot be opened, or is a folder.
    """
    try:
        size = path.stat().st_size
        if path.is_dir():
            raise click.UsageError(f"{path} is a folder; expected a file")
        file = _CountedFile(path)
    except OSError as exc:
        raise click.UsageError(f"{path} cannot be read: {exc.strerror or exc}") from exc
    with file:
        name = encodable(printable_line(path.name[:_NAME_LENGTH]), sys.stderr.encoding if sys.stderr else None)
        width = _terminal_width() - len(name) - _BESIDE_BAR
        if width < 1 or not size:
            yield file
            return
        with click.progressbar(length=size, label=name, width=min(width, _WIDEST), file=sys.stderr) as bar:

            def move_to(position: int) -> None:
                bar.update(position - bar.pos)

            file.on_position = move_to
            yield file


def _terminal_width() -> int:
    """The width of the terminal that progress is shown in; 0 if there is none."""
    if sys.stderr is None or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        return 0
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or _USUAL_WIDTH
    except OSError:
        return _USUAL_WIDTH
