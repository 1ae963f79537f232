"""`poeproto openai serve`: serving bots by target and by URL, keys, and wrong usage."""

from __future__ import annotations

import json
import signal
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from poeproto_cli.commands import main

from ...support.bots import KEY
from ...support.command import openai_serving, serving

BOTS = """
from poeproto import Bot

class Echo(Bot):
    async def get_response(self, request, context):
        yield request.query[-1].content

two = {"/a": Echo, "/b": Echo}
"""
NO_VARIABLES: Mapping[str, str | None] = {"POE_ACCESS_KEY": None, "POE_API_KEY": None, "POEPROTO_API_KEYS": None}


@pytest.fixture
def bots(tmp_path: Path) -> Path:
    file = tmp_path / "echoing.py"
    file.write_text(BOTS)
    return file


def run(*arguments: str) -> Result:
    return CliRunner(env=NO_VARIABLES).invoke(main, ["openai", "serve", *arguments])


def ask(base_url: str, model: str, key: str) -> Any:
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{base_url}/chat/completions", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)["choices"][0]["message"]["content"]


def test_bots_by_target_and_by_url(bots: Path) -> None:
    options = ("--bot", f"echo={bots}:Echo", "--api-key", "first-key", "--access-key", KEY)
    with (
        serving(f"{bots}:Echo", "--access-key", KEY) as other,
        openai_serving(*options, "--bot", f"remote={other.address}", "--api-key", "second-key") as gateway,
    ):
        assert gateway.line.startswith("serving OpenAI's API at http://127.0.0.1:")
        assert gateway.address.endswith("/v1")
        assert ask(gateway.address, "echo", "first-key") == "hello"
        assert ask(gateway.address, "remote", "second-key") == "hello"
        gateway.signal(signal.SIGTERM)
        assert gateway.wait()[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "no bots: pass at least one name with its bot, or --poe for those on Poe"),
        (("--bot", "echo=BOTS:Echo"), "pass --api-key, or --allow-without-key to answer anyone"),
        (("--bot", "echo=BOTS:Echo", "--api-key", "k", "--allow-without-key"), "exclude each other"),
        (("--bot", "echo=BOTS:Echo", "--bot", "echo=BOTS:Echo"), "is given twice"),
        (("--bot", "echo", "--allow-without-key"), "is not of the form NAME=TARGET_OR_URL"),
        (
            ("--bot", "echo=BOTS:Echo", "--allow-without-key", "--allow-origin", "localhost"),
            "--allow-origin: 'localhost' is not an origin; expected https://host",
        ),
        (("--bot", "=http://u:secret@h/", "--allow-without-key"), "--bot is not of the form"),
        (("--bot", "echo=BOTS:two", "--allow-without-key"), "has 2 bots; expected one"),
        (("--bot", "echo=127.0.0.1:80", "--allow-without-key"), "http://127.0.0.1:80"),
        (("--poe", "--poe-key", "k"), "pass --api-key"),
        (("--poe", "--api-key", "a b"), "visible ASCII"),
    ],
)
def test_wrong_usage(bots: Path, arguments: tuple[str, ...], message: str) -> None:
    result = run(*(argument.replace("BOTS", str(bots)) for argument in arguments))
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.output.replace("│", " ").split())
    assert "secret" not in result.output


def test_failures(bots: Path) -> None:
    result = run("--bot", f"echo={bots}:None_such", "--allow-without-key")
    assert result.exit_code == 2 or result.exit_code == 1
    assert "None_such" in result.output
    result = run("--bot", f"echo={bots}:Echo", "--allow-without-key", "--usage", "estimate")
    assert result.exit_code == 1
    assert "pip install tiktoken" in result.output
