"""`poeproto bench`: open and closed models, SLOs, outcomes, sweeps, exports and merging."""

from __future__ import annotations

import csv
import json
import os
import pty
import re
import select
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from poeproto import Message, PoeExchange, QueryRequest
from poeproto_load import Histogram
from poeproto_record import RecordingWriter

from ...support.bench import bench
from ...support.bots import KEY
from ...support.command import COMMAND, SECONDS, started

pytestmark = pytest.mark.slow

# Each query describes its reply; equal queries are numbered, so that some of their replies differ.
BOTS = """
import itertools
import time
from collections import defaultdict
from pathlib import Path

import anyio
from poeproto import Bot, Error

class Wishes(Bot):
    def __init__(self):
        self._numbers = defaultdict(itertools.count)

    async def get_response(self, request, context):
        wish = request.query[-1].content
        number = next(self._numbers[wish])
        if wish == "stall once" and number == 20:
            time.sleep(0.4)  # the whole server
        if wish == "every fourth is late" and number % 4 == 0:
            await anyio.sleep(0.5)
        if wish == "every fifth fails" and number % 5 == 3:
            yield Error(text="no luck")
            return
        yield wish
        if wish == "pause":
            await anyio.sleep(0.5)
            yield "again"
        if wish == "slow":
            await anyio.sleep(0.02)
            yield "again"
        if wish.startswith("tell ") and number == 5:
            Path(wish.removeprefix("tell ")).write_text("five")
        if wish == "long":
            for _ in range(50):
                yield "word "

bot = Wishes()
"""


def lines(result: Result, exit_code: int = 0) -> list[dict[str, Any]]:
    assert result.exit_code == exit_code, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_stall_shows_in_the_open_model_and_not_in_the_closed_one(bots: Path) -> None:
    """The closed model asks nobody while the bot stalls: coordinated omission."""
    target, wish = f"{bots}:bot", "stall once"
    closed = lines(bench(target, wish, "--connections", "1", "--replies", "200", "--json"))[0]
    opened = lines(bench(target, wish, "--rate", "100", "--replies", "100", "--json"))[0]
    assert closed["total"]["max"] > 0.35
    assert closed["total"]["p99"] < 0.3, "1 of 200 replies"
    assert opened["total"]["p99"] > 0.3, "about 40 of 100 were to start within the stall"
    assert opened["total"]["p90"] > 0.2
    assert opened["histograms"]["total"]["count"] == opened["outcomes"]["complete"] == 100


def test_goodput_is_the_computed_share(address: str) -> None:
    options = ["--connections", "4", "--replies", "40", "--json"]
    missed = bench(address, "every fourth is late", *options, "--slo", "first_event:250ms,goodput:80%")
    assert lines(missed, 1)[0]["goodput"] == 0.75
    assert lines(missed, 1)[0]["good"] == 30
    assert missed.stderr.endswith(
        "Error: the SLO is missed: 30 of 40 replies (75.00%) meet first_event:250ms,goodput:80%\n"
    )
    again = bench(address, "every fourth is late", *options, "--slo", "first_event:250ms,goodput:75%")
    assert lines(again)[0]["good"] == 30


def test_a_gap_counts_for_goodput(address: str) -> None:
    options = ["--connections", "4", "--replies", "4"]
    result = bench(address, "pause", *options, "--slo", "first_event:5s,gap:200ms")
    assert result.exit_code == 1
    assert "goodput: 0 of 4 replies (0.00%) meet first_event:5s,gap:200ms,goodput:99%: missed" in result.stdout
    assert bench(address, "pause", *options, "--slo", "gap:10s").exit_code == 0


def test_outcomes_are_counted_apart(address: str) -> None:
    result = bench(address, "every fifth fails", "--connections", "1", "--replies", "50", "--json")
    measured = lines(result, 1)[0]
    assert measured["outcomes"] == {
        **dict.fromkeys(measured["outcomes"], 0),
        "complete": 40,
        "error_event": 10,
    }
    assert measured["histograms"]["total"]["count"] == 40, "the times are those of complete replies"
    assert measured["problems"] == {"error_event": "the bot reported an error: no luck"}
    assert result.stderr == "Error: 10 of 50 replies failed: the bot reported an error: no luck\n"
    good_enough = bench(address, "every fifth fails", "--replies", "50", "--slo", "total:20s,goodput:70%")
    assert good_enough.exit_code == 0, "an SLO says how many may fail"


