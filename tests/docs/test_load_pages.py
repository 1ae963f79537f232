"""What the pages about load show is run, and their tables are those of the code."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from poeproto_cli.bench.export import _COLUMNS
from poeproto_cli.commands import main
from poeproto_load import ReplyOutcome

from ..support.command import COMMAND, SECONDS, serving
from .test_snippets import blocks


@pytest.fixture(scope="module")
def page(checkout: Path) -> str:
    return (checkout / "docs" / "load.md").read_text(encoding="utf-8")


def rows(page: str, heading: str) -> list[list[str]]:
    """The names in the first column of the first table below a heading, row by row."""
    section = page.partition(f"## {heading}\n")[2]
    table = re.search(r"^\|.*?(?=^[^|])", section, re.MULTILINE | re.DOTALL)
    assert table is not None
    return [re.findall(r"`([^`]+)`", row.split("|")[1]) for row in table[0].splitlines()[2:]]


def test_the_outcomes_are_those_of_the_code(page: str) -> None:
    assert rows(page, "Outcomes") == [[outcome.value] for outcome in ReplyOutcome]


def test_the_fields_of_an_export_are_those_of_the_code(page: str) -> None:
    assert sorted(name for row in rows(page, "Results in files") for name in row) == sorted(_COLUMNS)


def test_the_bot_that_stalls_can_be_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [program] = blocks("docs/load.md")
    (tmp_path / "stalls.py").write_text(program)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["bench", "stalls.py:bot", "--connections", "1", "--replies", "3"])
    assert done.exit_code == 0, done.output
    assert "3 complete" in done.output


def test_the_user_of_locust() -> None:
    [block] = blocks("docs/howto/load_test.md")
    # In a process of its own, because Locust replaces the sockets of the process that imports it.
    program = f"{block}\nassert Person.tasks == [Person.ask]\n"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_two_processes_are_merged_as_the_page_says(checkout: Path, tmp_path: Path) -> None:
    page = (checkout / "docs" / "howto" / "load_test.md").read_text(encoding="utf-8")
    script = page.partition("Two processes on one machine")[2].partition("\n\n")[2].partition("\n\n")[0]
    serve, *commands = textwrap.dedent(script).splitlines()
    assert serve == "poeproto serve docs/examples/cat.py:bot --allow-without-key"
    (tmp_path / "poeproto").write_text(f'#!/bin/sh\nexec {" ".join(COMMAND)} "$@"\n')
    (tmp_path / "poeproto").chmod(0o755)
    start = time.monotonic()
    with serving(f"{checkout}/docs/examples/cat.py:bot", "--allow-without-key") as server:
        started = time.monotonic() - start
        assert any("http://127.0.0.1:8080/" in command for command in commands)
        text = "\n".join(commands).replace("http://127.0.0.1:8080/", server.address).replace("poeproto ", "./poeproto ")
        # On a busy machine the two processes take longer to start.
        text = text.replace("+5 seconds", f"+{4 + 8 * started:.0f} seconds").replace("--duration 5s", "--duration 1s")
        done = subprocess.run(
            ["bash", "-c", text], cwd=tmp_path, capture_output=True, text=True, timeout=10 * SECONDS, check=False
        )
    assert done.returncode == 0, done.stderr
    assert "40 planned starts a second (constant), at most 2,000 connections of 2 processes, 40 replies" in done.stdout
    assert "40 complete" in done.stdout
