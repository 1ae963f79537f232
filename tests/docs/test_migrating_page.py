"""The pages on moving from fastapi_poe: the programs give the same answers in both interfaces; the commands exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import pytest

from poeproto import Bot, Text
from poeproto_cli.commands import main
from poeproto_simulator import Scripted, Simulator, ToolCaller

from ..support.bots import KEY
from ..support.example_stage import NAME, playing_bot
from ..support.hypercorn_servers import serving

pytestmark = pytest.mark.anyio

DOCS = Path(__file__).parents[2] / "docs"
PROGRAMS = (DOCS / "howto" / "native_names.md").read_text(encoding="utf-8")
STEPS = (DOCS / "migrating.md").read_text(encoding="utf-8")
MODEL = "GPT-4o-Mini"
# Two answers to the same user, of the bots that call nothing.
ANSWERS = {
    "Answering": ("hello", "hello"),
    "Replacing text, and suggesting replies": ("Done.", "Done."),
    "Receiving files": ("1 messages", "3 messages"),
    "Introducing the bot": ("Bot under construction. Please visit later.",) * 2,
    "Remembering": ("Answer 1", "Answer 2"),
    "Reading the HTTP request": ("POST /", "POST /"),
}
CALLING = {"Calling other bots", "Sending files", "Calling functions", "Charging a user"}


def pairs() -> dict[str, tuple[str, str]]:
    """The two programs of each section."""
    found: dict[str, tuple[str, str]] = {}
    for section in PROGRAMS.split("\n## ")[1:]:
        blocks = re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
        if blocks:
            theirs, ours = blocks
            found[section.splitlines()[0]] = theirs, ours
    return found


PAIRS = pairs()


def run(program: str) -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": __name__}
    exec(compile(program.replace('"..."', f'"{KEY}"'), "native_names.md", "exec"), namespace)
    return namespace


def bot_of(names: Mapping[str, Any], base: type[Any]) -> Any:
    if "bot" in names:
        return names["bot"]
    [cls] = [
        value for value in names.values() if isinstance(value, type) and issubclass(value, base) and value is not base
    ]
    return cls()


def test_every_section_is_tested() -> None:
    assert PAIRS.keys() == ANSWERS.keys() | CALLING


@pytest.mark.parametrize("section", ANSWERS)
async def test_our_programs_answer(section: str) -> None:
    async with playing_bot(bot_of(run(PAIRS[section][1]), Bot)) as stage:
        first = await stage.say("hello")
        second = await stage.say("hello", conversation=first.conversation)
    assert (first.final_text(), second.final_text()) == ANSWERS[section]


@asynccontextmanager
async def playing_theirs(bot: Any) -> AsyncGenerator[Simulator]:
    poe = Simulator()
    async with poe.serving(), serving(import_module("poeproto_compat").make_app(bot, access_key=KEY)) as url:
        poe.register(NAME, url, access_key=KEY)
        yield poe


@pytest.mark.skipif(find_spec("poeproto_compat.base") is None, reason="poeproto_compat serves no bots yet")
@pytest.mark.parametrize("section", ANSWERS)
async def test_their_programs_answer_the_same(section: str, anyio_backend_name: str) -> None:
    base = import_module("poeproto_compat").PoeBot
    async with playing_theirs(bot_of(run(PAIRS[section][0]), base)) as poe:
        first = await poe.say(NAME, "hello")
        second = await poe.say(NAME, "hello", conversation=first.conversation)
    assert (first.final_text(), second.final_text()) == ANSWERS[section]


@pytest.mark.skipif(find_spec("poeproto_compat.base") is None, reason="poeproto_compat serves no bots yet")
@pytest.mark.parametrize("section", PAIRS)
def test_their_programs_run_with_the_name_that_they_had(section: str) -> None:
    names = run(PAIRS[section][0].replace("poeproto_compat", "fastapi_poe"))
    assert bot_of(names, import_module("fastapi_poe").PoeBot)


async def test_our_program_calls_another_bot() -> None:
    model = Scripted(lambda request: [Text(f"You said {request.query[-1].content}")])
    async with playing_bot(bot_of(run(PAIRS["Calling other bots"][1]), Bot), {MODEL: model}) as stage:
        assert (await stage.say("hello")).final_text() == "You said hello"


async def test_our_program_calls_a_function() -> None:
    model = ToolCaller([("add", {"first": 1, "second": 2})])
    async with playing_bot(bot_of(run(PAIRS["Calling functions"][1]), Bot), {MODEL: model}) as stage:
        assert (await stage.say("hello")).final_text() == "add says: 3\n"


async def test_our_program_sends_a_file() -> None:
    async with playing_bot(bot_of(run(PAIRS["Sending files"][1]), Bot)) as stage:
        reply = await stage.say("hello")
    [file] = reply.files
    assert (file.name, file.data) == ("dummy.txt", b"hello")


async def test_our_program_charges_the_user() -> None:
    async with playing_bot(bot_of(run(PAIRS["Charging a user"][1]), Bot)) as stage:
        assert (await stage.say("hello")).final_text() == "Here it is."


def test_the_commands_are_understood() -> None:
    commands = re.findall(r"^ +poeproto (\w+) (.*)$", STEPS, re.MULTILINE)
    assert [name for name, _ in commands] == ["migrate", "migrate", "play"]
    for name, arguments in commands:
        with main.commands[name].make_context(name, shlex.split(arguments), parent=click.Context(main)) as context:
            assert not context.args
