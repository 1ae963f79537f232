"""Hints for a value that is not an event: which event to send instead."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Iterable, Mapping

from poeproto.vocabulary.events import EVENT_CLASSES, UnknownEvent

_EVENTS = ", ".join(cls.__name__ for cls in EVENT_CLASSES.values())


def not_an_event(value: object) -> str:
    """The error message for a value that is not an event: its type, and the event to send instead."""
    return f"{_kind(value)} is not an event that can be sent; {_instead_of(value)}"


def not_a_url(url: str) -> str:
    """The message of the error for a file that is not at a URL."""
    return (
        f"File.url must be a URL that Poe can fetch, got {url[:200]!r}; upload a local file with"
        " Context.post_attachment or Client.upload"
    )


def _kind(value: object) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def _instead_of(value: object) -> str:
    match value:
        case None:
            return "leave it out, or send Text(...)"
        case UnknownEvent():
            return "an event of an unknown kind is received and not sent"
        case type():
            return f"make a value of it: {value.__name__}(...)"
        case str():
            return "send it as Text(text)"
        case int() | float():
            return "send it as text: Text(str(value))"
        case bytes() | bytearray() | memoryview():
            return "decode it, and send it as text: Text(data.decode())"
        case Mapping():
            return "send it as text, Text(json.dumps(value)), or as data for programs, Json(value)"
        case BaseException():
            return "raise it, or send Error(text=...)"
        case AsyncIterable():
            return "iterate over it with `async for`, and send each event"
        case Awaitable():
            return "put `await` before it, and send the result"
        case Iterable():
            return "send its items one by one"
        case _:
            return f"expected one of {_EVENTS}"
