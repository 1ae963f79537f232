"""Events that our own gateway describes under the key ``poe``, beside the fields of OpenAI's API.

A bot behind the gateway may send files, replace its text, suggest replies and leave metadata. OpenAI's clients get
links and more text; an `OpenAIBot` that calls the gateway gets the events back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from poeproto import Data, Event, File, ReplaceResponse, SuggestedReply

# Separates a link from the text after it in the gateway's output.
SEPARATOR = "\n\n"


def events_instead(poe: Mapping[str, Any], index: int | None) -> list[Event]:
    """The events that the content of a chunk only describes: a file, or a replaced text."""
    replacement, file = poe.get("replace_response"), poe.get("file")
    if isinstance(replacement, str):
        return [ReplaceResponse(replacement, index)]
    return _file(cast("Mapping[str, Any]", file), index) if isinstance(file, dict) else []


def is_separated(events: list[Event]) -> bool:
    """Whether the gateway separates the next text from the text for these events."""
    return not any(isinstance(event, ReplaceResponse) and event.text for event in events)


def events_beside(poe: Mapping[str, Any]) -> Iterator[Event]:
    """The events that have no place in the content: suggested replies and metadata."""
    replies = poe.get("suggested_replies")
    if isinstance(replies, list):
        for reply in cast("list[object]", replies):
            if isinstance(reply, str):
                yield SuggestedReply(reply)
    metadata = poe.get("metadata")
    if isinstance(metadata, str):
        yield Data(metadata)


def _file(file: Mapping[str, Any], index: int | None) -> list[Event]:
    url, name, content_type, inline_ref = (file.get(key) for key in ("url", "name", "content_type", "inline_ref"))
    if not isinstance(url, str) or not isinstance(name, str) or not isinstance(content_type, str):
        return []
    return [File(url, name, content_type, inline_ref if isinstance(inline_ref, str) else None, index)]