def test_cancelled_replies_are_counted_apart(address: str) -> None:
    for wish in ("long", "slow", "short"):
        measured = lines(bench(address, wish, "--cancel", "50%", "--connections", "3", "--replies", "60", "--json"))[0]
        outcomes = measured["outcomes"]
        assert outcomes["complete"] + outcomes["disconnected"] == measured["replies"] == 60
        assert 15 <= outcomes["disconnected"] <= 45
    all_cancelled = lines(bench(address, "--cancel", "100%", "--connections", "1", "--replies", "5", "--json"))[0]
    assert all_cancelled["outcomes"]["disconnected"] == 5
    assert all_cancelled["total"] is None
    same = [lines(bench(address, "--cancel", "20%", "--seed", "3", "--replies", "30", "--json"))[0] for _ in range(2)]
    assert same[0]["outcomes"] == same[1]["outcomes"]


def test_a_duration_and_a_warm_up(address: str) -> None:
    options = ["--connections", "2", "--duration", "300ms", "--warm-up", "200ms", "--json"]
    measured = lines(bench(address, "slow", *options))[0]
    assert 0.25 < measured["seconds"] < 20
    assert 2 <= measured["replies"] <= 2 * 16, "2 connections, 20 ms a reply, 300 ms"


@pytest.mark.parametrize("arrivals", ["constant", "poisson"])
def test_an_open_model_begins_as_many_replies_as_planned(address: str, arrivals: str) -> None:
    options = ["--rate", "200", "--arrivals", arrivals, "--warm-up", "100ms", "--json"]
    measured = lines(bench(address, *options, "--replies", "50"))[0]
    assert (measured["replies"], measured["rate"], measured["arrivals"]) == (50, 200, arrivals)
    if arrivals == "constant":
        assert lines(bench(address, *options, "--duration", "500ms"))[0]["replies"] == 100


def test_an_open_model_at_its_limit_of_connections(address: str) -> None:
    result = bench(address, "pause", "--rate", "100", "--replies", "6", "--connections", "2", "--json")
    measured = lines(result)[0]
    assert measured["generator"]["waited"] == 4
    assert measured["total"]["max"] > 1.3, "two of them wait for two others, and all count from their planned start"
    assert "since all 2 connections were in use" in measured["warnings"][0]


def test_a_sweep_stops_and_says_why(address: str) -> None:
    # Many more connections than the bot can use.
    measured = lines(bench(address, "long", "--concurrency", "1..256", "--duration", "250ms", "--json"))
    assert [each["connections"] for each in measured] == [2**number for number in range(len(measured))]
    assert all(each["stopped"] is None for each in measured[:-1])
    assert measured[-1]["stopped"]
    failing = lines(bench(address, "every fifth fails", "--concurrency", "1,2", "--replies", "20", "--json"), 1)
    assert failing[-1]["stopped"] == "4 of 20 replies failed"


def test_a_sweep_stops_at_its_end(address: str) -> None:
    result = bench(address, "slow", "--concurrency", "1..2", "--replies", "20")
    assert result.exit_code == 0
    last = "the sweep ends here: this was the last number of connections, and the bot is not saturated"
    assert result.stdout.count("the sweep ends here") == 1
    assert last in result.stdout.splitlines()[-1]


def test_a_sweep_stops_when_the_slo_is_missed(address: str) -> None:
    measured = lines(
        bench(address, "slow", "--concurrency", "1,2", "--replies", "4", "--slo", "total:1us", "--json"), 1
    )
    assert len(measured) == 1
    assert measured[0]["stopped"].startswith("the SLO is missed: 0 of 4 replies")


def test_a_sweep_stops_when_no_reply_is_complete(address: str) -> None:
    options = ("--concurrency", "1,2", "--replies", "4", "--cancel", "100%", "--json")
    measured = lines(bench(address, "slow", *options))
    assert [each["stopped"] for each in measured] == ["no reply was complete, so that throughput cannot be compared"]


def recording_of(file: Path, *bodies: bytes) -> Path:
    with file.open("wb") as stream:
        writer = RecordingWriter(stream)
        for body in bodies:
            writer.request("POST", "https://bot.example/", [("content-type", "application/json")], body)
    return file


def query_body(text: str) -> bytes:
    request = PoeExchange(None).send(QueryRequest([Message("user", text)]), "https://bot.example/")
    assert isinstance(request.body, bytes)
    return request.body


