"""The commands in a shell that pages show are understood: each has the options and arguments that it is given."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from poeproto_cli.commands import main

PAGES = [
    "checking.md",
    "load.md",
    "performance.md",
    "playground.md",
    "recordings.md",
    "simulator.md",
    "terminal.md",
    "testing.md",
    "howto/benchmark.md",
    "howto/load_test.md",
    "howto/observe.md",
    "howto/record.md",
]
# Files that a command before it, or the reader, has made.
FILES = ("bot.jsonl", "machine-1.json", "machine-2.json", "1.json", "2.json", "known.txt", "report.pdf", "photo.png")


def commands(page: str) -> list[str]:
    """The calls of poeproto in the page's blocks of code and in its text, without what the shell does with them."""
    joined = page.replace("\\\n", " ")
    lines = re.findall(r"^(?:    |- run: )(.*poeproto .*)$", joined, re.MULTILINE)
    found = [part for line in lines for part in re.split(r"[;|&]", line) if re.search(r"(?:^|/| )poeproto \w", part)]
    found += re.findall(r"`(?:\.venv/bin/)?(poeproto \w+ [^`]* [^`]*)`", joined)
    return [re.sub(r"\s[12]?> ?\S+", "", part[part.index("poeproto ") :]) for part in found]


@pytest.mark.parametrize("name", PAGES)
def test_the_commands_of_a_page_are_understood(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for file in FILES:
        (tmp_path / file).touch()
    for line in commands((checkout / "docs" / name).read_text(encoding="utf-8")):
        words = shlex.split(re.sub(r"\b(?:FILE|RECORDING)\b", "bot.jsonl", line.replace("...", "k" * 32)))
        command: click.Command = main
        context = click.Context(main)
        words = words[1:]
        while isinstance(command, click.Group):
            command, context = command.commands[words[0]], click.Context(command, parent=context)
            words = words[1:]
        at = [word.replace("$at", "2030-01-31T12:00:00Z") for word in words]
        with command.make_context(command.name, at, parent=context) as understood:
            assert not understood.args, line
