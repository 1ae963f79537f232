"""The command shows no key: neither in its output, nor in a process list."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from anyio.from_thread import BlockingPortal
from click.testing import CliRunner, Result

from poeproto_cli.commands import main

from ..support.canary import CANARY, assert_hidden
from ..support.canary_responses import RESPONSES
from ..support.command import COMMAND, SECONDS, serving, simulating, started
from ..support.peers_in_thread import scripted_in_thread
from ..support.scripted_peer import Peer, Script

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are listed as Linux has them")

BOTS = f"""
from poeproto import Bot
from poeproto_asgi import BotApp

class Echo(Bot):
    async def get_response(self, request, context):
        yield request.query[-1].content

bot = Echo()
app = BotApp(bot, access_key="a-key-of-its-own")
canarys = BotApp(bot, access_key={CANARY!r})
"""


@pytest.fixture
def bots(tmp_path: Path) -> Path:
    file = tmp_path / "secretive.py"
    file.write_text(BOTS)
    return file


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("POE_")}
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=SECONDS, env={**inherited, **env}
    )


def refused(*arguments: str, **env: str) -> Result:
    """`poeproto serve` with arguments that it refuses, in this process."""
    result = CliRunner(env={"POE_ACCESS_KEY": None, **env}).invoke(main, ["serve", *arguments])
    assert (result.exit_code, result.stdout) == (2, "")
    return result


def once(answer: str) -> Script:
    """A peer that answers one request, and disconnects."""

    async def script(peer: Peer) -> None:
        await peer.answer(RESPONSES[answer])

    return script


# --- output

# Parts of these are content that the command prints unchanged: unknown events, and settings with unknown keys.
CONTENT = ("upload", "result", "no result", "event name")


@pytest.mark.parametrize("more", [[], ["--json", "--backend", "trio"]], ids=["text", "json"])
@pytest.mark.parametrize("command", [["query", "hello"], ["settings"]], ids=lambda command: command[0])
@pytest.mark.parametrize("answer", RESPONSES)
def test_a_key_that_a_peer_repeats_is_not_printed(
    command: list[str], answer: str, more: list[str], portal: BlockingPortal
) -> None:
    with scripted_in_thread(portal, once(answer)) as server:
        arguments = [command[0], server.address, *command[1:], *more]
        result = CliRunner(env={"POE_ACCESS_KEY": CANARY}).invoke(main, arguments)
    assert_hidden(result.stderr, "" if answer in CONTENT else result.stdout)
    assert result.exit_code in (0, 1)


def test_bench_does_not_print_a_repeated_key(portal: BlockingPortal) -> None:
    for answer in ("body 0", "error in JSON, escaped", "header line", "status line", "error event", "content type"):
        with scripted_in_thread(portal, once(answer)) as server:
            result = CliRunner(env={"POE_ACCESS_KEY": CANARY}).invoke(main, ["bench", server.address, "--replies", "1"])
        assert_hidden(result.stdout, result.stderr)
        assert result.exit_code == 1, answer


UNUSABLE = {
    "a key": ["query", "http://h/", "hello", "--access-key", f"{CANARY} "],
    "an API key": ["simulate", "--api-key", f"{CANARY}é"],
    "a key for serve": ["serve", "poeproto:Bot", "--access-key", f"{CANARY}\n"],
    "two of them": ["serve", "poeproto:Bot", "--access-key", CANARY, "--allow-without-key"],
    "a user in a URL": ["query", f"http://user:{CANARY}@h/", "hello"],
    "a user without a scheme": ["query", f"user:{CANARY}@h", "hello"],
    "a query without a scheme": ["settings", f"h/?key={CANARY}"],
    "a URL without a slash": ["query", f"http:/user:{CANARY}@h://", "hello"],
    "a scheme": ["settings", f"ftp://h/{CANARY}"],
    "a port": ["settings", f"http://h:{CANARY}"],
    "an endpoint": ["serve", "poeproto:Bot", "--allow-without-key", "--endpoint", f"http://user:{CANARY}@h"],
    "an endpoint's query": ["serve", "poeproto:Bot", "--allow-without-key", "--endpoint", f"http://h?{CANARY}"],
    "an origin": ["simulate", "--fetch-from", f"http://user:{CANARY}@h"],
    "a bot": ["simulate", "--bot", f"http://user:{CANARY}@h"],
    "a bot's URL": ["simulate", "--bot", f"Bot=http://user:{CANARY}@h"],
    "a measured URL": ["bench", f"http://user:{CANARY}@h"],
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_invalid_arguments_are_not_printed(name: str) -> None:
    result = CliRunner(env={"POE_ACCESS_KEY": None}).invoke(main, UNUSABLE[name])
    assert result.exit_code == 2, result.output
    assert_hidden(result.stdout, result.stderr, result.exception)


@pytest.mark.parametrize("key", ["", " ", "two words", "clé"])
def test_an_invalid_key_is_wrong_usage(bots: Path, key: str) -> None:
    refused(f"{bots}:bot", "--access-key", key)
    refused(f"{bots}:bot", POE_ACCESS_KEY=key)


def test_without_a_key_nothing_is_served(bots: Path) -> None:
    for target in (f"{bots}:bot", f"{bots}:Echo"):
        done = refused(target, "--bind", "127.0.0.1:0")
        assert "POE_ACCESS_KEY" in done.stderr
        assert "--allow-without-key" in done.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--allow-without-key"], "allow_without_key has no effect"),
        (["--access-key", "another"], "access_key has no effect"),
        (["--allow-without-key", "--workers", "2"], "allow_without_key has no effect"),
    ],
)
def test_options_that_an_application_sets_itself_are_wrong_usage(bots: Path, options: list[str], words: str) -> None:
    done = refused(f"{bots}:app", "--bind", "127.0.0.1:0", *options)
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert "a-key-of-its-own" not in done.stderr


# --- process lists


def process_list(group: int) -> dict[int, str]:
    """The command lines of a process and its children."""
    found: dict[int, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(folder.name)) == group:
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (ProcessLookupError, FileNotFoundError):
            continue  # it has exited meanwhile
    return found


def group_of(argument: str) -> int:
    """The process group of the process with that argument: each test starts a group of its own."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().split(b"\0")
        except (ProcessLookupError, FileNotFoundError):
            continue
        if argument.encode() in command:
            return os.getpgid(int(folder.name))
    raise AssertionError("no such process")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_no_process_list_shows_the_key(bots: Path, workers: str) -> None:
    with serving(f"{bots}:bot", "--workers", workers, env={"POE_ACCESS_KEY": CANARY}) as server:
        processes = process_list(group_of(f"{bots}:bot"))
        assert len(processes) >= int(workers), "the workers are among them"
        assert_hidden(*processes.values())
        answer = run("query", server.address, "hello", POE_ACCESS_KEY=CANARY)
        assert (answer.returncode, answer.stdout) == (0, "hello\n")
        server.signal(signal.SIGTERM)
        status, output, errors = server.wait()
    assert status == 0
    assert_hidden(output, errors)


