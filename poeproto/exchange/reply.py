"""Reply fold: the running value of a reply, made from its events: the text and files that the user sees so far.

A fold that is updated for each event costs as much as the event itself. Most folds are read once, at the end. So a
caller can announce a batch of events (`add_as_taken`), and the fold is brought up to date when it is read: it then
folds the events that have been taken from the batch's iterator by that time.

https://creator.poe.com/docs/server-bots/poe-protocol-specification
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from operator import length_hint
from typing import Any

import attrs

from poeproto.vocabulary.answer import Answer
from poeproto.vocabulary.errors import BotError, IncompleteReply
from poeproto.vocabulary.events import (
    Data,
    Done,
    Error,
    Event,
    File,
    Json,
    Meta,
    ReplaceResponse,
    SuggestedReply,
    Text,
)

__all__ = ["ReplyFold"]

_NOTHING_LEFT = iter(())


@attrs.define
class _Asides:
    """The events received for one index besides text."""

    files: list[File] = attrs.field(factory=list[File])
    suggested_replies: list[str] = attrs.field(factory=list[str])
    json: list[dict[str, Any]] = attrs.field(factory=list[dict[str, Any]])
    metadata: str | None = None


class ReplyFold:
    """The running value of a reply. A text is appended to its index, a replacement replaces the text of its index.

    Not thread-safe, not even for reading: a property may first bring the fold up to date.
    """

    def __init__(self) -> None:
        self._meta: Meta | None = None
        self._files: list[File] = []
        self._suggested_replies: list[str] = []
        self._json: list[Json] = []
        self._metadata: str | None = None
        self._ending: Done | Error | None = None
        self._parts: dict[int | None, list[str]] = {}
        self._asides: dict[int | None, _Asides] = {}
        # Two iterators over one batch: the caller takes events from the first; the second is behind or level with it.
        self._left: Iterator[Event] = _NOTHING_LEFT
        self._unfolded: Iterator[Event] = _NOTHING_LEFT

    def add(self, event: Event) -> None:
        """Fold the next event of the reply."""
        self._catch_up()
        self._add(event)

    def add_texts(self, texts: Iterable[str]) -> None:
        """Fold a `Text` without an index for each of these texts."""
        self._catch_up()
        self._parts.setdefault(None, []).extend(texts)

    def add_as_taken(self, events: Sequence[Event], left: Iterator[Event]) -> None:
        """Fold each of these events once it has been taken from the iterator.

        Taking an event costs nothing here: the fold counts the taken events when it is read next.

        Args:
            events: the next events of the reply.
            left: an iterator over that same sequence; `operator.length_hint` must know how many events it has left.
        """
        self._catch_up()
        self._left, self._unfolded = left, iter(events)

    def add_rest(self) -> None:
        """Fold the rest of the batch, whether or not its events were taken."""
        self._fold(self._unfolded)
        self._left = self._unfolded = _NOTHING_LEFT

    def _catch_up(self) -> None:
        if self._unfolded is not _NOTHING_LEFT:
            taken = length_hint(self._unfolded) - length_hint(self._left)
            self._fold(islice(self._unfolded, max(0, taken)))

    def _fold(self, events: Iterator[Event]) -> None:
        # The iterator advances with each event, so that no event is folded twice after a KeyboardInterrupt, which can
        # be raised anywhere.
        for event in events:
            if type(event) is Text and (parts := self._parts.get(event.index)) is not None:
                parts.append(event.text)  # fast path: nearly all events are texts of an index that has one already
            else:
                self._add(event)

    def _add(self, event: Event) -> None:
        match event:
            case Text():
                parts = self._parts.get(event.index)
                if parts is None:
                    self._parts[event.index] = [event.text]
                else:
                    parts.append(event.text)
            case ReplaceResponse():
                self._parts[event.index] = [event.text]
            case Meta():
                self._meta = event
            case File() | SuggestedReply() | Json() | Data():
                self._add_aside(event)
            case Error() | Done():
                if self._ending is None:  # `done` may follow an `error`, which has ended the reply
                    self._ending = event
            case _:
                pass  # an event of a later version, which does not change the fold

    def _add_aside(self, event: File | SuggestedReply | Json | Data) -> None:
        asides = self._asides.setdefault(event.index, _Asides())
        match event:
            case File():
                self._files.append(event)
                asides.files.append(event)
            case SuggestedReply():
                self._suggested_replies.append(event.text)
                asides.suggested_replies.append(event.text)
            case Json():
                self._json.append(event)
                asides.json.append(event.data)
            case _:  # Data
                self._metadata = asides.metadata = event.metadata

    @property
    def meta(self) -> Meta | None:
        """The `meta` event, which says how to show the reply; None if there was none."""
        self._catch_up()
        return self._meta

    @property
    def files(self) -> list[File]:
        """The files, in the order of their events."""
        self._catch_up()
        return self._files

    @property
    def suggested_replies(self) -> list[str]:
        """The texts of the suggested replies, in the order of their events."""
        self._catch_up()
        return self._suggested_replies

    @property
    def json(self) -> list[Json]:
        """The `json` events, in their order."""
        self._catch_up()
        return self._json

    @property
    def metadata(self) -> str | None:
        """The metadata of the last `data` event."""
        self._catch_up()
        return self._metadata

    @property
    def ending(self) -> Done | Error | None:
        """The event that ended the reply: `Done` for success, `Error` for failure, None while it has not ended.

        A reply that broke off has no ending either; the caller gets an exception then.
        """
        self._catch_up()
        return self._ending

    @property
    def error(self) -> Error | None:
        """The `error` event, if the bot ended the reply with one."""
        ending = self.ending
        return ending if isinstance(ending, Error) else None

    @property
    def texts(self) -> dict[int | None, str]:
        """The text of each answer by its index, in the order of first appearance."""
        self._catch_up()
        return {index: self._joined(parts) for index, parts in self._parts.items()}

    @property
    def answers(self) -> dict[int | None, Answer]:
        """Each answer so far, by its index. A usual reply has one, under None.

        Answers compare equal if nothing was received in between, so a display can find out what to draw again.
        """
        self._catch_up()
        return {index: self.answer(index) for index in self._parts | self._asides}

    def answer(self, index: int | None = None) -> Answer:
        """The answer of that index so far; an empty one before its first event."""
        self._catch_up()
        asides = self._asides.get(index) or _Asides()
        return Answer(
            index,
            self._joined(self._parts.get(index, [])),
            tuple(asides.files),
            tuple(asides.suggested_replies),
            tuple(asides.json),
            asides.metadata,
        )

    @staticmethod
    def _joined(parts: list[str]) -> str:
        """The text of these parts. They become one part: reading after each event then joins two strings, not all."""
        if len(parts) > 1:
            parts[:] = ["".join(parts)]
        return parts[0] if parts else ""

    @property
    def text(self) -> str:
        """The texts of all answers, one after the other. A usual reply has one answer, so this is its text."""
        return "".join(self.texts.values())

    def final_text(self) -> str:
        """The text of a complete and successful reply; empty if the reply has only files or `json` events.

        Raises:
            BotError: if the bot ended the reply with an `error` event.
            IncompleteReply: if the reply has not ended, or has ended without an answer.
        """
        failure: BotError | IncompleteReply
        ending = self.ending
        if isinstance(ending, Error):
            failure = BotError(ending)
        elif ending is None:
            failure = IncompleteReply("the reply has not ended")
        elif not (self._parts or self._files or self._json):
            failure = IncompleteReply("the bot ended its reply without any answer: no text, file or json event")
        else:
            return self.text
        failure.partial = self
        raise failure

    def __repr__(self) -> str:
        ending = "not ended" if self.ending is None else f"ended by {type(self.ending).__name__}"
        return f"<ReplyFold of {len(self.text)} characters, {len(self.files)} files, {ending}>"
