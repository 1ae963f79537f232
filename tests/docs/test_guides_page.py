"""The table of examples in docs/guides.md is right, and whole."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import time
from pathlib import Path
from urllib.request import urlopen

import click
import pytest

from poeproto_cli.commands import main

from ..support.command import COMMAND, SECONDS, serving, simulating
from ..support.reserved_port import reserved_port

# What has a place of its own: the first steps, `make demo`, every event at once, and a load test.
ELSEWHERE = {"cat", "demo", "echo", "locustfile", "test_asking_the_cat"}
ROW = re.compile(r"\| \[[\w ,]+\]\(([\w/]+\.md)\)[^|]*<br>\[`(\w+)\.py`\]\(examples/(\w+)\.py\) \|")


@pytest.fixture(scope="module")
def rows(checkout: Path) -> list[tuple[str, str, str]]:
    """Page, name and link of each row of the tables of examples."""
    page = (checkout / "docs" / "guides.md").read_text(encoding="utf-8")
    rows = ROW.findall(page)
    tables = page[page.index("| in the guides |") :]
    assert len(rows) == tables.count("\n| ") - 1, "a row is not of the form that is read here"  # the second head
    return rows


def declared_in(simulator: str) -> dict[str, int]:
    """What the settings of the first bot declare, as the simulator has them."""
    with urlopen(f"{simulator}/simulator/state", timeout=SECONDS) as response:
        [bot] = json.load(response)["bots"]
    return (bot["settings"] or {}).get("server_bot_dependencies", {})


@pytest.mark.slow
def test_an_example_is_tried_as_the_page_says(checkout: Path) -> None:
    page = (checkout / "docs" / "guides.md").read_text(encoding="utf-8")
    simulate, serve, query = map(shlex.split, re.findall(r"^    poeproto (.*)$", page, re.MULTILINE))
    with reserved_port() as port:  # the two have to know each other's address
        bot = f"127.0.0.1:{port}"
        options = [word.replace("127.0.0.1:8080", bot) for word in simulate[1:]]
        with simulating(*options, env={"POE_ACCESS_KEY": ""}) as simulator:
            at = simulator.address.rstrip("/")
            target, *options = [word.replace("http://127.0.0.1:8081", at) for word in serve[1:]]
            with serving(f"{checkout}/{target}", *options, bind=bot):
                arguments = [word.replace("http://127.0.0.1:8081", at) for word in query]
                done = subprocess.run(
                    [*COMMAND, *arguments], capture_output=True, text=True, timeout=SECONDS, check=False
                )
                assert (done.returncode, done.stdout, done.stderr) == (0, "H-E-L-L-O\n", "")
            # Another in its place, which calls other bots than the settings that the simulator has by now declare.
            with serving(f"{checkout}/docs/examples/two_bots.py:bot", *options, bind=bot):
                end = time.monotonic() + SECONDS
                while not declared_in(at):
                    assert time.monotonic() < end, "the settings were not told"
                done = subprocess.run(
                    [*COMMAND, *arguments], capture_output=True, text=True, timeout=SECONDS, check=False
                )
    assert (done.returncode, done.stdout.count("hello"), done.stderr) == (0, 2, "")


def test_every_command_is_understood(checkout: Path, rows: list[tuple[str, str, str]]) -> None:
    serve = main.commands["serve"]
    for _, name, _ in rows:
        text = (checkout / "docs" / "examples" / f"{name}.py").read_text(encoding="utf-8")
        for command in re.findall(r"poeproto serve (\S*:\w.*)", text):
            arguments = shlex.split(command.replace("...", "k" * 32))
            with serve.make_context("serve", arguments, parent=click.Context(main)) as context:
                assert not context.args


def test_every_example_is_there(checkout: Path, rows: list[tuple[str, str, str]]) -> None:
    files = {path.stem for path in (checkout / "docs" / "examples").glob("*.py")}
    assert {name for _, name, _ in rows} == files - ELSEWHERE
    assert all(name == link for _, name, link in rows)


def test_every_example_is_on_its_page(checkout: Path, rows: list[tuple[str, str, str]]) -> None:
    for page, name, _ in rows:
        text = (checkout / "docs" / page).read_text(encoding="utf-8")
        assert f"<!-- program: {name} -->" in text or f"examples/{name}.py" in text, f"{name} in {page}"


def test_every_example_is_named_in_a_test(checkout: Path, rows: list[tuple[str, str, str]]) -> None:
    tests = "".join(each.read_text(encoding="utf-8") for each in (checkout / "tests" / "docs").glob("test_*.py"))
    for _, name, _ in rows:
        assert f'"{name}"' in tests or f"{name}.py" in tests, name


def test_every_how_to_page_is_listed(checkout: Path) -> None:
    page = (checkout / "docs" / "guides.md").read_text(encoding="utf-8")
    table = page[: page.index("## Run an example")]
    for path in (checkout / "docs" / "howto").glob("*.md"):
        assert f"(howto/{path.name})" in table, path.name


def test_every_example_says_how_it_is_run(checkout: Path, rows: list[tuple[str, str, str]]) -> None:
    for _, name, _ in rows:
        text = (checkout / "docs" / "examples" / f"{name}.py").read_text(encoding="utf-8")
        docstring = text.split('"""')[1]
        assert f"docs/examples/{name}.py" in docstring or f"docs/examples --factory {name}:make_app" in docstring
        served = re.search(r"poeproto serve (\S*):(\w+)(.*)", docstring)
        assert "\nbot = " not in text or served is not None
        if served is not None:
            assert served[1] == f"docs/examples/{name}.py"
            assert f"\n{served[2]} = " in text
            # An application brings its keys.
            assert served[3].startswith(" --") or served[2] == "app"
