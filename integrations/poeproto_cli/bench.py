"""`poeproto bench`: latency and throughput of a bot."""

from __future__ import annotations

import json
import statistics
import time
from contextlib import closing

import attrs
import click

from poeproto import BotError, Error, Message, QueryRequest
from poeproto_cli.failures import client_failures
from poeproto_cli.load import Load, LoadConnection, Received
from poeproto_cli.load_query import Query, events_of, write_query
from poeproto_cli.options import access_key_option, checked_endpoint, json_option, worker_class_option
from poeproto_cli.target_process import server_of


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
    server = server_of(target, "poeproto bench", worker_class, access_key, endpoint)
    with client_failures(), server as served:
        query = write_query(served.url, QueryRequest([Message("user", text)]), access_key)
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


__all__ = ["bench"]
