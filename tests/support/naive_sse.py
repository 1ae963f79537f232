"""A naive decoder of event streams, written from the standard's text, that sees the whole stream at once."""

from __future__ import annotations

import re

from poeproto import ServerSentEvent

LINE_END = re.compile(r"\r\n|\r|\n")


def reference(stream: bytes) -> list[ServerSentEvent]:
    """The records of a whole stream."""
    events: list[ServerSentEvent] = []
    data_buffer, event_type_buffer, last_event_id, retry = "", "", "", None
    text = stream.decode("utf-8", "replace").removeprefix("\ufeff")
    *lines, _unterminated = LINE_END.split(text)
    for line in lines:
        if line == "":
            if data_buffer != "":
                data = data_buffer.removesuffix("\n")
                events.append(ServerSentEvent(event_type_buffer or "message", data, last_event_id, retry))
            data_buffer, event_type_buffer = "", ""
        elif not line.startswith(":"):
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "event":
                event_type_buffer = value
            elif field == "data":
                data_buffer += value + "\n"
            elif field == "id" and "\0" not in value:
                last_event_id = value
            elif field == "retry" and re.fullmatch("[0-9]{1,640}", value):
                retry = int(value)
    return events


def bounded_reference(stream: bytes, max_event_size: int) -> tuple[list[ServerSentEvent], bool]:
    """The records before one that is too large, and whether there was one."""
    size, good = 0, b""
    *lines, unterminated = re.split(rb"\r\n|\r|\n", stream)
    for line in lines:
        size = size + len(line) + 1 if line else 0
        if size > max_event_size:
            return reference(good), True
        good += line + b"\n"
    return reference(good), size + len(unterminated) > max_event_size
