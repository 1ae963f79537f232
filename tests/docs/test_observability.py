"""The examples of metrics and logs, the dashboard and the page on observability."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from poeproto import Bot, BotError, Context, QueryRequest
from poeproto_asgi import BotApp
from poeproto_h11 import BlockingClient, Client
from poeproto_otel import METRICS, Instrument, instrument

from ..support.canary import assert_hidden
from ..support.command import SECONDS, serving
from ..support.example_stage import load_example
from ..support.hypercorn_servers import serving as serving_app
from ..support.reserved_port import reserved_port
from ..support.telemetry import Telemetry

# --- the dashboard

# The characters that may follow the name of a metric in a query.
SUFFIXES = {Instrument.HISTOGRAM: ("_bucket", "_count", "_sum"), Instrument.COUNTER: ("",)}
NAME = re.compile(r"\b(?:http|gen_ai|poe)_[a-z_]+\b(?=[{\[)\s]|$)")
LABELS = re.compile(r"by \(([^)]*)\)|\{([^}]*)\}")


def known_names() -> set[str]:
    return {metric.prometheus_name + suffix for metric in METRICS for suffix in SUFFIXES.get(metric.instrument, ("",))}


KNOWN_LABELS = {"le"} | {name.replace(".", "_") for metric in METRICS for name in metric.attributes}


def metrics_in(expression: str) -> set[str]:
    """The metrics of a query of Prometheus, whose labels exist."""
    names = set(NAME.findall(LABELS.sub(" ", expression)))
    assert names, expression
    assert names <= known_names(), expression
    for by, where in LABELS.findall(expression):
        used = [name.strip() for name in by.split(",")] if by else re.findall(r"(\w+)\s*[!=]", where)
        assert set(used) <= KNOWN_LABELS, expression
    return names


def test_each_query_of_the_dashboard_names_a_metric_and_labels_that_exist(checkout: Path) -> None:
    dashboard = json.loads((checkout / "docs" / "grafana_dashboard.json").read_text(encoding="utf-8"))
    seen: set[str] = set()
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            seen |= metrics_in(target["expr"])
            assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= KNOWN_LABELS
    # Each metric has a panel.
    shown = {metric.name for metric in METRICS if any(name.startswith(metric.prometheus_name) for name in seen)}
    assert shown == {metric.name for metric in METRICS}


def test_the_panels_do_not_overlap(checkout: Path) -> None:
    dashboard = json.loads((checkout / "docs" / "grafana_dashboard.json").read_text(encoding="utf-8"))
    cells = [
        (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
        for panel in dashboard["panels"]
        for x in range(panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


# --- Prometheus


def samples_of(text: str) -> dict[str, float]:
    """The samples of a scrape by name and labels."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def scrape(port: int) -> dict[str, float]:
    end = time.monotonic() + SECONDS
    while True:
        connection = HTTPConnection("127.0.0.1", port, timeout=SECONDS)
        try:
            connection.request("GET", "/metrics")
            return samples_of(connection.getresponse().read().decode())
        except ConnectionRefusedError:
            assert time.monotonic() < end, "the metrics are not served"
            time.sleep(0.02)
        finally:
            connection.close()


