"""The command `poeproto` in a pseudo-terminal, and the screen that a person sees."""

from __future__ import annotations

import fcntl
import os
import re
import struct
import subprocess
import termios

import attrs

from .command import COMMAND, SECONDS

_CONTROL = re.compile(r"\x1b\[(\d*)([A-Za-z])|\x1b\[\?25[lh]|\x1b\[[\d;]*m")


@attrs.frozen
class Shown:
    """The output of the command, and its exit status."""

    status: int
    output: str

    @property
    def lines(self) -> list[str]:
        """The lines that stay: after all the redraws, without styles."""
        lines, row, at = [""], 0, 0
        text = self.output
        while at < len(text):
            control = _CONTROL.match(text, at)
            if control is not None:
                if control[2] == "A":
                    row = max(0, row - int(control[1] or 1))
                elif control[2] == "J":
                    del lines[row + 1 :]
                    lines[row] = ""
                else:
                    assert control[2] in (None, "m"), f"unexpected control sequence {control[0]!r}"
                at = control.end()
                continue
            character = text[at]
            if character == "\n":
                row += 1
                if row == len(lines):
                    lines.append("")
            elif character == "\r":
                if text[at + 1 : at + 2] != "\n":
                    lines[row] = ""
            else:
                lines[row] += character
            at += 1
        return [line.rstrip() for line in lines]


def run_in_terminal(*arguments: str, columns: int = 80, rows: int = 24, env: dict[str, str] | None = None) -> Shown:
    """Run the command with all three streams in a terminal of that size."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    environment |= {"TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8", **(env or {})}
    output = b""
    with subprocess.Popen(
        [*COMMAND, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        try:
            while data := _read(ours):
                output += data
            return Shown(process.wait(SECONDS), output.decode(errors="surrogateescape"))
        finally:
            os.close(ours)
            process.kill()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # Linux: the other end is closed
        return b""
