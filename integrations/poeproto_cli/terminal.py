"""What a reply looks like to those who asked for it in a terminal."""

from __future__ import annotations

import contextlib
import json
import re
import sys
from typing import NoReturn

import click

from poeproto import Event, File, ReplaceResponse, SuggestedReply, Text, UnknownEvent, event_payload

# What a terminal obeys: the control characters of ASCII and Latin-1, but for tab and newline.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Terminal:
    """Prints a reply as people read it: its text on standard output, and the rest on standard error after it."""

    def __init__(self) -> None:
        self._within_line = False
        self._notes: list[str] = []

    def show(self, event: Event) -> None:
        """Print the event's text, and keep what goes after it."""
        match event:
            case Text():
                self._print(event.text)
            case ReplaceResponse():
                # What is printed stays printed, so the new text begins on a line of its own.
                self._print(f"\n{event.text}" if self._within_line else event.text)
            case File():
                self._notes.append(f"[file {event.name}: {event.url}]")
            case SuggestedReply():
                self._notes.append(f"[suggested reply: {event.text}]")
            case _:
                pass  # nothing to see in a terminal; --json shows all

    def end(self) -> None:
        """End the last line, so that an error has one of its own."""
        if self._within_line:
            echo("")
        for note in self._notes:
            echo(note, err=True)

    def _print(self, text: str) -> None:
        echo(text, nl=False)
        if text:
            self._within_line = not text.endswith("\n")


def show_json(event: Event) -> None:
    """Print an event as a line of JSON, in the wire's terms."""
    name, data = event_payload(event)
    line = json.dumps({"event": name, "data": data}, ensure_ascii=False)
    if isinstance(event, UnknownEvent):
        # Its payload need not be JSON, or nest no deeper than can be read; it is shown as it came then.
        with contextlib.suppress(ValueError, RecursionError):
            parsed = json.loads(data, parse_constant=_refuse_constant)
            line = json.dumps({"event": name, "data": parsed}, ensure_ascii=False, allow_nan=False)
    echo(line)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def echo(text: str, *, nl: bool = True, err: bool = False) -> None:
    """Print what a peer sent."""
    # Half of a character, as JavaScript peers send them, cannot be printed. Its escape is also JSON's.
    text = text.encode("utf-8", "backslashreplace").decode()
    stream = sys.stderr if err else sys.stdout
    if stream.isatty():
        # A bot must not have the terminal do things.
        text = _CONTROL.sub("\ufffd", text)
    # With color=True click leaves escape sequences as they are; a pipe or file gets what the bot sent.
    click.echo(text, nl=nl, err=err, color=True)
