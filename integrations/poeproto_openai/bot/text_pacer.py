"""Texts as events, without more events than a reply may have.

Poe allows 10,000 events, and a long answer has more chunks. So from the half of them on, texts are joined, to a length
at which the other half suffices for the longest answer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from poeproto import Event, Limits, Text


class TextPacer:
    """Makes events of texts.

    Args:
        limits: how many events and characters a reply may have.
    """

    def __init__(self, limits: Limits) -> None:
        self._lone_texts_left = limits.events // 2
        self._joined_length = math.ceil(limits.text_length / max(1, limits.events // 4))
        self._parts: list[str] = []
        self._length = 0
        self._index: int | None = None

    def feed(self, text: str, index: int | None) -> Iterator[Event]:
        """The events for the next text of the answer with this index."""
        if self._lone_texts_left > 0:
            self._lone_texts_left -= 1
            yield Text(text, index)
            return
        if index != self._index:
            yield from self.flush()
            self._index = index
        self._parts.append(text)
        self._length += len(text)
        if self._length >= self._joined_length:
            yield from self.flush()

    def flush(self) -> Iterator[Event]:
        """The event for the text that was held back."""
        if self._parts:
            yield Text("".join(self._parts), self._index)
            self._parts.clear()
            self._length = 0
