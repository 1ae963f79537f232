"""What the pages about OpenAI's API show runs, and each row of docs/openai.md names a test that exists."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import click
import pytest

from poeproto_cli.commands import main
from poeproto_cli.openai import serve
from poeproto_openai.mapping import MAPPING, SIDES, MappingRow


def names_of_tests(folder: Path) -> set[str]:
    files = [*folder.glob("tests/integrations/openai/**/*.py"), *folder.glob("tests/interop/openai/**/*.py")]
    return {name for file in files for name in re.findall(r"def (test_\w+)", file.read_text(encoding="utf-8"))}


def names_of_vectors(folder: Path) -> set[str]:
    files = folder.glob("tests/vectors/openai_*.json")
    return {case["name"] for file in files for case in json.loads(file.read_text(encoding="utf-8"))["cases"]}


@pytest.mark.parametrize("row", MAPPING, ids=lambda row: f"{row.side}: {row.what}")
def test_each_line_names_a_test_that_exists(row: MappingRow, checkout: Path) -> None:
    assert row.test in names_of_tests(checkout) | names_of_vectors(checkout)
    assert row.side in SIDES


@pytest.fixture(params=["openai_clients.md", "openai_models.md"])
def page(request: pytest.FixtureRequest, checkout: Path) -> str:
    return (checkout / "docs" / "howto" / request.param).read_text(encoding="utf-8")


def test_the_program_runs(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("POE_ACCESS_KEY", "k" * 32)
    [program] = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    names: dict[str, object] = {"__name__": "openai"}
    exec(compile(program, "openai.md", "exec"), names)
    assert names["app"]


def test_the_commands_are_understood(page: str) -> None:
    commands = re.findall(r"^    (?:[A-Z_]+=\S+ )*poeproto (.*)$", page, re.MULTILINE)
    assert commands
    for command in commands:
        name, *words = shlex.split(command)
        verb = main.commands[name]
        if isinstance(verb, click.Group):
            verb = verb.commands[words.pop(0)]
        with verb.make_context(name, words, parent=click.Context(main)) as context:
            assert not context.args, command


def test_the_options_that_a_page_names_exist(page: str) -> None:
    options = {option for parameter in serve.params for option in parameter.opts}
    assert set(re.findall(r"--[a-z][a-z-]+", page)) <= options
