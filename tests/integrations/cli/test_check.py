"""`poeproto check`: options, output and exit codes."""

from __future__ import annotations

import json
import re
import signal
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from poeproto_check import FORMATS, select_rules
from poeproto_cli.check import FORMAT_NAMES
from poeproto_cli.commands import main

from ...support.bots import KEY
from ...support.broken_bots import HtmlSettingsBot, PrefixBot
from ...support.command import SECONDS, started
from ...support.raw_bots import SoundBot, serving_raw

BOTS = """
from poeproto import Bot

class Echo(Bot):
    async def get_response(self, request, context):
        for word in (request.query[-1].content + " ").split(" "):
            yield word
"""
# Few rules, so that the tests are fast.
_FEW = ["--rule", "auth", "--rule", "settings"]


def run(*arguments: str, key: str | None = KEY) -> Result:
    return CliRunner(env={"POE_ACCESS_KEY": key}).invoke(main, ["check", *arguments])


def test_the_names_of_the_formats() -> None:
    assert tuple(FORMATS) == FORMAT_NAMES


@pytest.fixture
def bots(tmp_path: Path) -> str:
    path = tmp_path / "bots.py"
    path.write_text(BOTS)
    return str(path)


@pytest.mark.parametrize("worker_class", ["asyncio", "trio"])
def test_a_target_is_served_for_the_check(bots: str, worker_class: str) -> None:
    result = run(f"{bots}:Echo", "--format", "json", "--worker-class", worker_class, "--skip", "http.body-limit")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    left = {each["rule"] for each in report["results"] if each["verdict"] != "pass"}
    assert left <= {"framing.buffering", "http.disconnect-noticed"}
    assert re.fullmatch(
        r"checking \d+ rules at http://127\.0\.0\.1:\d+/: up to 13 queries, for which the bot may be charged\n",
        result.stderr,
    )


PRINTING = """
from poeproto import Bot

print("printed by the module")

class Printing(Bot):
    async def get_response(self, request, context):
        print("printed by the bot")
        yield "hello"
"""


