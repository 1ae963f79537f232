r"""Printable text: text from a peer, made safe to be shown in a terminal or written to a log.

A bot, a user or a scanner chooses the characters of texts, names, paths and error messages. Three kinds do harm when
they are printed, and are replaced by their escapes, as in ``\u001b``:

- **Control characters.** A terminal interprets them: they set its title, move its cursor, and change its earlier
  output.
- **Bidirectional overrides.** With them, a line reads as something else than it is (CVE-2021-42574, "Trojan Source").
- **Lone surrogates.** They cannot be encoded, so printing them would fail.

Text that must stay on one line (a name, an error, a log message) may contain no line end either: it would forge a line.

An escape has four digits, so it is also valid within a string of JSON: JSON that is printed stays exact.
"""

from __future__ import annotations

import logging
import re
import traceback
from types import TracebackType

ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]

_UNSAFE = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_UNSAFE_IN_TEXT = re.compile(rf"[{_UNSAFE}]|\r(?!\n)")
# Unicode's line and paragraph separators are line ends too, for `str.splitlines` and for many a viewer.
_UNSAFE_IN_LINE = re.compile(rf"[{_UNSAFE}\t\n\r\u2028\u2029]")
_SHORT_ESCAPES = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}
_INDENT = "    "


def printable_text(text: str) -> str:
    """Text of several lines, with control characters escaped. Tabs and line ends stay."""
    return _UNSAFE_IN_TEXT.sub(_escape, text)


def printable_line(text: str) -> str:
    """Text as one line, with control characters, line ends and tabs escaped."""
    return _UNSAFE_IN_LINE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    return _SHORT_ESCAPES.get(character) or f"\\u{ord(character):04x}"


def indented(text: str) -> str:
    """Printable text of several lines, each of them indented."""
    # `splitlines` splits at every line end of Unicode, so that no line begins at the margin.
    return "\n".join(f"{_INDENT}{printable_text(line)}" for line in text.splitlines())


class PrintableRecords(logging.Filter):
    """Makes the records of a logger printable: the message is one line, and the traceback is indented.

    Both may quote a peer. A record begins at the margin, so no line of a traceback does. A message that is printable
    keeps its arguments, for handlers that use them.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Make the record printable; True, since no record is dropped."""
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - the handler meets the same failure, and reports it where logging does
            return True
        line = printable_line(message)
        if line != message:
            record.msg, record.args = line, None
        if record.exc_info and record.exc_info[0] and not record.exc_text:
            # `logging.Formatter` uses this text instead of formatting the exception itself.
            record.exc_text = indented("".join(traceback.format_exception(*record.exc_info)))
        return True


class PrintableFormatter(logging.Formatter):
    """Formats the records of any logger so that they are printable. Further lines of a message are indented."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        first, *rest = record.message.splitlines() or [""]
        record.message = "\n".join([printable_text(first), *map(indented, rest)])
        return super().formatMessage(record)

    def formatException(self, ei: ExceptionInfo) -> str:
        return indented(super().formatException(ei))
