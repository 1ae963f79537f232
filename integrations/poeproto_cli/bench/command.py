"""The command: its options, and the order of its steps."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import attrs
import click
from click.core import ParameterSource

from poeproto import BotError, ConnectionLost, Error, IncompleteReply, RequestRefused
from poeproto_cli.bench.ceiling import canned_replies, measure_ceiling
from poeproto_cli.bench.export import export
from poeproto_cli.bench.generator import LoadGenerator
from poeproto_cli.bench.measurement import Measurement
from poeproto_cli.bench.merge import merge
from poeproto_cli.bench.option_values import (
    ExportFile,
    checked_concurrency,
    checked_duration,
    checked_exports,
    checked_share,
    checked_slo,
    checked_start,
)
from poeproto_cli.bench.plan import Plan
from poeproto_cli.bench.progress import ProgressLine
from poeproto_cli.bench.queries import recorded_queries, text_query
from poeproto_cli.bench.sweep import sweep
from poeproto_cli.bench.text import as_text, counted, goodput
from poeproto_cli.failures import client_failures, exit_on_interrupt
from poeproto_cli.load import LoadConnection, LoadResponse
from poeproto_cli.load_query import Query, events_of
from poeproto_cli.options import access_key_option, checked_endpoint, json_option, worker_class_option
from poeproto_cli.target_process import ServedTarget, server_of
from poeproto_cli.terminal import echo
from poeproto_h11 import Origin
from poeproto_load import SLO, Arrivals

_CONNECTIONS = (1, 32)
_MOST_CONNECTIONS = 1000  # an open model has no fixed number of connections
_REPLIES = 100
_SWEEP_SECONDS = 2.0
_INTERRUPTED = 130
# How often a first reply that fails is asked for: a bot may fail now and then, and is measured nonetheless.
_FIRST_ATTEMPTS = 3
_SERVER_ERROR = 500
_OTHER_DESCRIPTORS = 50


class BenchCommand(click.Command):
    """A command with subcommands. No target has the name of one: a target is module:attribute, or a URL.

    Attributes:
        commands: the subcommands by name.
    """

    commands: ClassVar[Mapping[str, click.Command]] = {"merge": merge}

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        subcommand = self.commands.get(args[0]) if args else None
        if subcommand is not None:
            return subcommand.make_context(f"{info_name} {args[0]}", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)


@attrs.frozen
class _Options:
    """The options of the command: the load, and the form of the output.

    Attributes:
        plan: the plan, with the connections of the first measurement.
        levels: the numbers of connections to measure with.
        is_sweep: whether to stop when the bot is saturated.
        start_at: when to begin, in Unix time.
        exports: the files to write at the end.
        as_json: whether to print JSON.
        what: what is measured, for people.
    """

    plan: Plan
    levels: tuple[int, ...]
    is_sweep: bool
    start_at: float | None
    exports: tuple[ExportFile, ...]
    as_json: bool
    what: str


@click.command(cls=BenchCommand)
@click.argument("target")
@click.argument("text", default="hello")
@click.option(
    "--connections",
    type=click.IntRange(min=1),
    multiple=True,
    help="Number of concurrent connections. May be repeated: each number is measured.  [default: 1, 32]"
    " With --rate, the most that may be open.  [default: 1000]",
)
@click.option(
    "--concurrency",
    callback=checked_concurrency,
    metavar="FROM..TO",
    help="A sweep: measure with FROM connections, and with twice as many again and again, up to TO. It stops when the"
    " bot is saturated, fails or misses the SLO. Or a list, as 1,4,16.",
)
@click.option("--replies", type=click.IntRange(min=1), help="Number of replies in each measurement.  [default: 100]")
@click.option(
    "--duration",
    callback=checked_duration,
    metavar="TIME",
    help="Begin replies for this time, as 30s, instead of --replies.  [default: 2s in a sweep]",
)
@click.option(
    "--warm-up",
    callback=checked_duration,
    default="0s",
    metavar="TIME",
    help="Run the load for this time before each measurement. A first reply is always awaited.",
)
@click.option(
    "--ramp",
    callback=checked_duration,
    default="0s",
    metavar="TIME",
    help="Start the connections one after another over this time, before --warm-up. By default all start at once, and a"
    " bot whose replies take equally long then gets its queries in waves.",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    metavar="NUMBER",
    help="An open model: begin this number of replies a second, whether others have ended or not. Their times count"
    " from the planned start. By default each connection sends its next query when the reply is complete (a closed"
    " model).",
)
@click.option(
    "--arrivals",
    type=click.Choice([each.value for each in Arrivals]),
    help="How the starts of --rate are spread.  [default: constant]",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of all that is random: the same plan again.")
@click.option(
    "--slo",
    callback=checked_slo,
    metavar="SLO",
    help="What makes a reply a good one, as first_event:200ms,gap:50ms,total:5s, and the share of good replies that is"
    " wanted: goodput:99% by default. The exit code is 1 if it is missed.",
)
@click.option(
    "--cancel",
    callback=checked_share,
    default="0%",
    metavar="SHARE",
    help="Disconnect within this share of the replies, as 5%, after the first event.",
)
@click.option(
    "--from",
    "recording",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="RECORDING",
    help="Send the queries of a recording, in turn, instead of TEXT.",
)
@click.option(
    "--export",
    "exports",
    callback=checked_exports,
    multiple=True,
    metavar="FILE",
    help="Write each reply to a file of this format: .jsonl, .csv or .html (a page with plots). May be repeated.",
)
@click.option(
    "--start-at",
    callback=checked_start,
    metavar="TIME",
    help="Begin at this time, as 2030-01-31T12:00:00Z: several processes begin together. Merge what they print with"
    " `poeproto bench merge`.",
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
@click.pass_context
def bench(ctx: click.Context, /, target: str, worker_class: str, endpoint: str | None, **options: Any) -> None:
    """Measure the latency, throughput and goodput of a bot.

    TARGET is the URL of a bot server, or a TARGET as for serve: that bot is served for the measurement, with the given
    worker class. TEXT is sent in every query. The connections are direct: a proxy would be measured with the bot.

    Each request is a real one: the bot may be charged. So a bot that is served for the measurement cannot call Poe or
    other bots, except with --endpoint, and its settings are not pushed.

    Failed replies are counted separately, and the times are those of complete replies. If the bot was served here, its
    log is shown when a reply failed. SIGINT prints the measurements so far.

    `poeproto bench merge FILES` merges the output that several processes have printed with --json.

    Exit codes: 0, 1 when a reply failed or the SLO is missed (with --slo, only that counts), 2 for wrong usage, 130
    when interrupted.
    """
    access_key: str | None = options["access_key"]
    _check_combination(ctx)
    server = server_of(target, "poeproto bench", worker_class, access_key, endpoint)
    with exit_on_interrupt(), client_failures(), server as served:
        if options["recording"] is None:
            queries = [text_query(served.url, options["text"], access_key)]
        else:
            queries = recorded_queries(options["recording"], served.url, access_key)
        _run(_read_options(target, queries, options), served)


def _check_combination(ctx: click.Context) -> None:
    """Refuse options that exclude or need each other."""
    given = {name for name in ctx.params if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT}
    for one, other, why in (
        ("replies", "duration", "each says when a measurement ends"),
        ("connections", "concurrency", "each says how many connections there are"),
        ("rate", "concurrency", "an open model opens as many connections as it needs"),
        ("rate", "ramp", "an open model spreads its starts by itself"),
        ("text", "recording", "each says what is sent"),
    ):
        if {one, other} <= given:
            names = {"text": "TEXT", "recording": "--from"}
            shown = [names.get(each, f"--{each}") for each in (one, other)]
            raise click.UsageError(f"{shown[0]} and {shown[1]} exclude each other: {why}")
    if "arrivals" in given and "rate" not in given:
        raise click.UsageError("--arrivals is for an open model; give --rate, too")
    if "rate" in given and len(ctx.params["connections"]) > 1:
        raise click.UsageError("with --rate, --connections is the most that may be open; give it once")
    if ctx.params["duration"] == 0:
        raise click.UsageError("--duration 0 measures nothing; expected a time above 0, as 30s")


def _read_options(target: str, queries: list[Query], options: dict[str, Any]) -> _Options:
    rate: float | None = options["rate"]
    concurrency: tuple[int, ...] | None = options["concurrency"]
    connections: tuple[int, ...] = options["connections"]
    levels = concurrency or connections or (_CONNECTIONS if rate is None else (_MOST_CONNECTIONS,))
    duration: float | None = options["duration"]
    replies: int | None = options["replies"]
    if duration is None and replies is None:
        duration, replies = (_SWEEP_SECONDS, None) if concurrency is not None else (None, _REPLIES)
    slo: SLO | None = options["slo"]
    plan = Plan(
        queries,
        levels[0],
        timeout=options["timeout"],
        replies=replies,
        duration=duration,
        warm_up=options["warm_up"],
        ramp=options["ramp"],
        rate=rate,
        arrivals=Arrivals(options["arrivals"] or Arrivals.CONSTANT),
        seed=options["seed"],
        cancel=options["cancel"],
        slo=slo,
        access_key=options["access_key"],
    )
    return _Options(
        plan, levels, concurrency is not None, options["start_at"], options["exports"], options["as_json"], target
    )


def _run(options: _Options, served: ServedTarget) -> None:
    """Measure, print and export. Exits as the command's help says."""
    _allow_descriptors(max(options.levels))
    first = _first_reply(options.plan)
    measurements: list[Measurement] = []
    is_interrupted = False
    # The canned reply, which measures the limit of the load generator, is as long as the first reply.
    with canned_replies(first.body(), len(first.arrivals)) as canned:
        try:
            for measurement in _measurements(options, canned):
                is_interrupted = measurement.is_interrupted
                if measurement.result.replies or not is_interrupted:
                    measurements.append(measurement)
                    echo(json.dumps(measurement.as_json()) if options.as_json else as_text(measurement))
                if is_interrupted:
                    break
        except KeyboardInterrupt:
            is_interrupted = True
    for file in options.exports:
        export(file, measurements, options.what)
    if is_interrupted:
        raise KeyboardInterrupt
    _judge(measurements[:1] if options.is_sweep else measurements, options.plan.slo, served)