def test_queries_of_a_recording(address: str, tmp_path: Path) -> None:
    settings = b'{"version":"1.2","type":"settings"}'
    file = recording_of(tmp_path / "r.jsonl", query_body("one"), settings, b"no JSON", query_body("two" * 20))
    exported = tmp_path / "replies.jsonl"
    options = ["--from", str(file), "--connections", "1", "--replies", "6", "--export", str(exported)]
    assert bench(address, *options).exit_code == 0
    sizes = [json.loads(line)["bytes"] for line in exported.read_text().splitlines()]
    short, long = sorted(set(sizes))
    assert sizes in ([short, long] * 3, [long, short] * 3), "the two queries in turn, and nothing else"


def test_a_recording_without_a_query(address: str, tmp_path: Path) -> None:
    result = bench(address, "--from", str(recording_of(tmp_path / "r.jsonl", b"{}")))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "r.jsonl has no query of which all bytes are recorded" in result.stderr
    (tmp_path / "text.jsonl").write_text("no recording")
    assert bench(address, "--from", str(tmp_path / "text.jsonl")).exit_code == 1


def test_exports(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exports = [f"--export={name}" for name in ("all.jsonl", "all.csv", "html")]
    options = ["--connections", "1", "--connections", "2", "--replies", "10", "--json"]
    measured = lines(bench(address, "every fifth fails", *options, *exports), 1)
    rows = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert [row["connections"] for row in rows] == [1] * 10 + [2] * 10
    for row in rows:
        assert 0 <= row["planned"] <= row["started"] <= measured[0]["seconds"] + measured[1]["seconds"]
        assert (row["first_event"] is None) == (row["outcome"] == "error_event") or row["first_event"] <= row["total"]
    with (tmp_path / "all.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [float(row["total"]) for row in table] == [row["total"] for row in rows]
    page = (tmp_path / "bench.html").read_text()
    assert page.count("<h2>") == 2
    assert "First error event: the bot reported an error: no luck" in page
    assert not re.search(r"<script|src=|@import|url\(|href=", page), "the page needs nothing else"
    assert "default-src 'none'" in page
    assert KEY not in page


def test_an_export_that_cannot_be_written(address: str) -> None:
    result = bench(address, "--replies", "1", "--export", "/proc/bench.csv")
    assert result.exit_code == 1
    assert "/proc/bench.csv cannot be written" in result.stderr


def test_start_at(address: str) -> None:
    start_at = time.time() + 3
    measured = lines(bench(address, "--rate", "100", "--replies", "3", "--start-at", f"{start_at}", "--json"))[0]
    assert start_at <= measured["started_at"] < start_at + 2


def test_a_start_that_passes_before_the_first_reply(address: str) -> None:
    result = bench(address, "pause", "--connections", "1", "--start-at", f"{time.time() + 0.3}")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "give a later time to all processes" in result.stderr


def overlapping(measured: dict[str, Any]) -> dict[str, Any]:
    """The same measurement by another process, half a second later, and with other times."""
    other = json.loads(json.dumps(measured))
    times = Histogram()
    for number in range(measured["replies"]):
        times.record(7 + number)
    other["histograms"]["total"] = times.as_json()
    other["started_at"] += measured["seconds"] / 4
    return other


def test_merging_measurements_of_the_same_time(address: str, tmp_path: Path) -> None:
    measured = lines(bench(address, "slow", "--rate", "100", "--replies", "20", "--slo", "total:6s", "--json"))[0]
    files = [tmp_path / "one.json", tmp_path / "other.json"]
    parts = [measured, overlapping(measured)]
    for file, part in zip(files, parts, strict=True):
        file.write_text(json.dumps(part))
    merged = lines(bench("merge", *map(str, files), "--json"))[0]
    assert (merged["processes"], merged["replies"], merged["rate"], merged["good"]) == (2, 40, 200, 40)
    assert merged["seconds"] == pytest.approx(1.25 * measured["seconds"], rel=1e-3)
    assert merged["total"]["max"] == 26
    assert merged["total"]["p90"] == pytest.approx(22, rel=0.004), "the 16th of 20 in the other process: the 36th of 40"
    ceiling = measured["generator"]["ceiling"]["replies_per_second"]
    assert merged["generator"]["ceiling"]["replies_per_second"] == pytest.approx(2 * ceiling)
    text = bench("merge", *map(str, files))
    assert text.stdout.startswith(
        "200 planned starts a second (constant), at most 2,000 connections of 2 processes, 40"
    )
    assert text.stderr == ""


@pytest.mark.slow
def test_processes_that_begin_together(address: str, tmp_path: Path) -> None:
    start_at = time.time() + 8
    options = ["--rate", "50", "--duration", "1s", "--json", "--start-at", f"{start_at:.3f}"]
    environment = {**os.environ, "POE_ACCESS_KEY": KEY}
    with (
        started("bench", address, "slow", *options, env=environment) as one,
        started("bench", address, "slow", *options, env=environment) as other,
    ):
        outputs = [process.communicate(timeout=SECONDS)[0] for process in (one, other)]
    files = [tmp_path / "one.json", tmp_path / "other.json"]
    for file, output in zip(files, outputs, strict=True):
        assert 0 <= json.loads(output)["started_at"] - start_at < 0.4
        file.write_text(output)
    merged = bench("merge", *map(str, files), "--json")
    assert merged.stderr == ""
    assert lines(merged)[0]["replies"] == 100


def test_merging_measurements_of_different_times(address: str, tmp_path: Path) -> None:
    one, other = tmp_path / "one.json", tmp_path / "other.json"
    one.write_text(bench(address, "--connections", "1", "--replies", "5", "--json").stdout)
    other.write_text(bench(address, "--connections", "1", "--replies", "5", "--json").stdout)
    result = bench("merge", str(one), str(other))
    assert result.exit_code == 0
    assert "10 complete" in result.stdout
    assert "ran at the same time as the others for 0% only" in result.stderr


def test_merging_measurements_that_do_not_fit(address: str, tmp_path: Path) -> None:
    files = {
        "one": ["--connections", "1"],
        "two": ["--connections", "1", "--connections", "2"],
        "open": ["--rate", "500"],
        "slo": ["--connections", "1", "--slo", "total:9s"],
    }
    for name, options in files.items():
        (tmp_path / name).write_text(bench(address, *options, "--replies", "3", "--json").stdout)
    (tmp_path / "text").write_text("3 replies")
    (tmp_path / "empty").write_text("")
    (tmp_path / "cut").write_text(json.dumps({"outcomes": {}}))
    for names, status, message in (
        (("one", "two"), 2, "two has 2 measurements, "),
        (("one", "open"), 2, "open and closed models cannot be merged"),
        (("one", "slo"), 2, "results with different SLOs cannot be merged: None and total:9s"),
        (("text",), 1, "text, line 1 is not a measurement of poeproto bench --json: "),
        (("empty",), 1, "empty has no measurement"),
        (("cut",), 1, "histograms: expected a JSON object, not NoneType"),
        (("absent",), 2, "does not exist"),
        ((), 2, "Usage: poeproto bench merge"),
    ):
        result = bench("merge", *(str(tmp_path / name) for name in names))
        assert (result.exit_code, result.stdout) == (status, "")
        assert message in result.stderr


def test_sigint_prints_the_measurement_so_far(bots: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    exported = tmp_path / "replies.csv"
    options = ["--rate", "20", "--duration", "60s", "--export", str(exported)]
    with started("bench", f"{bots}:bot", f"tell {pipe}", *options) as process:
        # Opened for writing, too: a bench that fails before its bot opens the pipe must not block this.
        with os.fdopen(os.open(pipe, os.O_RDWR), "rb", buffering=0) as told:
            assert select.select([told], [], [], SECONDS)[0], "the bot was not queried"
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=SECONDS)
    assert (process.returncode, errors) == (130, "Aborted!\n"), "no progress in a pipe"
    assert output.startswith("20 planned starts a second (constant)")
    assert re.search(r"\n  [1-9]\d* complete\n", output)
    assert output.endswith("  interrupted: these replies had ended by then\n")
    assert len(exported.read_text().splitlines()) > 1


def test_progress_in_a_terminal(address: str) -> None:
    terminal, end = pty.openpty()
    environment = {**os.environ, "POE_ACCESS_KEY": KEY, "TERM": "xterm"}
    command = [*COMMAND, "bench", address, "slow", "--connections", "1", "--duration", "700ms"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=end, env=environment) as process:
        try:
            output, _ = process.communicate(timeout=SECONDS)
            shown = os.read(terminal, 100_000).decode()
        finally:
            process.kill()
            os.close(end)
            os.close(terminal)
    assert process.returncode == 0, shown
    assert re.search(r"1 connection: 0 s of 0.7 s, \d+ replies, p50 [\d.]+ ms, p99 [\d.]+ ms", shown)
    assert shown.endswith("\r\x1b[K"), "the line is removed"
    assert output.startswith(b"1 connection, ")


def test_help() -> None:
    assert "`poeproto bench merge FILES`" in bench("--help").stdout
    assert bench("merge", "--help").stdout.startswith("Usage: poeproto bench merge [OPTIONS] FILES...")
