"""`poeproto bench`: output and exit code. No test depends on a measured time."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
from pathlib import Path

import pytest
from click.testing import Result

from poeproto_cli.bench import ceiling
from poeproto_load import Histogram

from ...support.bench import bench
from ...support.bots import KEY
from ...support.command import SECONDS, simulating, started

BOTS = """
import logging
import os
from pathlib import Path

import anyio
from poeproto import Bot, Error
from poeproto_asgi import BotApp

class Wishes(Bot):
    def __init__(self):
        self._asked = 0

    async def get_response(self, request, context):
        self._asked += 1
        wish = request.query[-1].content
        yield wish
        if wish == "error":
            yield Error(allow_retry=False, text="no\\ndogs  here")
        elif wish == "raise later" and self._asked > 1:
            raise RuntimeError("swordfish")
        elif wish == "log and raise":
            for number in range(200):
                logging.getLogger("bot").warning("line %d", number)
            raise RuntimeError("swordfish")
        elif wish.startswith("tell "):
            Path(wish.removeprefix("tell ")).write_text(str(os.getpid()))
            await anyio.sleep_forever()
        elif wish == "forever":
            await anyio.sleep_forever()
        elif wish == "many":
            for _ in range(99):
                yield "more"

bot = Wishes()
app = BotApp(bot, access_key="a-key-of-its-own")
number = 3
"""
BROKEN = """
raise RuntimeError("bad\\nbot")
"""


def fails(result: Result, message: str, status: int = 1) -> None:
    assert (result.exit_code, result.stdout) == (status, "")
    *before, line = result.stderr.splitlines()
    assert line.startswith("Error: ")
    assert message in line
    assert not before if status == 1 else before[0].startswith("Usage: poeproto bench")
    assert KEY not in result.output


def test_a_bot_server(address: str) -> None:
    result = bench(address, "many", "--connections", "1", "--connections", "3", "--replies", "7", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(line["connections"], line["replies"], line["events"]) for line in lines] == [(1, 7, 700), (3, 7, 700)]
    for line in lines:
        assert line["bytes"] > 7 * 100 * len('event: text\ndata: {"text":"more"}\n\n')
        assert line["events_per_second"] == pytest.approx(line["events"] / line["seconds"])
        assert line["replies_per_second"] == pytest.approx(line["replies"] / line["seconds"])
        assert line["outcomes"]["complete"] == 7
        # All events of a reply may arrive in one read; then there is no gap.
        for times in (line["first_event"], line["total"], *([line["gap"]] if line["gap"] else [])):
            figures = [times[each] for each in ("min", "p50", "p90", "p95", "p99", "p99_9", "max")]
            assert 0 < figures[0] <= figures[-1] <= line["seconds"]
            assert figures == sorted(figures)
        assert line["first_event"]["p50"] <= line["total"]["p50"]
        assert line["total"]["p50"] == Histogram.from_json(line["histograms"]["total"]).quantile(0.5)
        ceiling = line["generator"]["ceiling"]
        assert ceiling["replies_per_second"] > 0
        assert ceiling["events_per_second"] == pytest.approx(100 * ceiling["replies_per_second"])
        assert 0 < line["generator"]["busy"] <= 1


def test_text_output(address: str) -> None:
    result = bench(address, "--replies", "1")
    assert (result.exit_code, result.stderr) == (0, "")
    number = r"[\d,.]+"
    figures = rf"(?: +{number}){{6}}\n"
    run = (
        rf": 1 events and 0\.\d kB a reply\n  {number} events and {number} replies a second"
        rf" \(load generator: up to {number} and {number}, \d+% busy\)\n  1 complete\n"
        rf"  milliseconds +p50 +p90 +p95 +p99 +p99.9 +max\n"
        rf"  first event{figures}(?:  gap{figures})?  total{figures}"  # `done` may arrive with the text
    )
    assert re.fullmatch(f"1 connection, 1 reply{run}32 connections, 1 reply{run}", result.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("worker_class", ["asyncio", "uvloop", "trio"])
def test_a_target(bots: Path, worker_class: str) -> None:
    if worker_class == "uvloop":
        pytest.importorskip("uvloop")
    result = bench(f"{bots}:bot", "--worker-class", worker_class, "--replies", "3", "--json", key=None)
    assert (result.exit_code, result.stderr) == (0, "")
    assert [json.loads(line)["events"] for line in result.stdout.splitlines()] == [3, 3]


def test_a_limit_that_cannot_be_measured_is_left_out(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ceiling, "_SECONDS", 1e-9)  # no reply begins, as on a machine that has no time for one
    result = bench(address, "--replies", "2", "--connections", "1")
    assert result.exit_code == 0, result.output
    assert re.search(r"\(load generator: \d+% busy\)", result.output)


def test_a_target_with_a_key(bots: Path) -> None:
    for target in (f"{bots}:bot", f"{bots}:app"):
        assert bench(target, "--replies", "1", key="a-key-of-its-own").exit_code == 0
    result = bench(f"{bots}:app", key="wrong")
    *log, error = result.stderr.splitlines()
    assert (result.exit_code, result.stdout) == (1, "")
    assert error.startswith("Error: the bot answered with status 401: the access key is missing or wrong")
    assert "the key in the environment has no effect" in log[0]


def test_an_invalid_target(bots: Path, tmp_path: Path) -> None:
    fails(bench(f"{bots}:number"), "is not a bot, a class of bots", 2)
    fails(bench("no-target"), "is not of the form module:attribute", 2)
    file = tmp_path / "broken.py"
    file.write_text(BROKEN)
    result = bench(f"{file}:bot")
    assert (result.exit_code, result.stdout) == (1, "")
    # The traceback is for the author of the bot.
    assert 'raise RuntimeError("bad\\nbot")' in result.stderr
    assert result.stderr.splitlines()[-1].startswith("Error: ")


CALLING = """
from poeproto import Bot, SettingsResponse
from poeproto_asgi import BotApp, Route

