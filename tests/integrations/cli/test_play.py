"""`poeproto play`: the printed address, wrong usage, and the API from another process."""

from __future__ import annotations

import json
import signal
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from poeproto_cli.commands import main

from ...support.command import started

BOT = """
from poeproto import Bot

class Cat(Bot):
    async def get_response(self, request, context):
        yield "meow"
"""


def state_at(line: str, token: str | None = None) -> dict[str, Any]:
    address, _, printed = line.strip().removeprefix("open ").partition("/#token=")
    request = urllib.request.Request(
        f"{address}/api/state", headers={"authorization": f"Bearer {printed if token is None else token}"}
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)


@pytest.mark.parametrize("worker_class", ["asyncio", "trio"])
def test_it_prints_an_address_with_a_token(tmp_path: Path, worker_class: str) -> None:
    file = tmp_path / "cat.py"
    file.write_text(BOT)
    with started("play", f"{file}:Cat", "--port", "0", "--worker-class", worker_class) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("open http://127.0.0.1:")
        state = state_at(line)
        assert state["mode"] == "bot"
        with pytest.raises(urllib.error.HTTPError, match="403"):
            state_at(line, "wrong")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
        assert process.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name a bot"),
        (["cat.py:Cat", "--bind", "0.0.0.0"], "may be reached from other machines"),
        (["cat.py:Cat", "--bind", "192.168.1.2"], "--expose-to-network"),
        (["127.0.0.1:8080"], "not a URL"),
        (["--recording", "nothing.jsonl"], "does not exist"),
    ],
)
def test_wrong_usage(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(main, ["play", *arguments])
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


def test_a_file_that_is_no_recording(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    file.write_text("no recording\n")
    result = CliRunner().invoke(main, ["play", "--recording", str(file)])
    assert result.exit_code == 1
    assert "x.jsonl" in result.output