def _measurements(options: _Options, canned: Origin) -> Iterator[Measurement]:
    """Measure with each number of connections, while the caller asks for more."""
    plan = options.plan
    progress = ProgressLine()
    start_at = options.start_at

    def measure(connections: int) -> Measurement:
        nonlocal start_at
        # An open model has as many connections as it needs: with some, the load generator is as fast as it can be.
        ceiling = measure_ceiling(canned, plan.queries[0], connections if plan.rate is None else _CONNECTIONS[-1])
        _wait_until(start_at)
        start_at = None
        try:
            generator = LoadGenerator(
                attrs.evolve(plan, connections=connections),
                keep_samples=bool(options.exports),
                on_progress=progress.follow(counted(connections, "connection"), plan),
            )
            measurement = generator.run()
        finally:
            progress.clear()
        measurement.ceiling = ceiling
        return measurement

    return sweep(options.levels, measure) if options.is_sweep else map(measure, options.levels)


def _first_reply(plan: Plan) -> LoadResponse:
    """A first reply: it may wait for imports, and its size is the estimate for all others.

    Raises:
        PoeprotoError: when it fails again and again.
    """
    for left in reversed(range(_FIRST_ATTEMPTS)):
        with closing(LoadConnection(plan.queries[0], plan.timeout)) as connection:
            try:
                received = connection.exchange()
                events = events_of(received.response, plan.access_key)
                if isinstance(events[-1], Error):
                    raise BotError(events[-1])
                return connection.response
            except (BotError, ConnectionLost, IncompleteReply, RequestRefused) as exc:
                if not left or (isinstance(exc, RequestRefused) and exc.status < _SERVER_ERROR):
                    raise
    raise AssertionError("the last attempt returns or raises")


