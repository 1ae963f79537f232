"""Splits an event stream into its records, each with its offset in the body.

The core's decoder parses the records. This one returns their places, for people who inspect bytes.
https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

from __future__ import annotations

import re

import attrs

_BLANK_LINE = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r(?!\n))")
_LINE_END = re.compile(rb"\r\n|\n|\r")
# Readers dispatch these without data, too.
_KNOWN = frozenset({"meta", "text", "replace_response", "suggested_reply", "file", "json", "data", "error", "done"})
# All blank lines that begin before this offset were found.
_OVERLAP = 3


@attrs.frozen
class SplitEvent:
    """One event of a stream.

    Attributes:
        event: its name.
        data: its data, lines joined by a line feed.
        offset: where it begins in the body, in bytes.
        size: its size with the blank line that ends it.
        is_dispatched: whether it counts as an event for the rules: no ping, and no unknown event without data.
    """

    event: str
    data: str
    offset: int
    size: int
    is_dispatched: bool


class EventSplitter:
    """Splits a stream while it is received; takes linear time, whatever the reads are."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._offset = 0
        self._searched = 0

    def receive_data(self, data: bytes) -> list[SplitEvent]:
        """The events that these bytes complete. Comments are none."""
        self._buffer += data
        events: list[SplitEvent] = []
        start = 0
        # A CR at the end may be the first half of a CR LF.
        limit = len(self._buffer) - self._buffer.endswith(b"\r")
        for match in _BLANK_LINE.finditer(self._buffer, max(self._searched - _OVERLAP, 0), limit):
            end = match.end()
            event = _event(bytes(self._buffer[start:end]), self._offset + start)
            if event is not None:
                events.append(event)
            start = end
        del self._buffer[:start]
        self._offset += start
        self._searched = len(self._buffer)
        return events


def _event(record: bytes, offset: int) -> SplitEvent | None:
    name, data, has_data = "", list[str](), False
    for line in _LINE_END.split(record):
        field, _, value = line.partition(b":")
        text = value.removeprefix(b" ").decode("utf-8", "replace")
        if field == b"event":
            name = text
        elif field == b"data":
            data.append(text)
            has_data = True
    if not name and not has_data:
        return None
    dispatched = name != "ping" and (has_data or name in _KNOWN)
    return SplitEvent(name or "message", "\n".join(data), offset, len(record), dispatched)
