"""Lone surrogates: joins the two halves of a character that arrive in two texts.

Strings in JavaScript are UTF-16, so a bot written in it can cut a stream of text between the two surrogates of one
character. Each half arrives as a JSON escape (RFC 8259, 8.2), and neither half can be encoded in UTF-8 alone. How they
pass through this library:

- `wire.json` keeps a lone surrogate in the string when it decodes, and writes it as an escape when it encodes. Nothing
  is lost, and a request or a single event survives a round trip.
- A caller of a bot must be able to print and store what it receives. So `PoeExchange` passes its texts through
  `SurrogateJoiner`: no event that it returns has a surrogate in `text`.

The rule: a high surrogate at the end of a text waits for the next text of its index. If that text begins with a low
surrogate, the two become one character at its start. A half without a partner becomes U+FFFD, as in any decoder.
"""

from __future__ import annotations

import re

import attrs

from poeproto.vocabulary.events import ReplaceResponse, Text

__all__ = ["SurrogateJoiner"]

_HIGH_THEN_LOW = re.compile("([\ud800-\udbff])([\udc00-\udfff])")
_LONE = re.compile("[\ud800-\udfff]")


class SurrogateJoiner:
    """Joins surrogate pairs that were cut between consecutive texts of one index; the module docstring has the rule."""

    def __init__(self) -> None:
        self._waiting: dict[int | None, str] = {}

    @property
    def is_waiting(self) -> bool:
        """Whether a high surrogate waits for the next text of its index."""
        return bool(self._waiting)

    def join(self, event: Text | ReplaceResponse) -> Text | ReplaceResponse | None:
        """The event without any surrogate; None for a `Text` that was nothing but a high surrogate, which now waits."""
        waiting = self._waiting.pop(event.index, "")
        # A replacement also replaces the half that was waiting.
        text = event.text if isinstance(event, ReplaceResponse) else waiting + event.text
        if text == event.text and not _LONE.search(text):
            return event
        text = _HIGH_THEN_LOW.sub(lambda pair: pair[0].encode("utf-16", "surrogatepass").decode("utf-16"), text)
        if "\ud800" <= text[-1] <= "\udbff":
            self._waiting[event.index] = text[-1]
            text = text[:-1]
            if not text and isinstance(event, Text):
                return None
        return attrs.evolve(event, text=_LONE.sub("\ufffd", text))

    def flush(self) -> list[Text]:
        """A `Text` with U+FFFD for each half that still waits: no more text will come."""
        flushed = [Text("\ufffd", index) for index in self._waiting]
        self._waiting.clear()
        return flushed