def _wait_until(start_at: float | None) -> None:
    """Wait until a moment, in Unix time.

    Raises:
        click.ClickException: when it has passed.
    """
    if start_at is None:
        return
    left = start_at - time.time()
    if left < 0:
        raise click.ClickException(
            f"--start-at passed {-left:.1f} s ago, before the first reply had ended; give a later time to all processes"
        )
    time.sleep(left)


def _judge(measurements: list[Measurement], slo: SLO | None, served: ServedTarget) -> None:
    """Raise the command's error if a reply failed or the SLO is missed."""
    failed = sum(measurement.result.failed for measurement in measurements)
    if failed:
        served.show_log()
    missed = [each.result for each in measurements if not each.result.is_reached]
    if missed:
        raise click.ClickException(f"the SLO is missed: {goodput(missed[0])}")
    if failed and slo is None:
        replies = sum(measurement.result.judged for measurement in measurements)
        problem = next(problem for measurement in measurements for problem in measurement.problems.values())
        raise click.ClickException(
            f"{failed:,} of {counted(replies, 'reply', 'replies')} failed: {' '.join(problem.split())}"
        )


def _allow_descriptors(connections: int) -> None:
    """Raise the limit of open files as far as this process may, if the connections need it."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    wanted = connections + _OTHER_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        if most < wanted:
            raise click.UsageError(
                f"{connections} connections need {wanted} open files, and this process may have {most}; raise"
                " `ulimit -n`, or give fewer --connections"
            )
