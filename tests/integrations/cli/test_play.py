"""`poeproto play`: the printed address, wrong usage, and the API from another process."""

from __future__ import annotations

import json
import signal
import socket
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO, Any

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
def test_the_playground_prints_an_address_with_a_token(tmp_path: Path, worker_class: str) -> None:
    file = tmp_path / "cat.py"
    file.write_text(BOT)
    with started("play", f"{file}:Cat", "--bind", "127.0.0.1:0", "--worker-class", worker_class) as process:
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
    ("bind", "address"),
    [("0", "http://127.0.0.1:"), ("[::1]:0", "http://[::1]:"), ("localhost:0", "http://127.0.0.1:")],
)
def test_it_listens_on_the_addresses_that_other_commands_take(tmp_path: Path, bind: str, address: str) -> None:
    file = tmp_path / "cat.py"
    file.write_text(BOT)
    with started("play", f"{file}:Cat", "--bind", bind) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith(f"open {address}")
        assert state_at(line)["mode"] == "bot"
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_an_inherited_socket_is_checked_as_an_address_is(host: str) -> None:
    with socket.create_server((host, 0)) as listener:
        result = CliRunner().invoke(main, ["play", "nothing.py:Cat", "--bind", f"fd://{listener.fileno()}"])
        assert result.exit_code == 2
        assert ("may be reached from other machines" in result.output) is (host == "0.0.0.0")
        listener.getsockname()  # it was not closed
    result = CliRunner().invoke(main, ["play", "nothing.py:Cat", "--bind", "fd://987654"])
    assert result.exit_code == 1
    assert "no socket was inherited under this number" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name a bot"),
        (["cat.py:Cat", "--bind", "0.0.0.0:0"], "--bind 0.0.0.0:0 may be reached from other machines"),
        (["cat.py:Cat", "--bind", ":8084"], "may be reached from other machines"),
        (["cat.py:Cat", "--bind", "[::]:8084"], "may be reached from other machines"),
        (["cat.py:Cat", "--bind", "192.168.1.2:8084"], "--expose-to-network"),
        (["cat.py:Cat", "--bind", "127.0.0.1"], "must be HOST:PORT"),
        (["cat.py:Cat", "--bind", "::1"], "an IPv6 address is bound in brackets, as [::1]:8080"),
        (["cat.py:Cat", "--bind", "127.0.0.1:99999"], "at most 65535"),
        (["cat.py:Cat", "--bind", "unix:/tmp/x.sock"], "is a Unix socket, which no browser can open"),
        (["cat.py:Cat", "--bind", "fd://x"], "must be HOST:PORT"),
        (["127.0.0.1:8080"], "not a URL"),
        (["http://"], "expected an http or https URL"),
        (["no_such_file.py:bot"], "there is no file no_such_file.py"),
        (["no_such_module:bot"], "there is no module 'no_such_module'"),
        (["no_such_package.module:bot"], "there is no module 'no_such_package.module'"),
        (["poeproto"], "not of the form"),
        (["poeproto:Bot", "--name", "A", "--name", "B"], "--name is given 2 times, for 1 bots"),
        (["poeproto:Bot", "poeproto:Bot", "--name", "A", "--name", "A"], "two bots cannot have the same name"),
        (["poeproto:Bot"] * 3 + ["--access-key", "a" * 32] * 2, "--access-key is given 2 times, for 3 bots"),
        (["poeproto:Bot", "--access-key", "a key"], "visible ASCII"),
        (["--recording", "nothing.jsonl"], "does not exist"),
    ],
)
def test_wrong_usage(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(main, ["play", *arguments])
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


def wait_for_line(stream: IO[str], text: str) -> str:
    """Read until a line contains this; returns the lines read."""
    read = ""
    while text not in read:
        line = stream.readline()
        assert line, read
        read += line
    return read


@pytest.mark.slow
def test_events_of_a_target_are_printed_on_the_terminal(tmp_path: Path) -> None:
    file = tmp_path / "cat.py"
    file.write_text("raise RuntimeError('not yet')\n")
    with started("play", f"{file}:Cat", "--bind", "127.0.0.1:0") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith("open ")
        said = wait_for_line(process.stderr, "RuntimeError: not yet")
        assert f"{file}:Cat does not run" in said
        assert f'File "{file}", line 1' in said
        assert "targets.py" not in said  # the frames of the loader are not shown
        file.write_text(BOT.replace("class Cat", "class Dog"))
        assert f"{file}:Dog" in wait_for_line(process.stderr, "has no attribute 'Cat'")
        file.write_text(BOT)
        assert f"Cat runs, from {file}:Cat" in wait_for_line(process.stderr, "runs")
        file.write_text(BOT + "  x(")
        said = wait_for_line(process.stderr, "Error: ")
        assert "its last version goes on" in said
        assert f'File "{file}", line ' in said
        file.write_text(BOT)
        wait_for_line(process.stderr, "Cat runs again")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)


@pytest.mark.slow
def test_several_bots_have_the_names_and_keys_given(tmp_path: Path) -> None:
    file = tmp_path / "cat.py"
    file.write_text(BOT)
    bots = [f"{file}:Cat", f"{file}:Cat", "http://127.0.0.1:9/bots/far"]
    options = ["--name", "One", "--name", "Two", *("--access-key", "a" * 32, "--access-key", "b" * 32)]
    with started("play", *bots, *options, "--access-key", "c" * 32, "--bind", "127.0.0.1:0") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        said = [wait_for_line(process.stderr, text) for text in ("runs,", "runs,")]
        assert "One runs" in "".join(said)
        assert "Two runs" in "".join(said)
        bots = state_at(line)["bots"]
        assert [each["name"] for each in bots] == ["One", "Two", "far"]
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)


def test_a_file_that_is_not_a_recording(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    file.write_text("no recording\n")
    result = CliRunner().invoke(main, ["play", "--recording", str(file)])
    assert result.exit_code == 1
    assert "x.jsonl" in result.output
