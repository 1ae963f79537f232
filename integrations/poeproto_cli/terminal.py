"""Terminal output: replies as text or as JSON lines, failures, and the log.

All text that may quote a peer is printed by `echo`, or passes through `printable_line`: on standard output and standard
error, and the same in a terminal as in a pipe. Whoever reads a pipe may be a terminal again (`less`, `tee`).

A terminal may have any encoding, or none: characters that it lacks are printed as their escapes.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import sys
import traceback
from collections.abc import Generator
from types import TracebackType
from typing import Protocol, TextIO, runtime_checkable

import click

from poeproto import Event, File, ReplaceResponse, SuggestedReply, Text, UnknownEvent
from poeproto.schemas import event_payload
from poeproto_cli.strict_json import loads_strictly
from poeproto_runtime.printable import PrintableFormatter, printable_line, printable_text


class Notes:
    """The files and suggested replies of a reply, for standard error at its end: one a line."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def add(self, event: File | SuggestedReply) -> None:
        """Note the event."""
        if isinstance(event, File):
            self._lines.append(printable_line(f"[file {event.name}: {event.url}]"))
        else:
            self._lines.append(printable_line(f"[suggested reply: {event.text}]"))

    def print(self) -> None:
        """Print the notes."""
        for line in self._lines:
            echo(line, err=True)


class ReplyView(Protocol):
    """Shows a reply while it arrives."""

    def show(self, event: Event) -> None:
        """Show an event."""
        ...

    def end(self) -> None:
        """Show the text kept for the end. An error that follows begins on a new line."""
        ...


@runtime_checkable
class RefreshedView(ReplyView, Protocol):
    """A view that draws its text later, and again when it has grown."""

    @property
    def interval(self) -> float:
        """After how many seconds `refresh` is to be called, again and again."""
        ...

    def refresh(self) -> None:
        """Draw the changes, if the interval has passed."""
        ...


class Terminal:
    """Prints a reply for people: its text on standard output, then files and suggested replies on standard error."""

    def __init__(self) -> None:
        self._in_line = False
        self._notes = Notes()

    def show(self, event: Event) -> None:
        """Print the text of an event, or note the event for the end."""
        match event:
            case Text():
                self._print(event.text)
            case ReplaceResponse():
                # Printed text cannot be replaced, so the new text begins on a new line.
                self._print(f"\n{event.text}" if self._in_line else event.text)
            case File() | SuggestedReply():
                self._notes.add(event)
            case _:
                pass  # --json shows all events

    def end(self) -> None:
        """End the last line, and print the notes. An error that follows begins on a new line."""
        if self._in_line:
            echo("")
        self._notes.print()

    def _print(self, text: str) -> None:
        echo(text, nl=False)
        if text:
            self._in_line = not text.endswith("\n")


class JsonLines:
    """Prints each event of a reply as a line of JSON, with the names of the wire format."""

    def show(self, event: Event) -> None:
        """Print the event."""
        show_json(event)

    def end(self) -> None:
        """No text was kept for the end."""


def show_json(event: Event) -> None:
    """Print an event as a line of JSON, with the names of the wire format."""
    name, data = event_payload(event)
    line = json.dumps({"event": name, "data": data}, ensure_ascii=False)
    if isinstance(event, UnknownEvent):
        # A payload that is not JSON, or is nested too deeply to parse, is shown as a string.
        with contextlib.suppress(ValueError, RecursionError):
            parsed = loads_strictly(data)
            line = json.dumps({"event": name, "data": parsed}, ensure_ascii=False, allow_nan=False)
    echo(line)


def echo(text: str, *, nl: bool = True, err: bool = False) -> None:
    """Print text that may quote a peer. JSON stays valid and exact: its strings are escaped as JSON escapes them.

    Raises:
        click.ClickException: when it cannot be written, to a disk that is full for instance.
    """
    stream: TextIO | None = sys.stderr if err else sys.stdout
    if stream is not None:  # as it is where the descriptor is closed
        # click.echo would write UTF-8 to a terminal whose encoding is ASCII.
        _write(stream, encodable(printable_text(text), stream.encoding) + ("\n" if nl else ""))


def echo_line(text: str) -> None:
    """Print text that may quote a peer, as one line."""
    echo(printable_line(text))


def write_bytes(data: bytes) -> None:
    """Write bytes to standard output as they are, whatever they hold: for a pipe or a file.

    Raises:
        click.ClickException: as `echo`.
    """
    if sys.stdout is not None:
        with _output_failures(sys.stdout):
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()


def write_controls(text: str) -> None:
    """Write text with control sequences, which must not come from a peer, to the terminal. Raises as `echo`."""
    _write(sys.stdout, text)


def _write(stream: TextIO, text: str) -> None:
    with _output_failures(stream):
        stream.write(text)
        stream.flush()


@contextlib.contextmanager
def _output_failures(stream: TextIO) -> Generator[None]:
    try:
        yield
    except OSError as exc:
        if exc.errno == errno.EPIPE:  # click ends the command
            raise
        _discard_buffer(stream)
        raise click.ClickException(f"the output cannot be written: {exc.strerror or exc}") from exc


def _discard_buffer(stream: TextIO) -> None:
    """Redirect a stream's buffer to the null device, so that Python's flush at the end does not fail again."""
    with contextlib.suppress(OSError):  # a stream without a descriptor
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def encodable(text: str, encoding: str | None) -> str:
    """The text with escapes, as JSON has them, for characters that the encoding lacks."""
    encoding = encoding or "ascii"
    with contextlib.suppress(UnicodeEncodeError):
        text.encode(encoding)
        return text
    return text.translate({ord(each): _escape(each) for each in set(text) if not _can_encode(each, encoding)})


def _can_encode(character: str, encoding: str) -> bool:
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _escape(character: str) -> str:
    return json.dumps(character)[1:-1]


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
