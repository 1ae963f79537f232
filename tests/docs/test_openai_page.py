"""What the pages about OpenAI's API show runs, and each row of docs/openai.md names a test that exists."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest

from poeproto_cli.commands import main
from poeproto_cli.openai import serve
from poeproto_openai.mapping import MAPPING, SIDES, MappingRow
from poeproto_simulator import Simulator


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
    programs = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    [program] = [program for program in programs if "langchain" not in program]
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


class TestLangChain:
    """LangChain is not installed for the tests: a class with its arguments and methods stands for the model."""

    @pytest.fixture
    def models(self, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
        """The models that a program has made."""
        made: list[Any] = []

        class ChatOpenAI:
            def __init__(self, *, model: str, base_url: str | None = None, api_key: str | None = None) -> None:
                self.model, self.base_url, self.asked = model, base_url, []
                made.append(self)

            def invoke(self, text: str) -> Any:
                self.asked = [("user", text)]
                return SimpleNamespace(content=text)

            async def astream(self, messages: list[tuple[str, str]]) -> AsyncIterator[Any]:
                self.asked = messages
                for text in ("It is ", "", "warm."):
                    yield SimpleNamespace(text=text)

        monkeypatch.setitem(sys.modules, "langchain_openai", SimpleNamespace(ChatOpenAI=ChatOpenAI))
        return made

    def run(self, checkout: Path, name: str) -> dict[str, Any]:
        page = (checkout / "docs" / "howto" / name).read_text(encoding="utf-8")
        programs = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
        [program] = [program for program in programs if "langchain" in program]
        names: dict[str, Any] = {"__name__": "chain"}
        exec(compile(program, name, "exec"), names)
        return names

    def test_it_calls_the_gateway(self, checkout: Path, models: list[Any]) -> None:
        self.run(checkout, "openai_clients.md")
        [model] = models
        page = (checkout / "docs" / "howto" / "openai_clients.md").read_text(encoding="utf-8")
        assert f"prints a base URL, such as `{model.base_url}`" in page
        assert f"--bot {model.model}=" in page

    @pytest.mark.anyio
    async def test_it_answers_in_a_bot(self, checkout: Path, models: list[Any]) -> None:
        bot = self.run(checkout, "openai_models.md")["bot"]
        async with Simulator() as simulator:
            simulator.register("Chain", bot)
            first = await simulator.say("Chain", "Is it warm?")
            assert first.final_text() == "It is warm."
            await simulator.say("Chain", "And now?", conversation=first)
        assert models[0].asked == [("user", "Is it warm?"), ("assistant", "It is warm."), ("user", "And now?")]
