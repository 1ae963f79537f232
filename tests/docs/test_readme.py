"""The snippets of README.md run, and the files that it names exist."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from poeproto_cli.commands import main

from ..support.command import SECONDS, serving

ADDRESS = "http://127.0.0.1:8080/"
COMMAND = ".venv/bin/poeproto "


@pytest.fixture(scope="module")
def readme(checkout: Path) -> str:
    return (checkout / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def blocks(readme: str) -> list[str]:
    """The Python in it."""
    return re.findall(r"^```python\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def bot(blocks: list[str]) -> str:
    [block] = [block for block in blocks if re.search(r"^bot = ", block, re.MULTILINE)]
    return block


@pytest.fixture(scope="module")
def client(blocks: list[str]) -> str:
    [block] = [block for block in blocks if ADDRESS in block and "anyio.run(main)" in block]
    return block


def shell_lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if re.match(r"    (make|\.venv/)", line)]


def test_the_page_is_short(readme: str) -> None:
    assert len(readme.splitlines()) <= 150


def test_every_block_is_short(blocks: list[str], bot: str, client: str) -> None:
    assert sorted(blocks) == sorted([bot, client])  # the others would need a test of their own
    for block in blocks:
        assert len(block.splitlines()) < 15, f"15 lines or more:\n{block}"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_client_talks_to_the_bot(readme: str, bot: str, client: str, backend: str, tmp_path: Path) -> None:
    [line] = [line for line in shell_lines(readme) if line.startswith(f"{COMMAND}serve ")]
    target, *options = shlex.split(line.removeprefix(f"{COMMAND}serve "))
    (tmp_path / target.partition(":")[0]).write_text(bot, encoding="utf-8")
    with serving(f"{tmp_path}/{target}", *options, "--worker-class", backend) as server:
        program = client.replace(ADDRESS, server.address).replace(
            "anyio.run(main)", f"anyio.run(main, backend={backend!r})"
        )
        (tmp_path / "client.py").write_text(program, encoding="utf-8")
        client_run = run([sys.executable, "-W", "error", "client.py"], tmp_path)
        assert [line for line in client_run.splitlines() if line] == [
            "Text(text='HELLO ', index=None, extra={})",
            "Text(text='THERE ', index=None, extra={})",
            "Done(index=None, extra={})",
        ]

        [line] = [line for line in shell_lines(readme) if line.startswith(f"{COMMAND}query ")]
        arguments = shlex.split(line.removeprefix(COMMAND).replace(ADDRESS, server.address))
        assert run([sys.executable, "-m", "poeproto_cli", *arguments], tmp_path) == "HELLO THERE \n"


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_demonstration_prints_the_output_on_the_page(readme: str, demo_output: str) -> None:
    [shown] = re.findall(r"^((?:    .*\n)*?    events a second: .*\n    .*\n)", readme, re.MULTILINE)
    pattern = re.escape(re.sub(r"^    ", "", shown, flags=re.MULTILINE).strip())
    # The tests may run in another environment than the one that is shown.
    pattern = pattern.replace(re.escape(".venv/bin/"), r"\S*")
    pattern = re.sub(r":\d+/", r":\\d+/", pattern).replace(re.escape("..."), "(?s:.*)")
    assert re.search(pattern, demo_output)


@pytest.mark.parametrize("document", ["README.md", "docs/contributing.md"])
def test_named_files_and_names_exist(checkout: Path, document: str) -> None:
    text = (checkout / document).read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (checkout / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)`", text)) | set(re.findall(r"^    make ([a-z-]+)$", text, re.MULTILINE))
    assert named
    assert named <= targets
    for place in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
        assert (checkout / document).parent.joinpath(place).exists(), f"{place} is not there"


def test_the_commands_shown_are_understood(checkout: Path, readme: str) -> None:
    lines = [line.removeprefix(COMMAND) for line in shell_lines(readme) if line.startswith(COMMAND)]
    for example in (checkout / "docs" / "examples").glob("*.py"):
        lines += re.findall(r"poeproto (serve .*?)\.?(?:\"\"\")?$", example.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(lines) >= 4
    for line in lines:
        name, *arguments = shlex.split(line)
        command = main.commands[name]
        with command.make_context(name, arguments, parent=click.Context(main)) as context:
            assert not context.args, f"not understood: {line}"
