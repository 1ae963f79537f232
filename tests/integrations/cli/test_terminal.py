"""Replies in a terminal: live Markdown, and terminals of any encoding and size."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import redirect_stderr, redirect_stdout

import pytest
from anyio.from_thread import start_blocking_portal
from markdown_it import MarkdownIt
from rich.console import Console
from rich.markdown import Markdown

from poeproto import Error, Event, File, Meta, ReplaceResponse, SettingsResponse, SuggestedReply, Text
from poeproto_cli import live_markdown
from poeproto_cli.commands import main
from poeproto_cli.live_markdown import LiveMarkdown, cut_block, split_blocks
from poeproto_cli.query import terminal_view
from poeproto_cli.terminal import Terminal, encodable
from poeproto_simulator import Scripted, Simulator

from ...support.command import COMMAND, SECONDS
from ...support.pseudo_terminal import Shown, run_in_terminal

MARKDOWN = """\
# Title

Some **bold**, `code`, a [link](https://example.org/a), <b>HTML</b>
and a second line, <https://auto.example/>, ![cat](https://img.example/cat.png).

1. one
2. two

| a | b |
|---|---|
| 1 | 2 |

```python
x = "y"
```

> quoted

The end."""
# A terminal must not get these from a bot, in whatever form they are written.
HOSTILE = (
    "a\x1b[31mb\x1b]0;own\x07\x9b2J\u202e &#27;[2J &#x1b;[2J &#x202e; &#155; `\x1b[5m` [\x1b](http://a/\x1b'\x1b')\n"
)
UNSAFE = re.compile("[\x00-\x08\x0b-\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]|\x1b(?!\\[[\\d;]*[mAJ])")
TEXT = "naïve € 🐈"

REPLIES: dict[str, list[Event]] = {
    "markdown": [
        *map(Text, re.findall(r".{1,7}", MARKDOWN, re.DOTALL)),
        File("https://files.invalid/a.png", "a.png", "image/png"),
        SuggestedReply("more"),
    ],
    "replace": [Text("thinking *hard*"), ReplaceResponse("the **answer**")],
    "replace later": [Text("one block\n\nthinking"), ReplaceResponse("the **answer**")],
    "error": [Text("so *far*"), Error(allow_retry=False, text="no dogs")],
    "plain": [Meta(content_type="text/plain"), Text("so *far*\n# not a title")],
    "hostile": [Text(each) for each in HOSTILE],
    "hostile at once": [Text(HOSTILE), File("\x1b]0;\x07", "\x9b", "\x1b"), SuggestedReply("\x1b\u202e")],
    "lines": [Text("a\r"), Text("\nb\nc")],
    "long": [Text("```\n"), *(Text(f"line {number}\n") for number in range(2000)), Text("```\nend")],
    "definition": [Text("[a]: http://example.org/")],
    "text": [Text(TEXT)],
}


@pytest.fixture(scope="module")
def simulator() -> Generator[str]:
    """The address of a bot that answers with the reply of that name."""

    async def respond(request: object):
        for event in REPLIES[request.query[-1].content]:  # pyright: ignore[reportAttributeAccessIssue]
            yield event

    simulator = Simulator()
    simulator.register("Bot", Scripted(respond, SettingsResponse(introduction_message=TEXT)))
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(simulator.serving()) as address:
        yield f"{address}/bot/Bot"


def show(*events: Event, columns: int = 80, rows: int = 24) -> Shown:
    """The screen of a terminal of that size, after a view in this process has shown these events."""
    output = io.StringIO()
    with redirect_stdout(_Terminal(output)), redirect_stderr(output):
        view = LiveMarkdown(Console(file=sys.stdout, force_terminal=True, width=columns, height=rows))
        for event in events:
            view.show(event)
        view.end()
    return Shown(0, output.getvalue())


class _Terminal(io.TextIOBase):
    encoding = "utf-8"

    def __init__(self, output: io.StringIO) -> None:
        self._output = output

    def write(self, text: str) -> int:
        return self._output.write(text)

    def isatty(self) -> bool:
        return True


# --- Markdown


def test_a_reply_is_rendered_as_markdown(simulator: str) -> None:
    shown = run_in_terminal("query", simulator, "markdown", columns=100)
    assert shown.status == 0
    text = "\n".join(shown.lines)
    assert "Some bold, code, a link (https://example.org/a), <b>HTML</b>\n" in text
    assert "and a second line, https://auto.example/, [image cat: https://img.example/cat.png]" in text
    assert "1 one\n 2 two\n" in text
    assert "\n a  b\n ────\n 1  2\n" in text
    assert text.endswith("\n▌ quoted\n\nThe end.\n[file a.png: https://files.invalid/a.png]\n[suggested reply: more]\n")
    assert "**" not in text
    assert "```" not in text
    assert "\x1b[1m" in shown.output


@pytest.mark.parametrize("columns", [1, 2, 3, 5, 10, 20, 40, 200])
def test_a_terminal_of_any_width(columns: int) -> None:
    shown = show(*REPLIES["markdown"], columns=columns, rows=5)
    words = "".join("".join(shown.lines).split())
    assert "Theend.[filea.png:" in words


def test_replaced_text_disappears() -> None:
    assert show(*REPLIES["replace"]).lines == ["the answer", ""]


def test_printed_text_cannot_be_replaced() -> None:
    assert show(*REPLIES["replace later"]).lines == [
        "one block",
        "",
        "thinking",
        "",
        "--- replaced by: ---",
        "",
        "the answer",
        "",
    ]


def test_an_error_follows_the_text(simulator: str) -> None:
    shown = run_in_terminal("query", simulator, "error")
    assert (shown.status, shown.lines) == (1, ["so far", "Error: the bot reported an error: no dogs", ""])


def test_a_plain_text_is_not_rendered() -> None:
    assert show(*REPLIES["plain"]).output == "so *far*\n# not a title\n"


def test_the_lines_of_a_bot_stay_lines() -> None:
    assert show(*REPLIES["lines"]).lines == ["a", "b", "c", ""]


def test_a_text_without_content_for_markdown_is_shown() -> None:
    assert show(*REPLIES["definition"]).lines == ["[a]: http://example.org/", ""]


@pytest.mark.parametrize("how", ["hostile", "hostile at once"])
def test_no_markdown_controls_the_terminal(how: str) -> None:
    shown = show(*REPLIES[how])
    assert not UNSAFE.search(shown.output.replace("\r\n", "\n"))
    assert "\x1b[31m" not in shown.output
    assert "\x1b[2J" not in shown.output
    assert "\\u001b[31mb" in shown.output
    assert not shown.lines[0].startswith("\\u202e")


def test_without_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    shown = show(*REPLIES["markdown"])
    assert not re.search(r"\x1b\[[\d;]*\b(3[0-7]|38|4[0-7]|48|9[0-7])[;m]", shown.output)
    assert "The end." in shown.lines


@pytest.mark.parametrize("option", ["--plain", "--json", "--raw"])
def test_options_that_turn_rendering_off(option: str, simulator: str) -> None:
    shown = run_in_terminal("query", simulator, "replace", option)
    assert (shown.status, "**answer**" in shown.output) == (0, True)
    assert "\x1b" not in shown.output


@pytest.mark.parametrize(
    ("term", "encoding", "is_rendered"),
    [("xterm", "utf-8", True), ("xterm", "UTF8", True), ("xterm", "latin-1", False), ("dumb", "utf-8", False)],
)
def test_terminals_that_nothing_is_rendered_in(
    term: str, encoding: str, is_rendered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = _Terminal(io.StringIO())
    terminal.encoding = encoding
    monkeypatch.setenv("TERM", term)
    with redirect_stdout(terminal):
        assert isinstance(terminal_view(), LiveMarkdown) == is_rendered
    with redirect_stdout(io.StringIO()):
        assert not isinstance(terminal_view(), LiveMarkdown)


@pytest.mark.parametrize("module", ["rich", "markdown_it"])
def test_without_rich(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, "poeproto_cli.live_markdown")
    with redirect_stdout(_Terminal(io.StringIO())):
        assert isinstance(terminal_view(), Terminal)


def test_a_long_block_is_whole() -> None:
    shown = show(*REPLIES["long"], rows=10)
    lines = [line.strip() for line in shown.lines if line.strip()]
    assert lines == [*(f"line {number}" for number in range(2000)), "end"]


# --- the cost of redraws


class Screen:
    """The output of a view, and the number of characters that the parser was given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.written: list[str] = []
        self.longest_parsed = 0
        parse = MarkdownIt.parse

        def counted(parser: MarkdownIt, src: str, env: object = None) -> object:
            self.longest_parsed = max(self.longest_parsed, len(src))
            return parse(parser, src)

        monkeypatch.setattr(MarkdownIt, "parse", counted)
        monkeypatch.setattr(live_markdown, "write_controls", self.written.append)
        self.view = LiveMarkdown(Console(file=io.StringIO(), force_terminal=True, width=80, height=24))

    def show(self, *texts: str) -> str:
        for text in texts:
            self.view.show(Text(text))
        self.view.end()
        return "".join(self.written)


@pytest.mark.parametrize(
    "texts",
    [
        pytest.param(["word "] * 10_000, id="words"),
        pytest.param(["word " * 10_000], id="at once"),
        pytest.param(["x" * 50_000], id="one word"),
        pytest.param(["```py\n", "x" * 50_000], id="one line of code"),
        pytest.param(["```", "z" * 50_000, "\nx"], id="one fence"),
        pytest.param(["- item\n"] * 5_000, id="list"),
        pytest.param(["[" * 20_000], id="brackets"),
        pytest.param(["a b c\n\n"] * 3_000, id="paragraphs"),
    ],
)
def test_the_parser_is_given_little_at_once(texts: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(monkeypatch)
    written = screen.show(*texts)
    assert screen.longest_parsed < 30_000
    assert written.count("x") >= "".join(texts).count("x")
    assert written.count("word") >= "".join(texts).count("word")


def test_no_redraw_before_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(monkeypatch)
    monkeypatch.setattr(time, "monotonic", lambda: 1.0)
    for number in range(1000):
        screen.view.show(Text(f"{number} "))
    assert len(screen.written) == 1
    monkeypatch.setattr(time, "monotonic", lambda: 1.2)
    screen.view.refresh()
    screen.view.refresh()
    assert len(screen.written) == 2
    assert "999" in screen.written[1]


def test_a_redraw_has_fewer_lines_than_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(monkeypatch)
    screen.view.show(Text("a\n" * 200 + "last"))
    assert screen.written[-1].count("\n") == 23
    assert screen.written[-1].endswith("a\nlast\n")


def test_a_renderer_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError("a bug of the renderer")

    monkeypatch.setattr(Markdown, "__rich_console__", fail)
    assert "some **text**" in Screen(monkeypatch).show("some **text**")


PARSER = MarkdownIt("commonmark", {"html": False})


def test_blocks_are_split_before_the_last() -> None:
    assert split_blocks(PARSER, "one\ntwo") == ("", "one\ntwo")
    assert split_blocks(PARSER, "# a\nb\u2028\n\n- c\n- d\n  e") == ("# a\nb\u2028\n\n", "- c\n- d\n  e")
    assert split_blocks(PARSER, "a\r\n\r\nb") == ("a\r\n\r\n", "b")
    assert split_blocks(PARSER, "```\na\n\nb") == ("", "```\na\n\nb")


def test_a_long_block_is_cut_after_a_line_or_word() -> None:
    lines = "a b c d e f g\n" * 1000
    assert "".join(cut_block(lines)) == lines
    assert cut_block(lines)[0].endswith("g\n")
    assert cut_block("word " * 2000)[0].endswith("word ")
    assert len(cut_block("x" * 9000)[0]) == 8000
    first, second = cut_block("```py\n" + "x = 1\n" * 2000)
    assert first.endswith("x = 1\n```\n")
    assert second.startswith("```py\nx = 1\n")


# --- encodings


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("utf-8", TEXT),
        ("cp1252", "naïve € \\ud83d\\udc08"),
        ("latin-1", "naïve \\u20ac \\ud83d\\udc08"),
        ("ascii", "na\\u00efve \\u20ac \\ud83d\\udc08"),
        ("cp437", "naïve \\u20ac \\ud83d\\udc08"),
    ],
)
def test_any_encoding(simulator: str, encoding: str, shown: str) -> None:
    def run(*arguments: str) -> str:
        output = io.BytesIO()
        stream = io.TextIOWrapper(output, encoding)
        with redirect_stdout(stream):
            main(arguments, standalone_mode=False)
        return output.getvalue().decode(encoding)

    assert run("query", simulator, "text") == f"{shown}\n"
    first, *_ = run("query", simulator, "text", "--json").splitlines()
    assert json.loads(first) == {"event": "text", "data": {"text": TEXT}}
    assert shown in first
    assert json.loads(run("settings", simulator))["introduction_message"] == TEXT


