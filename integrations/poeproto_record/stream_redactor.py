"""Redaction of a body that arrives in reads."""

from __future__ import annotations

import re
from collections import deque
from typing import Generic, TypeVar

import attrs

from poeproto_record.redaction import Redactor, Span

__all__ = ["StreamRedactor"]

T = TypeVar("T")

# A text that is held back and longer than this is not scanned for every read.
_LONG = 256
# The end of a secret whose beginning was too long to be held back.
_AFTER_LONG_SECRET = re.compile(rb"[\"\s&<>]")


@attrs.define
class _Read(Generic[T]):
    """A read that waits for its redaction: its redacted bytes, and how many bytes are not yet redacted."""

    tag: T
    left: int
    redacted: bytes = b""


class StreamRedactor(Generic[T]):
    """Redacts a body that arrives in reads, and holds back the reads at its end that may share a secret with the next.

    Each read has a tag, for instance the record that it belongs to, which is returned with the redacted bytes.

    Args:
        redactor: that of the recording.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._text = b""  # received, and perhaps the beginning of a secret
        self._reads: deque[_Read[T]] = deque()
        self._within_secret = False
        self._next_scan = 0  # the length of the text from which on it is scanned again

    def receive(self, tag: T, data: bytes) -> list[tuple[T, bytes]]:
        """Receive a read; the reads whose redaction is complete, in order."""
        kept = self._skip_secret(data)
        self._reads.append(_Read(tag, len(kept)))
        self._text += kept
        if len(self._text) < self._next_scan and b"\n" not in kept:
            return []
        return self._decide(is_end=False)

    def receive_eof(self) -> list[tuple[T, bytes]]:
        """The body has ended; the reads that were held back."""
        return self._decide(is_end=True)

    @property
    def held(self) -> int:
        """How many bytes are held back."""
        return len(self._text)

    def _decide(self, *, is_end: bool) -> list[tuple[T, bytes]]:
        spans, decided = self._redactor.scan(self._text, is_end=is_end)
        if len(self._text) - decided > self._redactor.most_held:
            # A secret this long is unknown to the rules below; its end is dropped when it arrives.
            spans = [*spans, Span(decided, len(self._text), self._redactor.placeholder(self._text[decided:]))]
            decided, self._within_secret = len(self._text), True
        self._consume([span for span in spans if span.end <= decided], decided)
        # Scanning a long text for every received byte would take quadratic time.
        held = len(self._text)
        self._next_scan = held * 5 // 4 if held > _LONG else 0
        done: list[tuple[T, bytes]] = []
        while self._reads and not self._reads[0].left:
            read = self._reads.popleft()
            done.append((read.tag, read.redacted))
        return done

    def _consume(self, spans: list[Span], decided: int) -> None:
        position = 0
        for span in spans:
            self._advance(self._text[position : span.start], b"")
            self._advance(self._text[span.start : span.end], span.placeholder, is_secret=True)
            position = span.end
        self._advance(self._text[position:decided], b"")
        self._text = self._text[decided:]

    def _advance(self, part: bytes, placeholder: bytes, *, is_secret: bool = False) -> None:
        """Share a part of the text among the reads that it spans."""
        for read in self._reads:
            if not part:
                return
            if not read.left:
                continue
            here, part = part[: read.left], part[read.left :]
            read.left -= len(here)
            read.redacted += placeholder if is_secret else here
            placeholder = b""

    def _skip_secret(self, data: bytes) -> bytes:
        if not self._within_secret:
            return data
        end = _AFTER_LONG_SECRET.search(data)
        self._within_secret = end is None
        return data[end.start() :] if end else b""
