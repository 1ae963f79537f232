"""A reply folded from its events: what the user sees when it is over, or so far.

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
    """What came for one index besides text."""

    files: list[File] = attrs.field(factory=list[File])
    suggested_replies: list[str] = attrs.field(factory=list[str])
    json: list[dict[str, Any]] = attrs.field(factory=list[dict[str, Any]])
    metadata: str | None = None


class ReplyFold:
    """The running value of a reply: text appends, a replacement clears, each for its index.

    It is looked at in the thread that adds to it: to look at it may bring it up to date.
    """

    def __init__(self) -> None:
        self._meta: Meta | None = None
        self._files: list[File] = []
        self._suggested_replies: list[str] = []
        self._json: list[Json] = []
        self._metadata: str | None = None
        self._error: Error | None = None
        self._done: bool = False
        self._parts: dict[int | None, list[str]] = {}
        self._asides: dict[int | None, _Asides] = {}
        # Events that count once they were taken from the one iterator; the other goes over those to be folded.
        self._left: Iterator[Event] = _NOTHING_LEFT
        self._unfolded: Iterator[Event] = _NOTHING_LEFT

    def add(self, event: Event) -> None:
        """Take the next event of the reply into account."""
        self._catch_up()
        self._add(event)

    def add_texts(self, texts: Iterable[str]) -> None:
        """Take as many `Text` events into account, which have no index."""
        self._catch_up()
        self._parts.setdefault(None, []).extend(texts)

    def add_as_taken(self, events: Sequence[Event], left: Iterator[Event]) -> None:
        """Take each of these events into account once it has been taken from the iterator, which goes through them.

        Nothing is done for an event at that moment: the fold finds out when it is looked at.

        Args:
            events: what comes next, all of it.
            left: an iterator over that sequence itself, which can tell how much is left (`operator.length_hint`).
        """
        self._catch_up()
        self._left, self._unfolded = left, iter(events)

    def add_rest(self) -> None:
        """Take the rest of those events into account, whether or not they were taken."""
        self._fold(self._unfolded)
        self._left = self._unfolded = _NOTHING_LEFT

    def _catch_up(self) -> None:
        if self._unfolded is not _NOTHING_LEFT:
            taken = length_hint(self._unfolded) - length_hint(self._left)
            self._fold(islice(self._unfolded, max(0, taken)))

    def _fold(self, events: Iterator[Event]) -> None:
        # From an iterator, so that an interruption, which can strike anywhere, leaves no event to be folded twice.
        for event in events:
            if type(event) is Text and (parts := self._parts.get(event.index)) is not None:
                parts.append(event.text)  # what nearly all of them are
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
            case Error():
                self._error = event
            case Done():
                self._done = True
            case _:
                pass  # an event of a later version: it has no part in the fold

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
        """How the reply is to be shown, if the bot said so."""
        self._catch_up()
        return self._meta

    @property
    def files(self) -> list[File]:
        """The files, in the order they came."""
        self._catch_up()
        return self._files

    @property
    def suggested_replies(self) -> list[str]:
        """Their texts, in the order they came."""
        self._catch_up()
        return self._suggested_replies

    @property
    def json(self) -> list[Json]:
        """The objects of `json` events, in the order they came."""
        self._catch_up()
        return self._json

    @property
    def metadata(self) -> str | None:
        """That of the last `data` event."""
        self._catch_up()
        return self._metadata

    @property
    def error(self) -> Error | None:
        """The event that ended the reply in failure."""
        self._catch_up()
        return self._error

    @property
    def done(self) -> bool:
        """Whether `done` has come."""
        self._catch_up()
        return self._done

    @property
    def texts(self) -> dict[int | None, str]:
        """The text of each answer, by its index, in order of first appearance."""
        self._catch_up()
        return {index: self._joined(parts) for index, parts in self._parts.items()}

    @property
    def answers(self) -> dict[int | None, Answer]:
        """Each answer as far as it has come, by its index; in the usual reply a single one, under None.

        Two readings are equal where nothing has come in between, so a display can tell what to draw again.
        """
        self._catch_up()
        return {index: self.answer(index) for index in self._parts | self._asides}

    def answer(self, index: int | None = None) -> Answer:
        """The answer of that index as far as it has come; an empty one before it has begun."""
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
        """The text of these parts, which are one part from now on: a reading after each event joins two, not all."""
        if len(parts) > 1:
            parts[:] = ["".join(parts)]
        return parts[0] if parts else ""

    @property
    def text(self) -> str:
        """The texts of all answers, one after the other: the text itself in the usual reply of one answer."""
        return "".join(self.texts.values())

    def final_text(self) -> str:
        """The text of a complete and successful reply; empty for one of files or `json` events alone.

        Raises:
            BotError: when the bot ended it with an `error` event.
            IncompleteReply: when it has not ended, or when it ended without any answer.
        """
        failure: BotError | IncompleteReply
        if self.error is not None:
            failure = BotError(self.error)
        elif not self.done:
            failure = IncompleteReply("the reply has not ended")
        elif not (self._parts or self._files or self._json):
            failure = IncompleteReply("the bot ended its reply without any answer")
        else:
            return self.text
        failure.partial = self
        raise failure

    def __repr__(self) -> str:
        return f"<ReplyFold of {len(self.text)} characters, {len(self.files)} files, done={self.done}>"
