"""`poeproto new`: the project passes its own test, and the check of its bot."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from poeproto_cli.commands import main

from ...support.bots import KEY
from ...support.command import COMMAND, SECONDS, serving


def new(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["new", *map(str, arguments)], prog_name="poeproto")


@pytest.mark.slow
def test_a_project_passes_its_test_and_the_check(tmp_path: Path) -> None:
    result = new(tmp_path / "my-bot")
    assert result.exit_code == 0, result.output
    files = [".gitignore", "README.md", "my_bot.py", "pyproject.toml", "test_my_bot.py"]
    assert sorted(os.listdir(tmp_path / "my-bot")) == files
    assert sorted(result.stdout.splitlines()) == [str(tmp_path / "my-bot" / file) for file in files]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV"))}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        command,
        cwd=tmp_path / "my-bot",
        env=environment,
        capture_output=True,
        text=True,
        timeout=4 * SECONDS,
        check=False,
    )
    assert (done.returncode, "2 passed" in done.stdout) == (0, True), done.stdout + done.stderr
    with serving(f"{tmp_path / 'my-bot' / 'my_bot.py'}:bot", "--access-key", KEY) as server:
        check = [*COMMAND, "check", server.address, "--access-key", KEY, "--strict"]
        done = subprocess.run(check, capture_output=True, text=True, timeout=4 * SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_files_of_a_project(tmp_path: Path) -> None:
    assert new(tmp_path, "--name", "Shouting Bot.2").exit_code == 0
    project = tomllib.loads((tmp_path / "pyproject.toml").read_text())
    assert project["project"]["name"] == "shouting-bot-2"
    assert project["tool"]["setuptools"]["py-modules"] == ["shouting_bot_2"]
    assert "class ShoutingBot2(Bot):" in (tmp_path / "shouting_bot_2.py").read_text()
    for file in tmp_path.iterdir():
        text = file.read_text()
        assert not {"{module}", "{class_name}", "{{"} & {text[at : at + len("{module}")] for at in range(len(text))}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("2bots", "it must be a letter"),
        ("café", "it must be a letter"),
        ("_", "it must be a letter"),
        ("a\x1bb", "it must be a letter"),
        ("", "it must be a letter"),
        ("class", "it is a keyword of Python"),
        ("match", "it is a keyword of Python"),
        ("json", "would hide another one"),
        ("poeproto", "would hide another one"),
        ("poeproto_cli", "would hide another one"),
        ("Test", "would hide another one"),
        ("test-bot", "would hide another one"),
        ("pytest", "would hide another one"),
    ],
)
def test_a_name_that_no_module_can_have(tmp_path: Path, name: str, reason: str) -> None:
    result = new(tmp_path / "folder", "--name", name)
    assert result.exit_code == 2
    assert reason in result.stderr
    assert "give another one with --name" in result.stderr
    assert "\x1b" not in result.stderr
    assert not (tmp_path / "folder").exists()


def test_a_folder_that_is_not_empty(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    for folder in (tmp_path, tmp_path / "file"):
        result = new(folder, "--name", "bot")
        assert result.exit_code == 2
        assert "is not empty" in result.stderr
    assert os.listdir(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "kept"


def test_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cat-bot").mkdir()
    monkeypatch.chdir(tmp_path / "cat-bot")
    assert new(".").exit_code == 0
    assert (tmp_path / "cat-bot" / "cat_bot.py").exists()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = new(tmp_path / "file" / "bot")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert "cannot be written" in result.stderr
