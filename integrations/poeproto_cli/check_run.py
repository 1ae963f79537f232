"""Runs the check for `poeproto check`, with the options of the command."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import click

from poeproto import LocalProtocolError
from poeproto_check import (
    BaselineError,
    BotEnding,
    CheckOptions,
    CheckReport,
    CheckTimes,
    NoSuchRule,
    NothingToCheck,
    ServerAddress,
    check,
    parse_baseline,
    plan,
    select_rules,
)
from poeproto_check.checker import redaction_of
from poeproto_cli.failures import exit_on_interrupt
from poeproto_cli.target_process import ServedTarget
from poeproto_cli.terminal import echo

_DISCONNECT_SECONDS = 5.0


class _NoBot(click.ClickException):
    """There is no bot to check. It has the exit code of wrong usage, since the URL or the key is wrong."""

    exit_code = click.UsageError.exit_code


def options_of(
    *,
    access_key: str | None,
    rules: tuple[str, ...],
    skip: tuple[str, ...],
    sections: tuple[str, ...],
    edition: int,
    strict: bool,
    baseline: str | None,
    max_queries: int | None,
    timeout: float,
) -> CheckOptions:
    """The options of the check.

    Raises:
        click.UsageError: when they exclude each other, or name a file or rule that does not exist.
    """
    try:
        selected = select_rules(rules=rules, skip=skip, sections=sections, edition=edition)
        known = frozenset[str]() if baseline is None else parse_baseline(_read(baseline))
    except BaselineError as exc:
        raise click.UsageError(f"--baseline {baseline}: {exc}") from exc
    except NoSuchRule as exc:
        raise click.UsageError(str(exc)) from exc
    if not selected:
        raise click.UsageError("no rule is left to judge: --rule, --skip, --section and --edition exclude each other")
    return CheckOptions(
        rules=selected,
        access_key=access_key,
        edition=edition,
        strict=strict,
        baseline=known,
        max_queries=max_queries,
        times=CheckTimes(silence=timeout),
    )


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise click.UsageError(f"the file {path} cannot be read: {exc}") from exc


def run_check(
    served: ServedTarget, options: CheckOptions, unix_socket: str | None, backend: str, *, is_served: bool
) -> CheckReport:
    """Print the subject of the check and its possible cost, and run it.

    Args:
        served: the server.
        options: the rules to check and the limits to apply.
        unix_socket: the path of a socket to connect to.
        backend: the event loop.
        is_served: whether the server was started for the check, so that its bot can be watched.

    Raises:
        click.ClickException: when there is no bot to check.
    """

    async def watch_end() -> BotEnding:
        line = await anyio.to_thread.run_sync(partial(served.next_ending, _DISCONNECT_SECONDS))
        return BotEnding.STILL_RUNS if line is None else BotEnding(line)

    try:
        address = ServerAddress.of(served.url, unix_socket)
    except LocalProtocolError as exc:
        raise click.UsageError(str(exc)) from exc
    queries = plan(options).queries
    costs = "no query" if not queries else f"up to {queries} queries, for which the bot may be charged"
    url = redaction_of(address, options).text(address.shown_url)
    echo(f"checking {len(options.rules)} rules at {url}: {costs}", err=True)
    run = partial(check, address, options, watch_end=watch_end if is_served else None)
    try:
        with exit_on_interrupt():
            return anyio.run(run, backend=backend)
    except NothingToCheck as exc:
        raise _NoBot(" ".join(str(exc).split())) from exc
