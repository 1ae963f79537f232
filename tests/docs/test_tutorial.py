"""The tutorial is followed: both versions of the bot, its test, and the commands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ..support.command import COMMAND, SECONDS, serving

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def page(checkout: Path) -> str:
    return (checkout / "docs" / "tutorial.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def blocks(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_first_bot(blocks: list[str], tmp_path: Path) -> None:
    (tmp_path / "dice.py").write_text(blocks[0], encoding="utf-8")
    with serving(f"{tmp_path}/dice.py:bot", "--allow-without-key") as server:
        assert "A die with 6 sides shows **" in run([*COMMAND, "query", server.address, "roll 6"], tmp_path)
        assert run([*COMMAND, "query", server.address, "hello"], tmp_path).startswith("How many sides?")


def test_the_second_bot_passes_its_test_and_the_check(page: str, blocks: list[str], tmp_path: Path) -> None:
    (tmp_path / "dice.py").write_text(blocks[1], encoding="utf-8")
    (tmp_path / "test_dice.py").write_text(blocks[2], encoding="utf-8")
    plugins = ["-p", "no:cacheprovider", "-p", "no:asyncio", "-p", "no:trio"]
    assert "2 passed" in run([sys.executable, "-W", "error", "-m", "pytest", *plugins], tmp_path)
    checked = run([*COMMAND, "check", "dice.py:bot", "--skip", "http.body-limit"], tmp_path)
    assert re.search(r"\d+ pass, \d+ not applicable", checked)
    assert re.search(r"`\d+ pass, \d+ not applicable`", page)


def test_the_commands_exist(page: str) -> None:
    for name in set(re.findall(r"\.venv/bin/poeproto (\w+)", page)):
        run([*COMMAND, name, "--help"], Path.cwd())