def test_the_encoding_of_the_process(simulator: str) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [*COMMAND, "query", simulator, "text"], env=environment, capture_output=True, timeout=SECONDS, check=False
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, b"", b"na\\u00efve \\u20ac \\ud83d\\udc08\n")


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_errors_in_any_encoding(encoding: str) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    for arguments in (
        ["query", "🐈\x1b", "a"],
        ["settings", "http://🐈/"],
        ["query", "http://a/", "a", "--file", "🐈"],
    ):
        done = subprocess.run(
            [*COMMAND, *arguments], env=environment, capture_output=True, timeout=SECONDS, check=False
        )
        assert done.returncode == 2
        assert done.stderr.decode(encoding).splitlines()[-1].startswith("Error: ")
        assert b"Traceback" not in done.stderr


def test_characters_that_an_encoding_lacks() -> None:
    assert encodable("a\n\té", "latin-1") == "a\n\té"
    assert encodable("é€", "latin-1") == "é\\u20ac"
    assert encodable("é", None) == "\\u00e9"
    assert json.loads(encodable(json.dumps("🐈", ensure_ascii=False), "ascii")) == "🐈"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [["query", "text", "--raw"], ["settings"]])
def test_a_full_disk(simulator: str, arguments: list[str]) -> None:
    command = [*COMMAND, arguments[0], simulator, *arguments[1:]]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=SECONDS, check=False)
    assert done.returncode == 1
    assert done.stderr == b"Error: the output cannot be written: No space left on device\n"
