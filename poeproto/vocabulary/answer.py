"""A reply as far as it was received, and each of its answers: the result of all events with one index."""

from __future__ import annotations

from typing import Any, Protocol

import attrs

from poeproto.vocabulary.events import Done, Error, File, Json, Meta

__all__ = ["Answer", "PartialReply"]


@attrs.frozen
class Answer:
    """One answer of a reply, as received so far: the content that a user interface shows under one index.

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


class PartialReply(Protocol):
    """A reply as far as it was received: the reading side of `ReplyFold`, which every `PoeprotoError.partial` is."""

    @property
    def text(self) -> str:
        """The texts of all answers, one after the other."""
        ...

    @property
    def texts(self) -> dict[int | None, str]:
        """The text of each answer, by its index."""
        ...

    @property
    def answers(self) -> dict[int | None, Answer]:
        """Each answer, by its index."""
        ...

    @property
    def meta(self) -> Meta | None:
        """The `meta` event, if there was one."""
        ...

    @property
    def files(self) -> list[File]:
        """The files, in the order they arrived."""
        ...

    @property
    def suggested_replies(self) -> list[str]:
        """The texts of the suggested replies, in the order they arrived."""
        ...

    @property
    def json(self) -> list[Json]:
        """The `json` events, in the order they arrived."""
        ...

    @property
    def metadata(self) -> str | None:
        """The metadata of the last `data` event."""
        ...

    @property
    def error(self) -> Error | None:
        """The `error` event, if there was one."""
        ...

    @property
    def ending(self) -> Done | Error | None:
        """The event that ended the reply; None if it has not ended."""
        ...
