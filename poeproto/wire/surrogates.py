"""Characters that arrive cut in two.

JavaScript strings are UTF-16, and bots written in it cut a stream of text inside a pair of surrogates. JSON carries
each half as an escape (RFC 8259, 8.2), but neither has a form in UTF-8.
"""

from __future__ import annotations

import re

import attrs

from poeproto.vocabulary.events import ReplaceResponse, Text

_HIGH_THEN_LOW = re.compile("([\ud800-\udbff])([\udc00-\udfff])")
_LONE = re.compile("[\ud800-\udfff]")


class SurrogateJoiner:
    """Joins the halves of characters that come in consecutive texts of one index.

    The first half waits for the next text of its index, and a half without a partner becomes U+FFFD, as in any decoder.
    """

    def __init__(self) -> None:
        self._waiting: dict[int | None, str] = {}

    @property
    def is_waiting(self) -> bool:
        """Whether the first half of a character waits for its other half."""
        return bool(self._waiting)

    def join(self, event: Text | ReplaceResponse) -> Text | ReplaceResponse | None:
        """The event with no surrogate in it; None when it was just the first half of a character."""
        waiting = self._waiting.pop(event.index, "")
        # What is replaced takes the half that belonged to it along.
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
        """The halves that still wait, each as U+FFFD: no more text will come."""
        flushed = [Text("\ufffd", index) for index in self._waiting]
        self._waiting.clear()
        return flushed
