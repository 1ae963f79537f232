"""One of the answers in a reply: what its events with one index come to."""

from __future__ import annotations

from typing import Any

import attrs

from poeproto.vocabulary.events import File

__all__ = ["Answer"]


@attrs.frozen
class Answer:
    """One of the answers in a reply, as far as it has come: what a user interface shows under one index.

    Attributes:
        index: which answer it is; None for events without an index.
        text: what its texts and replacements come to.
        files: in the order they came.
        suggested_replies: texts, in the order they came.
        json: the objects of its `json` events, in the order they came.
        metadata: of its last `data` event.
    """

    index: int | None = None
    text: str = ""
    files: tuple[File, ...] = ()
    suggested_replies: tuple[str, ...] = ()
    json: tuple[dict[str, Any], ...] = ()
    metadata: str | None = None