def test_the_scrape_of_two_workers_shows_their_sums(checkout: Path, tmp_path: Path) -> None:
    example = checkout / "docs" / "examples" / "prometheus_metrics.py"
    environment = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    with reserved_port() as port, serving(f"{example}:app", "--workers", "2", env=environment) as server:
        environment["METRICS_PORT"] = str(port)

        def ask() -> None:
            for _ in range(10):
                with BlockingClient() as client:  # a new connection, and so perhaps another worker
                    assert client.query(server.address, "hello").text() == "hello"

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({name.rpartition("_")[2] for name in os.listdir(tmp_path)}) >= 2, "one worker answered all"
        metrics = subprocess.Popen([sys.executable, str(example)], env={**os.environ, **environment})
        try:
            found = scrape(port)
            end = time.monotonic() + SECONDS
            while found['poe_server_events_total{http_route="/"}'] < 40:  # the last ends after its response
                assert time.monotonic() < end
                found = scrape(port)
        finally:
            metrics.kill()
            metrics.wait()
    labels = 'error_type="",http_response_status_code="200",http_route="/",poe_request_type="query"'
    assert found['poe_server_events_total{http_route="/"}'] == 40
    assert found[f"http_server_request_duration_seconds_count{{{labels}}}"] == 40
    assert found['poe_server_time_to_first_event_seconds_count{http_route="/"}'] == 40
    assert found["poe_server_active_replies"] == 0
    names = {re.sub(r"\{.*", "", name) for name in found}
    assert {name for name in names if not name.endswith("_created")} <= known_names()


# --- logs


class FailingBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield "hello"
        raise RuntimeError("the database is away")


@pytest.mark.anyio
async def test_each_line_of_the_log_is_json_with_its_request_and_its_trace(telemetry: Telemetry) -> None:
    example: Any = load_example("json_logging")
    output = io.StringIO()
    handler = logging.StreamHandler(output)
    handler.setFormatter(example.JsonFormatter())
    loggers = [logging.getLogger(name) for name in ("poeproto", "example.bot")]
    before = [each.level for each in loggers]
    failing = BotApp(FailingBot(), allow_without_key=True, on_start=example.on_start, on_end=example.on_end)
    try:
        for each in loggers:
            each.addHandler(handler)
            each.setLevel(logging.INFO)
        instrument(failing, **telemetry.providers)
        async with serving_app(example.app) as url, serving_app(failing) as failing_url, Client() as client:
            assert await client.query(url, "a secret of mine").text() == "a secret of mine"
            with pytest.raises(BotError):
                await client.query(failing_url, "a secret of mine").text()
            await telemetry.until_ended(1)
    finally:
        for each, level in zip(loggers, before, strict=True):
            each.removeHandler(handler)
            each.setLevel(level)
    lines = [json.loads(line) for line in output.getvalue().splitlines()]
    lines = [line for line in lines if line["request"] is not None]
    assert [line["message"].partition(" (")[0] for line in lines] == [
        "answering a conversation",
        "request ended",
        "FailingBot: the bot failed",
        "request ended",
    ]
    answering, ended, failed, failed_end = lines
    assert answering["request"] == ended["request"] != failed["request"] == failed_end["request"]
    assert (ended["type"], ended["status"], ended["outcome"], ended["events"]) == ("query", 200, "complete", 1)
    assert failed_end["outcome"] == "error_event"
    assert failed["level"] == "ERROR"
    assert "RuntimeError: the database is away" in failed["exception"]
    assert failed["request"] in failed["message"]  # the id that the user is shown
    context = telemetry.span.get_span_context()
    assert context is not None
    assert failed["trace_id"] == f"{context.trace_id:032x}"
    assert failed["span_id"] == f"{context.span_id:016x}"
    assert "trace_id" not in answering
    assert "secret" not in output.getvalue()
    assert_hidden(output.getvalue())


@pytest.fixture
def telemetry() -> Any:
    telemetry = Telemetry()
    yield telemetry
    telemetry.shutdown()


# --- the page


@pytest.fixture(scope="module")
def page(checkout: Path) -> str:
    return (checkout / "docs" / "howto" / "observe.md").read_text(encoding="utf-8")


def test_the_programs_of_the_page_run(page: str) -> None:
    programs = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert len(programs) == 2
    for program in programs:
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def test_each_expression_of_the_page_names_a_metric_and_labels_that_exist(page: str) -> None:
    expressions = re.findall(r"^\| .*\? .*\| `(.*)` \|$", page, re.MULTILINE)
    assert len(expressions) >= 4
    for expression in expressions:
        metrics_in(expression)
