"""Reasoning of a model: separated from its answer, and shown as a quotation where the user asks for it.

Endpoints send it in a field of its own, or in the text, between ``<think>`` and ``</think>`` at its beginning.
"""

from __future__ import annotations

_OPENING, _CLOSING = "<think>", "</think>"
_HEADING = "*Thinking...*\n\n> "


class ThinkTags:
    """Separates the reasoning between the tags from the answer after them, in a text that arrives in pieces.

    Only a text that begins with the opening tag has any: a model may write about the tag later.
    """

    def __init__(self) -> None:
        self._held: str = ""  # possibly the beginning of a tag
        self._in_reasoning: bool | None = None  # None before the first characters are known
        self._after_reasoning = False

    def feed(self, text: str) -> tuple[str, str]:
        """The reasoning and the answer in the next piece."""
        if self._in_reasoning is False and not self._after_reasoning:
            return "", text  # fast path: nearly all pieces have no tag
        text = self._held + text
        self._held = ""
        if self._in_reasoning is None:
            begun = text.lstrip()
            if begun.startswith(_OPENING):
                self._in_reasoning, text = True, begun[len(_OPENING) :]
            elif _OPENING.startswith(begun):
                self._held = text
                return "", ""
            else:
                self._in_reasoning = False
        reasoning = ""
        if self._in_reasoning:
            reasoning, closed, text = text.partition(_CLOSING)
            if not closed:
                held = _beginning_of(_CLOSING, reasoning)
                self._held = reasoning[len(reasoning) - held :]
                return reasoning[: len(reasoning) - held], ""
            self._in_reasoning, self._after_reasoning = False, True
        if self._after_reasoning:  # the line ends between the two belong to neither
            text = text.lstrip("\r\n")
            self._after_reasoning = not text
        return reasoning, text

    def end(self) -> tuple[str, str]:
        """The reasoning and the answer that were held back, at the end of the text."""
        held = self._held
        self._held = ""
        return (held, "") if self._in_reasoning else ("", held)


def _beginning_of(tag: str, text: str) -> int:
    """How many characters at the end of the text may be the beginning of the tag."""
    longest = min(len(tag) - 1, len(text))
    return next((size for size in range(longest, 0, -1) if tag.startswith(text[-size:])), 0)


class ReasoningQuotation:
    """Writes reasoning as Poe's bots show it: under a heading, as a quotation in Markdown before the answer."""

    def __init__(self) -> None:
        self._open = False
        self._line_ends = ""  # at the end of the reasoning so far; the quotation has none there

    def quote(self, reasoning: str) -> str:
        """The text for the next piece of reasoning; empty if it only has line ends so far."""
        written = reasoning.rstrip("\n")
        if not self._open:
            written = written.lstrip("\n")
        if not written:
            self._line_ends += reasoning
            return ""
        before = self._line_ends if self._open else _HEADING
        self._line_ends = reasoning[len(reasoning.rstrip("\n")) :]
        quoted = written.replace("\n", "\n> ")
        if not self._open:
            self._open = True
            return before + quoted
        return before.replace("\n", "\n> ") + quoted

    def end(self) -> str:
        """The text between the reasoning and the answer; empty if no quotation is open."""
        was_open, self._open = self._open, False
        return "\n\n" if was_open else ""