def test_a_key_on_the_command_line_is_not_passed_to_workers(bots: Path) -> None:
    with serving(f"{bots}:bot", "--workers", "2", "--access-key", CANARY) as server:
        processes = process_list(group_of(f"{bots}:bot"))
        [shown] = [number for number, command in processes.items() if CANARY in command]
        assert len(processes) > 2
        assert_hidden(*(command for number, command in processes.items() if number != shown))
        server.signal(signal.SIGTERM)
        _, output, errors = server.wait()
    assert_hidden(output, errors)


def test_bench_does_not_show_the_key_that_it_passes_to_its_server(bots: Path) -> None:
    arguments = ["bench", f"{bots}:bot", "--replies", "1000000", "--timeout", "30"]
    with started(*arguments, env={**os.environ, "POE_ACCESS_KEY": CANARY}) as process:
        end = time.monotonic() + SECONDS
        while "poeproto_cli.target_server" not in " ".join((processes := process_list(process.pid)).values()):
            assert time.monotonic() < end, "no server was started"
            time.sleep(0.01)
        assert len(processes) >= 2
        assert_hidden(*processes.values())


# --- the simulator


@pytest.mark.parametrize(
    ("bot", "api_key", "access_key"),
    [("app", CANARY, None), ("bot", "the-users-key", CANARY), ("canarys", "the-users-key", None)],
)
def test_the_simulator_shows_no_key(bots: Path, bot: str, api_key: str, access_key: str | None) -> None:
    keys = {"POE_API_KEY": api_key} | ({} if access_key is None else {"POE_ACCESS_KEY": access_key})
    with simulating("--strict", "--bot", f"Bot={bots}:{bot}", env=keys) as server:
        asked = run("query", f"{server.address}bot/Bot", "hello", POE_ACCESS_KEY=api_key)
        assert (asked.returncode, asked.stdout) == (0, "hello\n")
        for path in ("state", "log", "bots", "users", "reports"):
            assert_hidden(_get(f"{server.address}simulator/{path}"))
        for call in ("update_settings", "fetch_settings"):
            assert_hidden(_get(f"{server.address}bot/{call}/Nobody/{quote(CANARY, safe='')}/1.2", b"{"))
        wrong = run("query", f"{server.address}bot/Bot", "hello", POE_ACCESS_KEY=f"x{CANARY}")
        assert wrong.returncode == 1
        assert_hidden(wrong.stdout, wrong.stderr)
        server.signal(signal.SIGTERM)
        _, output, errors = server.wait()
    assert_hidden(output, errors)


def _get(url: str, body: bytes | None = None) -> str:
    """The response, whatever its status."""
    import urllib.error
    import urllib.request

    try:
        with urllib.request.urlopen(urllib.request.Request(url, body), timeout=SECONDS) as response:
            return json.dumps([response.read().decode(), dict(response.headers)])
    except urllib.error.HTTPError as exc:
        with exc:
            return json.dumps([exc.read().decode(), dict(exc.headers)])
