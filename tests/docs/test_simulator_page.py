"""The snippets of docs/simulator.md run, and the names in it exist."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import anyio
import click
import pytest

from poeproto_cli.commands import main
from poeproto_simulator import Fault, ReceivedReply, Simulator
from poeproto_simulator.control import _FIELDS


@pytest.fixture(scope="module")
def page(checkout: Path) -> str:
    return (checkout / "docs" / "simulator.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_program_runs(page: str, backend: str) -> None:
    [block] = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert "anyio.run(main)" in block
    program = block.replace("anyio.run(main)", f"anyio.run(main, backend={backend!r})")
    exec(compile(program, "simulator.md", "exec"), {"__name__": "__main__"})


def test_the_command_is_understood(page: str) -> None:
    [line] = re.findall(r"^    poeproto (simulate .*)$", page, re.MULTILINE)
    name, *arguments = shlex.split(line)
    with main.commands[name].make_context(name, arguments, parent=click.Context(main)) as context:
        assert not context.args


def test_the_faults_can_be_made(page: str) -> None:
    calls = re.findall(r"`(Fault\.\w+\(.*?\))`", page)
    assert len(calls) >= 8
    for call in calls:
        assert isinstance(eval(call, {"Fault": Fault, "event": anyio.Event()}), Fault), call
    [body] = re.findall(r"-d '({.*})'", page)
    planned: dict[str, Any] = json.loads(body)
    assert planned.pop("where") == "Cat"
    assert isinstance(getattr(Fault, planned.pop("kind"))(**planned), Fault)


def test_named_files_and_names_exist(page: str) -> None:
    for name in re.findall(r"`simulator\.([a-z_]+)", page):
        assert hasattr(Simulator(), name), name
    for name in re.findall(r"`Fault\.([a-z_]+)", page):
        assert hasattr(Fault, name), name
    [row] = re.findall(r"`ReceivedReply\.(.*) \|$", page, re.MULTILINE)
    for name in re.findall(r"[a-z_]+", row.replace("`", "")):
        assert name in ReceivedReply.__annotations__ or hasattr(ReceivedReply, name), name
    for call, fields in _FIELDS.items():
        if call in ("bots", "users", "messages", "expiries"):
            [row] = re.findall(rf"^\| `POST {call}` \| (.*) \|$", page, re.MULTILINE)
            assert re.findall(r"`(\w+)`", row) == list(fields)
