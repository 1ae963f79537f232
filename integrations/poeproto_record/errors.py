"""The error of a recording that cannot be read."""

from __future__ import annotations

from poeproto import PoeprotoError

__all__ = ["RecordingError"]


class RecordingError(PoeprotoError):
    """A file is not a recording, breaks its format, or exceeds a limit of its reader.

    Attributes:
        file: the name of the file; empty if it has none.
        line: the number of the line, from 1; 0 where no single line is to blame.
        what: the problem there. It quotes no body, header or URL.
    """

    def __init__(self, what: str, *, file: str = "", line: int = 0) -> None:
        place = file or "the recording"
        super().__init__(f"{place}, line {line}: {what}" if line else f"{place}: {what}")
        self.file = file
        self.line = line
        self.what = what
