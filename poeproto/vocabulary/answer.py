"""One answer of a reply: the result of all its events with one index."""

from __future__ import annotations

from typing import Any

import attrs

from poeproto.vocabulary.events import File

__all__ = ["Answer"]


@attrs.frozen
class Answer:
    """One answer of a reply, as far as it was received: what a user interface shows under one index.

    Attributes:
        index: which answer it is; None for events without an index.
        text: the text, after all appended and replaced texts.
        files: in the order they arrived.
        suggested_replies: texts, in the order they arrived.
        json: the objects of the `json` events, in the order they arrived.
        metadata: the metadata of the last `data` event.
    """

    index: int | None = None
    text: str = ""
    files: tuple[File, ...] = ()
    suggested_replies: tuple[str, ...] = ()
    json: tuple[dict[str, Any], ...] = ()
    metadata: str | None = None
