"""Live Markdown: a reply that is shown in a terminal as it arrives, rendered with rich.

Text is shown in two parts. Blocks of Markdown that are complete are printed once, and scroll up with the terminal. The
last block, which may still grow, is drawn again when it has grown. This bounds the cost of a reply of any length:

- Only one block is drawn again. Of a long block, all but the last part is printed as if it were complete.
- It is drawn at most ten times a second, and not before nine times as long has passed as drawing took last time.
- It has fewer lines than the terminal, since lines that have scrolled away cannot be erased.

Nothing of the bot's can control the terminal: Markdown is parsed, and then the text of each token is made printable, so
that a character reference (``&#x202e;``) cannot circumvent it. HTML is shown as text, and a link with its URL.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterable

from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.console import Console, RenderableType
from rich.markdown import Markdown
from rich.segment import Segments
from rich.text import Text as RichText

from poeproto import Event, File, Meta, ReplaceResponse, SuggestedReply, Text
from poeproto_cli.terminal import Notes, Terminal, encodable, write_controls
from poeproto_runtime.printable import printable_text

# The least number of seconds between two redraws.
_INTERVAL = 0.1
# After a redraw that took a second, the next one starts nine seconds later.
_LONGEST_SHARE = 9
# The most lines of an unfinished block. A few screens.
_LONGEST_BLOCK = 8_000
_LONGEST_FENCE = 200
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})[^`\n]*")
_PADDING = re.compile(r" +\n")
_REPLACED = "--- replaced by: ---"


class LiveMarkdown:
    """Shows a reply in the terminal at standard output: its text as Markdown; then its files and suggested replies.

    Args:
        console: renders the text.

    Attributes:
        interval: after how many seconds `refresh` is to be called, again and again.
    """

    interval = _INTERVAL

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(file=sys.stdout, highlight=False, markup=False, emoji=False, soft_wrap=False)
        self._parser = MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"])
        self._plain: Terminal | None = None  # for a reply without Markdown
        self._notes = Notes()
        self._block = ""  # the last block, which may still grow
        self._held = ""  # a CR, whose LF may follow
        self._separator = ""  # between the last block and the text printed before
        self._drawn = 0  # the lines on the screen that can be drawn again
        self._is_stale = False
        self._next_redraw = 0.0

    def show(self, event: Event) -> None:
        """Show an event: its text soon, a file or suggested reply at the end."""
        if self._plain is not None:
            self._plain.show(event)
            return
        match event:
            case Meta():
                if event.content_type.partition(";")[0].strip().lower() == "text/plain":
                    self._plain = Terminal()
            case Text():
                self._add(event.text)
            case ReplaceResponse():
                if self._separator:  # printed text cannot be replaced
                    self._print_block()
                    self._print(RichText(_REPLACED, style="dim"))
                self._block = self._held = ""
                self._add(event.text)
            case File() | SuggestedReply():
                self._notes.add(event)
            case _:
                pass
        self.refresh()

    def _add(self, text: str) -> None:
        text = self._held + text
        self._held = "\r" if text.endswith("\r") else ""
        text = printable_text(text.removesuffix("\r"))
        for start in range(0, len(text), _LONGEST_BLOCK):
            self._block += text[start : start + _LONGEST_BLOCK]
            if len(self._block) > 2 * _LONGEST_BLOCK:  # it is not yet time to draw, but there is too much to wait
                self._print_complete()
        self._is_stale = True

    def refresh(self) -> None:
        """Draw the last block again, if it has grown and it is time."""
        begin = time.monotonic()
        if not self._is_stale or begin < self._next_redraw:
            return
        self._print_complete()
        self._draw(self._last_lines(self._block))
        self._is_stale = False
        end = time.monotonic()
        self._next_redraw = end + max(_INTERVAL, _LONGEST_SHARE * (end - begin))

    def end(self) -> None:
        """Print the last block for good, then the files and suggested replies."""
        if self._plain is not None:
            self._plain.end()
            return
        self._print_complete()
        self._print_block()
        self._notes.print()

    # --- blocks

    def _print_complete(self) -> None:
        """Print the blocks that are complete, and the beginning of one that is long."""
        complete, self._block = split_blocks(self._parser, self._block)
        if complete.strip():
            self._print(self._markdown(complete))
        while len(self._block) > _LONGEST_BLOCK:
            beginning, self._block = cut_block(self._block)
            self._print(self._markdown(beginning), separator="")

    def _print_block(self) -> None:
        block, self._block = self._block, ""
        if block.strip():
            self._print(self._markdown(block))
        else:
            self._draw("")

    def _print(self, renderable: RenderableType, separator: str = "\n") -> None:
        """Print over the last block, which is drawn again below."""
        self._draw(self._rendered(renderable))
        self._drawn = 0
        self._separator = separator
        self._is_stale = True

    # --- rendering

    def _markdown(self, text: str) -> RenderableType:
        markdown = Markdown("", hyperlinks=False)
        markdown.parsed = self._parser.parse(text)
        if not markdown.parsed:  # a definition that nothing refers to, for instance
            return RichText(text)
        _make_printable(markdown.parsed)
        try:
            return Segments(list(self._console.render(markdown)))
        except Exception:  # noqa: BLE001 - whatever a renderer of others fails with, the reply is shown
            return RichText(text)

    def _rendered(self, renderable: RenderableType) -> str:
        """The rendered lines, with the control sequences of their styles."""
        with self._console.capture() as captured:
            self._console.print(renderable)
        text = _PADDING.sub("\n", captured.get()).strip("\n")
        return f"{self._separator}{text}\n" if text else ""

    def _last_lines(self, text: str) -> str:
        """The lines of the last block that are drawn: one fewer than the terminal has."""
        if not text.strip():
            return ""
        lines = self._rendered(self._markdown(text)).splitlines(keepends=True)
        return "".join(lines[-max(1, self._console.height - 1) :])

    def _draw(self, text: str) -> None:
        """Write these lines over those that were drawn, in one write, so that nothing flickers."""
        erase = f"\x1b[{self._drawn}A\r\x1b[J" if self._drawn else ""
        self._drawn = text.count("\n")
        if erase or text:
            write_controls(encodable(erase + text, sys.stdout.encoding))


def split_blocks(parser: MarkdownIt, text: str) -> tuple[str, str]:
    """The blocks that are complete, since another one has begun, and the last block."""
    starts = [token.map[0] for token in parser.parse(text) if token.level == 0 and token.map and token.nesting >= 0]
    if len(starts) < 2:
        return "", text
    lines = re.split(r"(?<=\n)", text)  # not `splitlines`: Markdown has fewer line ends than Unicode
    return "".join(lines[: starts[-1]]), "".join(lines[starts[-1] :])


def cut_block(block: str) -> tuple[str, str]:
    """A long block in two parts: after a line if possible, else after a word, else anywhere."""
    ends = (block.rfind(separator, _LONGEST_BLOCK // 2, _LONGEST_BLOCK) + 1 for separator in "\n ")
    end = next(filter(None, ends), _LONGEST_BLOCK)
    beginning, rest = block[:end], block[end:]
    if (fence := _FENCE.match(beginning)) and len(fence[0]) < _LONGEST_FENCE:
        # A block of code continues as another block.
        return f"{beginning.rstrip()}\n{fence[1]}\n", f"{fence[0]}\n{rest}"
    return beginning, rest


def _make_printable(tokens: Iterable[Token]) -> None:
    """Make the text of each token printable, after the parser has decoded character references."""
    for token in tokens:
        token.content = printable_text(token.content)
        token.attrs = {
            name: printable_text(value) if isinstance(value, str) else value for name, value in token.attrs.items()
        }
        if token.type == "softbreak":
            token.type = "hardbreak"  # as in chats: a bot that begins a new line means one
        if token.type == "image":
            # rich would print a placeholder without the URL, in front of the paragraph.
            token.type, token.tag, token.children = "text", "", None
            token.content = f"[image {token.content}: {token.attrs.get('src', '')}]"
        if token.children:
            # The text of such a link is its URL.
            token.children = [
                child for child in token.children if not (child.type.startswith("link_") and child.markup == "autolink")
            ]
            _make_printable(token.children)
