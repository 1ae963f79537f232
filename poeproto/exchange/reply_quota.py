"""Quota of one reply: its events, files and characters of text, counted against `Limits`.

The side that sends a reply checks it (`BotExchange`), and so do those who judge one that they receive (`ReplyLint`, the
simulator of Poe). The rules are the same for all of them and stand here once:

- Every event counts against `Limits.events`, one of a later version included; only `error` and `done` do not, so that a
  reply can always end.
- `Limits.text_length` bounds each answer, that is, each index, separately. A `ReplaceResponse` resets the count of its
  answer.
- `Limits.files` bounds the reply as a whole.

https://creator.poe.com/docs/server-bots/poe-protocol-specification
"""

from __future__ import annotations

from poeproto.limits import Limits
from poeproto.vocabulary.events import Done, Error, Event, File, ReplaceResponse, Text

__all__ = ["ReplyQuota"]


class ReplyQuota:
    """Counts down the remaining quota of a reply.

    It counts down rather than up because `BotExchange.send` compares with it for every event: with zero, or with the
    length of a text, it compares without fetching a limit.

    Args:
        limits: `events`, `files` and `text_length` are read from it.

    Attributes:
        limits: the same.
        events_left: how many events may still follow, `error` and `done` not counted.
        files_left: how many files may still follow.
        text_left: how many characters may still be appended to the answer without an index.

    All of them are negative by as much as a reply has exceeded them.
    """

    __slots__ = ("_text_left_by_index", "events_left", "files_left", "limits", "text_left")

    def __init__(self, limits: Limits) -> None:
        self.limits: Limits = limits
        self.events_left: int = limits.events
        self.files_left: int = limits.files
        self.text_left: int = limits.text_length
        self._text_left_by_index: dict[int, int] = {}

    def exceeded_by(self, event: Event) -> list[str]:
        """Names of the fields of `Limits` that the reply keeps so far, and would exceed with this event."""
        exceeded = ["events"] if self.events_left == 0 else []
        if type(event) is Text or type(event) is ReplaceResponse:
            left = self._text_left_before(event)
            if 0 <= left < len(event.text):
                exceeded.append("text_length")
        elif type(event) is File and self.files_left == 0:
            exceeded.append("files")
        elif type(event) is Done or type(event) is Error:
            return []
        return exceeded

    def count(self, event: Event) -> None:
        """Count this event, whether or not it exceeds a limit."""
        if type(event) is Text or type(event) is ReplaceResponse:
            left = self._text_left_before(event) - len(event.text)
            if event.index is None:
                self.text_left = left
            else:
                self._text_left_by_index[event.index] = left
        elif type(event) is File:
            self.files_left -= 1
        elif type(event) is Done or type(event) is Error:
            return
        self.events_left -= 1

    def describe(self, limit: str) -> str:
        """The excess over that limit, for messages: "more than 20 files (Limits.files)"."""
        things = {"events": "events", "files": "files", "text_length": "characters of text in one answer"}
        return f"more than {getattr(self.limits, limit)} {things[limit]} (Limits.{limit})"

    def _text_left_before(self, event: Text | ReplaceResponse) -> int:
        if type(event) is Text:
            if event.index is None:
                return self.text_left
            return self._text_left_by_index.get(event.index, self.limits.text_length)
        return self.limits.text_length
