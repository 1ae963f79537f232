"""`poeproto bench`: latency and throughput of a bot."""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator
from contextlib import closing, contextmanager, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import IO

import attrs
import click

from poeproto import BotError, Error, Message, PoeprotoError, QueryRequest
from poeproto_cli.failures import client_failures
from poeproto_cli.load import Load, LoadConnection, Received
from poeproto_cli.load_query import Query, events_of, write_query
from poeproto_cli.options import access_key_option, checked_endpoint, json_option, worker_class_option
from poeproto_cli.terminal import echo
from poeproto_cli.urls import refuse_address

# How long a server that was started here may take to exit before it is killed.
_EXIT_SECONDS = 10
# Its log is shown up to so many lines, and up to the second error: other replies fail in the same way.
_LOG_LINES = 100
_ERROR = re.compile(r"[\d-]+ [\d:,]+ ERROR ")


@attrs.frozen
class Latency:
    """The latency of many replies, in seconds: the median and the 90th percentile."""

    median: float
    p90: float


@attrs.frozen
class Measurement:
    """One measurement.

    Attributes:
        connections: how many were used at once.
        replies: how many replies were received.
        events: the sum of their events, without `done`.
        bytes: the sum of their sizes, with the framing of HTTP.
        seconds: from the first request to the end of the last reply.
        first_event: from a request to the first event of its reply.
        reply: from a request to the end of its reply.
    """

    connections: int
    replies: int
    events: int
    bytes: int
    seconds: float
    first_event: Latency
    reply: Latency

    @property
    def events_per_second(self) -> float:
        return self.events / self.seconds

    @property
    def replies_per_second(self) -> float:
        return self.replies / self.seconds


@click.command()
@click.argument("target")
@click.argument("text", default="hello")
@click.option(
    "--connections",
    type=click.IntRange(min=1),
    multiple=True,
    default=(1, 32),
    show_default=True,
    help="Number of concurrent connections. May be repeated: each number is measured.",
)
@click.option(
    "--replies",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="Number of replies in each measurement.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long the bot may send nothing.",
)
@worker_class_option
@access_key_option
@click.option(
    "--endpoint",
    callback=checked_endpoint,
    metavar="URL",
    help="Send the calls of a TARGET's bot to this URL: a simulator, or https://api.poe.com. Refused by default.",
)
@json_option
def bench(
    target: str,
    text: str,
    connections: tuple[int, ...],
    replies: int,
    timeout: float,
    worker_class: str,
    access_key: str | None,
    endpoint: str | None,
    as_json: bool,
) -> None:
    """Measure the latency and throughput of a bot.

    TARGET is the URL of a bot server, or a TARGET as for serve: that bot is served for the measurement, with the given
    worker class. TEXT is sent in every query. The connections are direct: a proxy would be measured with the bot.

    Each request is a real one: the bot may be charged. So a bot that is served for the measurement cannot call Poe or
    other bots, except with --endpoint, and its settings are not pushed. A reply that fails or is incomplete ends the
    measurement. If the bot was served here, its log is shown then.
    """
    if "://" in target:
        if endpoint is not None:
            raise click.UsageError("--endpoint is for a TARGET; the server at a URL decides where its bots call Poe")
        server = nullcontext(target)
    else:
        refuse_address(target)
        server = _server(target, worker_class, access_key, endpoint)
    with client_failures(), server as url:
        query = write_query(url, QueryRequest([Message("user", text)]), access_key)
        with closing(LoadConnection(query, timeout)) as connection:
            _count_events([connection.exchange()], access_key)  # warm-up: the first reply may wait for imports
        for number in connections:
            measurement = _measure(query, number, replies, timeout, access_key)
            click.echo(json.dumps(_as_json(measurement)) if as_json else _as_text(measurement))


def _measure(query: Query, connections: int, replies: int, timeout: float, access_key: str | None) -> Measurement:
    with closing(Load(query, min(connections, replies), timeout)) as load:
        start = time.perf_counter()
        received = load.replies(replies)
        seconds = time.perf_counter() - start
    return Measurement(
        connections,
        replies,
        _count_events(received, access_key),
        sum(len(reply.response) for reply in received),
        seconds,
        _latency([reply.first for reply in received]),
        _latency([reply.whole for reply in received]),
    )