class Calling(Bot):
    async def get_settings(self, request, context):
        return SettingsResponse(server_bot_dependencies={"Other": 1000})

    async def get_response(self, request, context):
        async with context.query_bot("Other", request) as reply:
            async for event in reply:
                yield event

KEY = "a-key-of-its-own"
bot = Calling()
app = BotApp({"/": Route(bot, access_key=KEY, bot_name="Calling")})
"""


@pytest.fixture(scope="module")
def calling(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("bots") / "calling.py"
    file.write_text(CALLING)
    return file


@pytest.mark.parametrize("name", ["bot", "app"])
def test_a_bot_that_is_measured_does_not_call_poe(calling: Path, name: str) -> None:
    result = bench(f"{calling}:{name}", key="a-key-of-its-own")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "status 403: poeproto bench lets a bot call others only with --endpoint" in result.stderr
    assert "settings" not in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bot", "app"])
def test_a_bot_that_calls_a_simulator(calling: Path, name: str) -> None:
    with simulating() as simulator:
        options = ["--endpoint", simulator.address, "--replies", "2", "--connections", "1", "--json"]
        result = bench(f"{calling}:{name}", "hello", *options, key="a-key-of-its-own")
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout)["events"] == 2


def test_an_endpoint_for_a_url() -> None:
    fails(bench("http://127.0.0.1:1/", "--endpoint", "http://127.0.0.1:2"), "--endpoint is for a TARGET", 2)


def test_a_reply_that_fails(address: str) -> None:
    fails(bench(address, "error"), "the bot reported an error: no dogs here")


def test_the_log_of_a_failing_target_is_shown(bots: Path) -> None:
    result = bench(f"{bots}:bot", "raise later", "--connections", "1")
    assert result.exit_code == 1
    assert "\n  0 complete, 100 error event\n" in result.stdout
    *log, more, error = result.stderr.splitlines()
    assert re.fullmatch(r"\(and \d+ more lines\)", more), "every reply but the first failed"
    assert error.startswith("Error: 100 of 100 replies failed: the bot reported an error: Something went wrong")
    error_id = error.rpartition(" ")[2]
    assert f"the bot failed (error id {error_id})" in log[0]
    assert log.count("    RuntimeError: swordfish") == 1
    assert f'  File "{bots}"' in "\n".join(log)


def test_a_long_log_is_cut(bots: Path) -> None:
    result = bench(f"{bots}:bot", "log and raise", "--connections", "1")
    *log, more, error = result.stderr.splitlines()
    assert [line.rpartition(": ")[2] for line in log] == [f"line {number}" for number in range(100)]
    assert re.fullmatch(r"\(and \d+ more lines\)", more)
    assert error.startswith("Error: the bot reported an error: ")


def test_a_bot_that_takes_too_long(address: str) -> None:
    fails(bench(address, "forever", "--timeout", "0.05"), "the server sent nothing for 0.05 s")


def test_no_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    fails(bench(url), f"no connection to {url}: Connection refused; is the URL right")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ftp://bot.example/"], "expected an http or https URL"),
        (["127.0.0.1:8080"], "'127.0.0.1:8080' is not a URL; did you mean http://127.0.0.1:8080?"),
        (["localhost:8080/bot"], "did you mean http://localhost:8080/bot?"),
        (["http:/bot.example/"], "did you mean http://bot.example/?"),
        (["http:/swordfish@bot.example/"], "this is not a URL"),
        (["http://swordfish@bot.example/"], "credentials"),
        (["http://bot.example/", "--replies", "0"], "--replies"),
        (["http://bot.example/", "--connections", "0"], "--connections"),
        (["http://bot.example/", "--timeout", "0"], "--timeout"),
        (["http://bot.example/", "--duration", "0"], "--duration 0 measures nothing"),
        (["http://bot.example/", "--duration", "long"], "'long' is not a duration"),
        (["http://bot.example/", "--replies", "1", "--duration", "1s"], "--replies and --duration exclude each other"),
        (["http://bot.example/", "--connections", "1", "--concurrency", "1..2"], "--connections and --concurrency"),
        (["http://bot.example/", "--rate", "1", "--concurrency", "1..2"], "--rate and --concurrency exclude"),
        (["http://bot.example/", "--rate", "1", "--ramp", "1s"], "--rate and --ramp exclude each other"),
        (["http://bot.example/", "--rate", "0"], "--rate"),
        (["http://bot.example/", "--rate", "1", "--connections", "1", "--connections", "2"], "give it once"),
        (["http://bot.example/", "--arrivals", "poisson"], "--arrivals is for an open model; give --rate, too"),
        (["http://bot.example/", "--concurrency", "4..1"], "'4..1' is not a sweep"),
        (["http://bot.example/", "--concurrency", "0..4"], "'0..4' is not a sweep"),
        (["http://bot.example/", "--concurrency", "1,x"], "'1,x' is not a sweep"),
        (["http://bot.example/", "--concurrency", "2,2"], "'2,2' is not a sweep"),
        (["http://bot.example/", "--cancel", "0.05"], "'0.05' is not a share; expected per cent"),
        (["http://bot.example/", "--cancel", "101%"], "'101%' is not a share"),
        (["http://bot.example/", "--slo", "first:1s"], "'first:1s' is not an objective"),
        (["http://bot.example/", "--export", "results.txt"], "'results.txt': expected jsonl, csv or html"),
        (["http://bot.example/", "--export", "no-folder/a.csv"], "no-folder/a.csv cannot be written"),
        (["http://bot.example/", "--start-at", "soon"], "'soon' is not a time"),
        (["http://bot.example/", "--start-at", "2020-01-01T00:00:00Z"], "has passed; the time is 20"),
        (["http://bot.example/", "hi", "--from", __file__], "TEXT and --from exclude each other"),
        (["http://bot.example/", "--access-key", "two words"], "--access-key"),
        ([], "TARGET"),
    ],
)
def test_wrong_usage(arguments: list[str], message: str) -> None:
    result = bench(*arguments, key=None)
    fails(result, message, 2)
    assert "swordfish" not in result.stderr


def test_interrupted(bots: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with started("bench", f"{bots}:bot", f"tell {pipe}") as process:
        # Opened for writing, too: a bench that fails before its bot opens the pipe must not block this.
        with os.fdopen(os.open(pipe, os.O_RDWR), "rb", buffering=0) as told:
            assert select.select([told], [], [], SECONDS)[0], "the bot was not queried"
            server = int(told.read(20))
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=SECONDS)
    assert (process.returncode, errors.split()) == (130, ["Aborted!"])
    with pytest.raises(ProcessLookupError):
        os.kill(server, 0)


def test_help() -> None:
    result = bench("--help")
    assert result.exit_code == 0
    assert "Each request is a real one" in result.stdout
