"""Locust with our user: masters and workers on one machine, as processes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from poeproto_load import LoadResult, ReplyOutcome

from ..support.command import COMMAND
from ..support.load_peer import EVENTS, load_peer
from ..support.locust_process import run_locust

pytestmark = pytest.mark.slow

ONE_QUERY = Path(__file__).parent / "locust_programs" / "one_query.py"
USERS = 20
# The last of each twenty queries fail in these ways: four of five are complete, however many a machine has time for.
FAILURES = ["error_event", "refused", "incomplete", "disconnected"]


def one_in_twenty_of_each(number: int, query: dict[str, Any]) -> str:
    return (["complete"] * 16 + FAILURES)[number % 20]


def test_two_workers_count_as_the_server_does(tmp_path: Path) -> None:
    with load_peer(one_in_twenty_of_each, pause=0.01) as peer:
        run = run_locust(
            ONE_QUERY,
            peer.url,
            tmp_path,
            *("--users", f"{USERS}", "--spawn-rate", f"{USERS}", "--run-time", "2s", "--stop-timeout", "30"),
            *("--poe-slo", "total:30s,goodput:75%"),
            workers=2,
        )
    assert run.status == 0, run.log  # the SLO is reached, although replies have failed
    queries = peer.counts.total()
    assert queries >= USERS  # each has sent one
    assert run.result["outcomes"] == {
        "complete": peer.counts["complete"],
        "incomplete": peer.counts["incomplete"] + peer.counts["disconnected"],
        "refused": peer.counts["refused"],
        "error_event": peer.counts["error_event"],
        **dict.fromkeys(("disconnected", "timed_out", "not_connected", "invalid"), 0),
    }
    assert run.result["failures"] == {
        "disconnected": peer.counts["disconnected"],
        "error_event user_message_too_long": peer.counts["error_event"],
        "incomplete": peer.counts["incomplete"],
        "refused 503": peer.counts["refused"],
    }
    for kind in FAILURES:
        assert peer.counts[kind] == Counter(one_in_twenty_of_each(number, {}) for number in range(queries))[kind] > 0
    assert run.result["cut"] == 0
    assert len(run.result["workers"]) == 2
    # Locust's own statistics agree.
    assert run.statistics["query"]["num_requests"] == queries
    assert run.statistics["query"]["num_failures"] == queries - peer.counts["complete"]
    assert run.statistics["first_event"]["num_requests"] == queries - peer.counts["refused"]
    merged = subprocess.run(
        [*COMMAND, "bench", "merge", "--json", *[str(tmp_path / "result.json")] * 2],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert merged.returncode == 0, merged.stderr
    twice = json.loads(merged.stdout)
    assert (twice["replies"], twice["connections"], twice["processes"]) == (2 * queries, 2 * USERS, 4)
    result = LoadResult.from_json(run.result)
    assert result.outcomes[ReplyOutcome.COMPLETE] == result.total.count == peer.counts["complete"]
    # Events of one read have no gap between them.
    assert 0 < result.gap.count <= peer.counts["complete"] * EVENTS
    assert "SLO total:30s,goodput:75%: reached" in run.log
    assert "error_event user_message_too_long: " in run.log


def test_the_example(tmp_path: Path) -> None:
    example = Path(__file__).parents[2] / "docs" / "examples" / "locustfile.py"
    with load_peer() as peer:
        options = ("--users", "5", "--spawn-rate", "5", "--run-time", "3s", "--stop-timeout", "10")
        run = run_locust(example, peer.url, tmp_path, *options, "--poe-slo", "first_event:30s,gap:30s")
    assert run.status == 0, run.log
    assert run.result["outcomes"]["complete"] == peer.counts["complete"] == peer.counts.total() >= 5
    assert run.statistics.keys() & {"query", "turn", "with a file"}


def test_replies_that_the_end_of_the_run_cuts_are_counted_apart(tmp_path: Path) -> None:
    with load_peer(pause=30) as peer:
        run = run_locust(
            ONE_QUERY,
            peer.url,
            tmp_path,
            *("--users", "5", "--spawn-rate", "5", "--run-time", "2s", "--poe-slo", "total:1s"),
        )
    assert run.status == 1  # no reply at all is not a success
    assert len(peer.requests) == 5
    assert run.result["cut"] == run.result["outcomes"]["disconnected"] == run.result["replies"] == 5
    assert run.statistics.keys() <= {"first_event"}
    assert "cut when Locust stopped their users: 5" in run.log
    assert "NOT reached" in run.log


def test_the_acts_of_the_user() -> None:
    # In a process of its own, whose standard library Locust may change.
    program = Path(__file__).parent / "locust_programs" / "inside_locust.py"
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:anyio", "-p", "no:xdist", "-W", "ignore"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(program)],
        cwd=program.parents[3],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_options_that_the_page_shows() -> None:
    root = Path(__file__).parents[2]
    page = (root / "docs" / "load.md").read_text(encoding="utf-8")
    source = (root / "integrations" / "poeproto_locust" / "options.py").read_text(encoding="utf-8")
    options = re.compile(r"--poe-[a-z-]+")
    assert set(options.findall(page)) == set(options.findall(source))


def test_an_option_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"'200' is not a duration.* did you mean 200s"):
        run_locust(ONE_QUERY, "http://127.0.0.1:9/", tmp_path, "--poe-slo", "total:200")
    with pytest.raises(AssertionError, match="'5' is not a share; expected per cent"):
        run_locust(ONE_QUERY, "http://127.0.0.1:9/", tmp_path, "--poe-cancel", "5")