def _count_events(received: list[Received], access_key: str | None) -> int:
    """The number of events in replies, without `done`. Raises for a reply that failed or is incomplete."""
    count = 0
    for reply in received:
        events = events_of(reply.response, access_key)
        if isinstance(events[-1], Error):
            raise BotError(events[-1])
        count += len(events) - 1
    return count


def _latency(seconds: list[float]) -> Latency:
    if len(seconds) == 1:
        return Latency(seconds[0], seconds[0])
    return Latency(statistics.median(seconds), statistics.quantiles(seconds, n=10, method="inclusive")[-1])


def _as_json(measurement: Measurement) -> dict[str, object]:
    return {
        **attrs.asdict(measurement),
        "events_per_second": measurement.events_per_second,
        "replies_per_second": measurement.replies_per_second,
    }


def _as_text(measurement: Measurement) -> str:
    connections = "1 connection" if measurement.connections == 1 else f"{measurement.connections} connections"
    replies = "1 reply" if measurement.replies == 1 else f"{measurement.replies} replies"
    return (
        f"{connections}, {replies}: {measurement.events / measurement.replies:,.0f} events and"
        f" {measurement.bytes / measurement.replies / 1e3:,.1f} kB a reply\n"
        f"  {measurement.events_per_second:,.0f} events and {measurement.replies_per_second:,.1f} replies a second\n"
        f"  time to the first event: {_milliseconds(measurement.first_event)}\n"
        f"  time to the end of the reply: {_milliseconds(measurement.reply)}"
    )


def _milliseconds(latency: Latency) -> str:
    return f"median {latency.median * 1e3:,.2f} ms, 90th percentile {latency.p90 * 1e3:,.2f} ms"


class _Refusal(BaseHTTPRequestHandler):
    """Refuses the calls of a bot that is measured, and says why."""

    def do_POST(self) -> None:
        why = "poeproto bench lets a bot call others only with --endpoint, the URL of a simulator or of Poe"
        body = json.dumps({"error": why}).encode()
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.send_response(403)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass  # the bot's log has the refusal


@contextmanager
def _refusing_endpoint() -> Generator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Refusal) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def _server(target: str, worker_class: str, access_key: str | None, endpoint: str | None) -> Generator[str]:
    """Serve a target in a process of its own, so that server and load do not share a core; yields the URL."""
    with _refusing_endpoint() if endpoint is None else nullcontext(endpoint) as url:
        command = [sys.executable, "-m", "poeproto_cli.bench_server", target]
        command += ["--worker-class", worker_class, "--endpoint", url]
        environment = dict(os.environ)
        environment.pop("POE_ACCESS_KEY", None)
        if access_key is not None:
            environment["POE_ACCESS_KEY"] = access_key  # no list of processes shows the environment
        with _process(command, environment) as address:
            yield address


@contextmanager
def _process(command: list[str], environment: dict[str, str]) -> Generator[str]:
    """Run a server; yields the URL that it prints. Its log is shown if the block or the server fails."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env=environment, text=True
        )
        try:
            with _terminating(process):
                assert process.stdout is not None
                address = process.stdout.readline().strip()
                if address:
                    yield address
        except PoeprotoError:
            _show_log(_lines_of(log))
            raise
        if not address:
            *before, message = _lines_of(log) or ["the server did not start"]
            message = message.removeprefix("Error: ")
            if process.returncode == click.UsageError.exit_code:
                raise click.UsageError(message)  # without the usage of `serve` before it
            _show_log(before)
            raise click.ClickException(message)


@contextmanager
def _terminating(process: subprocess.Popen[str]) -> Generator[None]:
    """Terminate the process after the block, and kill it if it does not exit."""
    with process:
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(_EXIT_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _lines_of(log: IO[bytes]) -> list[str]:
    log.seek(0)
    return log.read().decode(errors="replace").splitlines()


def _show_log(log: list[str]) -> None:
    """Show the server's log, for the author of the bot."""
    errors = [number for number, line in enumerate(log) if _ERROR.match(line)]
    shown = log[: min([_LOG_LINES, *errors[1:2]])]
    for line in shown:
        echo(line, err=True)
    if len(log) > len(shown):
        click.echo(f"(and {len(log) - len(shown)} more lines)", err=True)


__all__ = ["bench"]
