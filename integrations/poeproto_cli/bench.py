"""`poeproto bench`: how fast a bot answers, and how much at once."""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import closing, contextmanager, nullcontext
from typing import IO

import attrs
import click

from poeproto import BotError, Error, LocalProtocolError, Message, PoeprotoError, QueryRequest
from poeproto_cli.failures import as_failure
from poeproto_cli.load import Load, LoadConnection, Received
from poeproto_cli.load_query import Query, events_of, write_query
from poeproto_cli.options import access_key_option, worker_class_option
from poeproto_cli.urls import refuse_address

# What a server that was started here may take to end.
_END_SECONDS = 10
# Of its log, so many lines are shown, and one error: the others are the same in other replies.
_LOG_LINES = 100
_ERROR = re.compile(r"[\d-]+ [\d:,]+ ERROR ")


@attrs.frozen
class Duration:
    """What so many replies took, in seconds: the half of them at most `median`, nine of ten at most `ninth_decile`."""

    median: float
    ninth_decile: float


@attrs.frozen
class Measured:
    """One run of a number of replies over a number of connections; `seconds` from first to last, `bytes` of all."""

    connections: int
    replies: int
    events: int
    bytes: int
    seconds: float
    first_event: Duration
    reply: Duration

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
    help="How many at once; given more than once, each number is measured.",
)
@click.option(
    "--replies", type=click.IntRange(min=1), default=100, show_default=True, help="How many for each measurement."
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
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
def bench(
    target: str,
    text: str,
    connections: tuple[int, ...],
    replies: int,
    timeout: float,
    worker_class: str,
    access_key: str | None,
    as_json: bool,
) -> None:
    """Ask a bot for TEXT again and again, and measure its replies.

    TARGET is the URL of a bot server; or a bot as `poeproto serve` takes it, which is served for the time of the
    measurement, with the worker class given. Every reply is asked for in earnest, with all that it costs. A reply that
    fails or is not complete ends the measurement; of a bot that was served here, what it logged is shown then.
    """
    if "://" in target:
        serving = nullcontext(target)
    else:
        refuse_address(target)
        serving = _serving(target, worker_class, access_key)
    try:
        with serving as url:
            query = write_query(url, QueryRequest([Message("user", text)]), access_key)
            with closing(LoadConnection(query, timeout)) as connection:
                _read([connection.exchange()], access_key)  # the first reply may wait for what is loaded once
            for number in connections:
                measured = _measure(query, number, replies, timeout, access_key)
                click.echo(json.dumps(_as_json(measured)) if as_json else _as_text(measured))
    except LocalProtocolError as exc:
        raise click.UsageError(str(exc)) from exc  # the URL cannot be used
    except PoeprotoError as exc:
        raise as_failure(exc) from exc


def _measure(query: Query, connections: int, replies: int, timeout: float, access_key: str | None) -> Measured:
    with closing(Load(query, min(connections, replies), timeout)) as load:
        start = time.perf_counter()
        received = load.replies(replies)
        seconds = time.perf_counter() - start
    return Measured(
        connections,
        replies,
        _read(received, access_key),
        sum(len(reply.response) for reply in received),
        seconds,
        _duration([reply.first for reply in received]),
        _duration([reply.whole for reply in received]),
    )


def _read(received: list[Received], access_key: str | None) -> int:
    """How many events there are in complete replies, `done` not counted."""
    count = 0
    for reply in received:
        events = events_of(reply.response, access_key)
        if isinstance(events[-1], Error):
            raise BotError(events[-1])
        count += len(events) - 1
    return count


def _duration(seconds: list[float]) -> Duration:
    if len(seconds) == 1:
        return Duration(seconds[0], seconds[0])
    return Duration(statistics.median(seconds), statistics.quantiles(seconds, n=10, method="inclusive")[-1])


def _as_json(measured: Measured) -> dict[str, object]:
    return {
        **attrs.asdict(measured),
        "events_per_second": measured.events_per_second,
        "replies_per_second": measured.replies_per_second,
    }


def _as_text(measured: Measured) -> str:
    connections = "1 connection" if measured.connections == 1 else f"{measured.connections} connections"
    replies = "1 reply" if measured.replies == 1 else f"{measured.replies} replies"
    return (
        f"{connections}, {replies}: {measured.events / measured.replies:,.0f} events and"
        f" {measured.bytes / measured.replies / 1e3:,.1f} kB a reply\n"
        f"  {measured.events_per_second:,.0f} events and {measured.replies_per_second:,.1f} replies a second\n"
        f"  {_milliseconds(measured.first_event)} to the first event\n"
        f"  {_milliseconds(measured.reply)} for the whole reply"
    )


def _milliseconds(duration: Duration) -> str:
    return f"{duration.median * 1e3:,.2f} ms (nine of ten within {duration.ninth_decile * 1e3:,.2f} ms)"


@contextmanager
def _serving(target: str, worker_class: str, access_key: str | None) -> Generator[str]:
    """Run `poeproto serve` in a process of its own, so that neither of us waits for the other; the URL."""
    command = [sys.executable, "-m", "poeproto_cli", "serve", target, "--bind", "127.0.0.1:0"]
    command += ["--worker-class", worker_class]
    environment = dict(os.environ)
    if access_key is None:
        command += ["--allow-without-key"]
    else:
        environment["POE_ACCESS_KEY"] = access_key  # where no list of processes shows it
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env=environment, text=True
        )
        try:
            with _ended(process):
                assert process.stdout is not None
                address = process.stdout.readline().rpartition(" ")[2].strip()
                if address:
                    yield address
        except PoeprotoError:
            _show(_lines_of(log))
            raise
        if not address:
            *before, message = _lines_of(log) or ["the server did not start"]
            message = message.removeprefix("Error: ")
            if process.returncode == click.UsageError.exit_code:
                raise click.UsageError(message)  # how `serve` is to be used is of no interest here
            _show(before)
            raise click.ClickException(message)


@contextmanager
def _ended(process: subprocess.Popen[str]) -> Generator[None]:
    """See to it that the process has ended after the block."""
    with process:
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _lines_of(log: IO[bytes]) -> list[str]:
    log.seek(0)
    return log.read().decode(errors="replace").splitlines()


def _show(log: list[str]) -> None:
    """For the bot's author, what its server logged."""
    errors = [number for number, line in enumerate(log) if _ERROR.match(line)]
    shown = log[: min([_LOG_LINES, *errors[1:2]])]
    for line in shown:
        click.echo(line, err=True)
    if len(log) > len(shown):
        click.echo(f"(and {len(log) - len(shown)} more lines)", err=True)


__all__ = ["bench"]
