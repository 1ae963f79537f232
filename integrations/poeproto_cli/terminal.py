"""Terminal output: replies as text or as JSON lines, failures, and the log.

All text that may quote a peer is printed by `echo`, or passes through `printable_line`: on standard output and standard
error, and the same in a terminal as in a pipe. Whoever reads a pipe may be a terminal again (`less`, `tee`).
"""

from __future__ import annotations

import contextlib
import json
import logging
import traceback
from types import TracebackType
from typing import NoReturn

import click

from poeproto import Event, File, ReplaceResponse, SuggestedReply, Text, UnknownEvent
from poeproto.schemas import event_payload
from poeproto_runtime.printable import PrintableFormatter, printable_line, printable_text


class Terminal:
    """Prints a reply for people: its text on standard output, then files and suggested replies on standard error."""

    def __init__(self) -> None:
        self._in_line = False
        self._notes: list[str] = []

    def show(self, event: Event) -> None:
        """Print the text of an event, or note the event for the end."""
        match event:
            case Text():
                self._print(event.text)
            case ReplaceResponse():
                # Printed text cannot be replaced, so the new text begins on a new line.
                self._print(f"\n{event.text}" if self._in_line else event.text)
            case File():
                self._notes.append(printable_line(f"[file {event.name}: {event.url}]"))
            case SuggestedReply():
                self._notes.append(printable_line(f"[suggested reply: {event.text}]"))
            case _:
                pass  # --json shows all events

    def end(self) -> None:
        """End the last line, and print the notes. An error that follows begins on a new line."""
        if self._in_line:
            echo("")
        for note in self._notes:
            echo(note, err=True)

    def _print(self, text: str) -> None:
        echo(text, nl=False)
        if text:
            self._in_line = not text.endswith("\n")


def show_json(event: Event) -> None:
    """Print an event as a line of JSON, with the names of the wire format."""
    name, data = event_payload(event)
    line = json.dumps({"event": name, "data": data}, ensure_ascii=False)
    if isinstance(event, UnknownEvent):
        # A payload that is not JSON, or is nested too deeply to parse, is shown as a string.
        with contextlib.suppress(ValueError, RecursionError):
            parsed = json.loads(data, parse_constant=_refuse_constant)
            line = json.dumps({"event": name, "data": parsed}, ensure_ascii=False, allow_nan=False)
    echo(line)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def echo(text: str, *, nl: bool = True, err: bool = False) -> None:
    """Print text that may quote a peer. JSON stays valid and exact: its strings are escaped as JSON escapes them."""
    # With color=True, click does not look for escape sequences to strip: none is left.
    click.echo(printable_text(text), nl=nl, err=err, color=True)


def print_exception(
    kind: type[BaseException], failure: BaseException | None, trace: TracebackType | None = None, /
) -> None:
    """Print an exception with its traceback on standard error, as `sys.excepthook` does."""
    echo("".join(traceback.format_exception(kind, failure, trace)), nl=False, err=True)


def log_to_stderr() -> None:
    """Log to standard error, from INFO on, each line with date and level."""
    handler = logging.StreamHandler()
    handler.setFormatter(PrintableFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