def test_output_of_a_bot_is_not_parsed_as_a_line_of_the_server(tmp_path: Path) -> None:
    bots = tmp_path / "bots.py"
    bots.write_text(PRINTING)
    result = run(f"{bots}:Printing", "--rule", "http.disconnect-noticed", "--format", "json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["counts"]["harness-error"] == 0
    bots.write_text(f"{PRINTING}\nraise ValueError('a mistake')\n")
    result = run(f"{bots}:Printing")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[0] == "printed by the module", "in the log"


def test_no_findings() -> None:
    with serving_raw(SoundBot()) as url:
        result = run(url, *_FEW, "--no-query", "--backend", "trio")
    assert result.exit_code == 0
    assert re.fullmatch(rf"{url}: \d+ pass; 0 queries, \d+\.\d s\n", result.stdout)
    assert result.stderr.endswith(": no query\n")


def test_findings() -> None:
    with serving_raw(PrefixBot()) as url:
        result = run(url, *_FEW)
    assert result.exit_code == 1
    assert "auth\n  fail            auth.wrong-key  [MUST, Authentication]\n" in result.stdout
    assert KEY not in result.output


def test_strict_and_a_baseline(tmp_path: Path) -> None:
    baseline = tmp_path / "baseline.txt"
    baseline.write_text("settings.content-type\n")
    with serving_raw(HtmlSettingsBot()) as url:
        assert run(url, *_FEW).exit_code == 0
        assert run(url, *_FEW, "--strict").exit_code == 1
        assert run(url, *_FEW, "--strict", "--baseline", str(baseline)).exit_code == 0
    with serving_raw(SoundBot()) as url:
        result = run(url, *_FEW, "--baseline", str(baseline))
    assert result.exit_code == 1
    assert "stale      settings.content-type is in the baseline, but the server keeps it now" in result.stdout


def test_a_report_in_a_file(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    with serving_raw(SoundBot()) as url:
        result = run(url, *_FEW, "--format", "html", "--output", str(page))
        assert (result.exit_code, result.stdout) == (0, "")
        result = run(url, *_FEW, "--output", str(tmp_path / "nothing" / "a"))
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert result.exit_code == 2
    assert "the report cannot be written to" in result.stderr
    assert "checking" not in result.stderr, "before a query that may cost money"


def test_the_list() -> None:
    result = run("--list")
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == list(select_rules())
    assert len(run("--list", "--rule", "auth", "--edition", "2023").stdout.splitlines()) == 7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument 'TARGET'"),
        (["http://127.0.0.1:1/"], r"no connection to http://127\.0\.0\.1:1: .*; is the URL right"),
        (["http://127.0.0.1:1/", "--unix-socket", "\x1bnone"], r"no connection to unix:\\u001bnone: "),
        (["ftp://127.0.0.1/"], "expected an http or https URL"),
        (["127.0.0.1:8080"], "did you mean http://127.0.0.1:8080"),
        (["bots.example.com/echo"], "did you mean http://bots.example.com/echo"),
        (["bots.py"], "not of the form module:attribute"),
        (["http://127.0.0.1:1/", "--rule", "nothing"], "no rule 'nothing'; .* --list shows all"),
        (["http://127.0.0.1:1/", "--rule", "auth", "--skip", "auth"], "no rule is left to judge"),
        (["http://127.0.0.1:1/", "--endpoint", "http://127.0.0.1:2"], "--endpoint is for a TARGET"),
        (["nothing.py:bot", "--unix-socket", "a"], "--unix-socket is for a URL"),
        (["nothing.py:bot"], "there is no file nothing.py"),
    ],
)
def test_usage_or_nothing_to_check(arguments: list[str], message: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert re.search(message, result.stderr)
    assert result.stdout == ""


def test_a_baseline_that_cannot_be_read(tmp_path: Path) -> None:
    baseline = tmp_path / "baseline"
    baseline.write_bytes(b"\xff")
    assert "cannot be read" in run("http://127.0.0.1:1/", "--baseline", str(baseline)).stderr
    baseline.write_text("nothing\n")
    assert "line 1 is not the id of a rule: 'nothing'" in run("http://127.0.0.1:1/", "--baseline", str(baseline)).stderr


def test_a_wrong_key() -> None:
    with serving_raw(SoundBot()) as url:
        result = run(url, key="not-the-key-of-this-bot")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == f"Error: {url}: status 401; the access key is wrong"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_interrupted(backend: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        with started("check", url, "--backend", backend) as process:
            server.settimeout(SECONDS)
            with server.accept()[0] as connection:
                assert connection.recv(1), "the check has sent its first request"
                process.send_signal(signal.SIGINT)
                _, errors = process.communicate(timeout=SECONDS)
    assert (process.returncode, errors.splitlines()[1:]) == (130, ["Aborted!"])


APPS = """
from poeproto import Bot
from poeproto_asgi import BotApp

class Failing(Bot):
    async def get_response(self, request, context):
        raise KeyError("the author's mistake")

one = BotApp({"/bots/a": Failing()}, allow_without_key=True)
two = BotApp({"/b": Failing(), "/a": Failing()}, allow_without_key=True)
"""


def test_an_application_without_a_bot_at_its_root(tmp_path: Path) -> None:
    apps = tmp_path / "apps.py"
    apps.write_text(APPS)
    result = run(f"{apps}:one", "--rule", "reply.parallel", key=None)
    assert result.exit_code == 1
    assert "the probe query got no usable answer: an error event\n" in result.stdout
    assert re.match(r"checking 1 rules at http://127\.0\.0\.1:\d+/bots/a: ", result.stderr)
    assert 'KeyError: "the author\'s mistake"' in result.stderr, "the log of the server"
    result = run(f"{apps}:two", key=None)
    assert result.exit_code == 2
    assert "the application has several bots, at /a, /b: serve the application" in result.stderr
