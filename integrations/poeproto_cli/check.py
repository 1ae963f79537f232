"""`poeproto check`: judges a bot server from outside."""

from __future__ import annotations

import os
from pathlib import Path

import click

from poeproto.lint import EDITIONS
from poeproto_asgi.server import WorkerClass
from poeproto_cli.options import (
    access_key_option,
    backend_option,
    checked_endpoint,
    unix_socket_option,
    worker_class_option,
)
from poeproto_cli.target_process import server_of
from poeproto_cli.terminal import echo
from poeproto_cli.urls import is_target

_LATEST = max(EDITIONS)
# The names in `poeproto_check.FORMATS`, which is imported when it is needed.
FORMAT_NAMES = ("text", "json", "junit", "github", "html")


@click.command("check")
@click.argument("target", required=False)
@access_key_option
@click.option(
    "--format", "report_format", type=click.Choice(FORMAT_NAMES), default="text", show_default=True, help="The report."
)
@click.option("--output", "-o", type=click.Path(dir_okay=False), metavar="FILE", help="Write the report to this file.")
@click.option("--rule", "rules", multiple=True, metavar="RULE", help="Judge this rule, family or pattern only.")
@click.option("--skip", multiple=True, metavar="RULE", help="Leave this rule, family or pattern out.")
@click.option("--section", "sections", multiple=True, metavar="NAME", help="Judge rules from this section only.")
@click.option(
    "--edition",
    type=click.Choice([str(year) for year in sorted(EDITIONS)]),
    default=str(_LATEST),
    show_default=True,
    help="The edition of the specification.",
)
@click.option("--strict", is_flag=True, help="Count a broken SHOULD as a finding, too.")
@click.option(
    "--baseline",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="Do not count the rules listed in this file, one a line. One that is kept by now is stale, and counts.",
)
@click.option("--no-query", is_flag=True, help="Send no query, and so cause no costs.")
@click.option("--max-queries", type=click.IntRange(min=0), metavar="N", help="Send at most this number of queries.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long the bot may send nothing in a reply.",
)
@click.option("--list", "list_rules", is_flag=True, help="Print the rules, and check nothing.")
@unix_socket_option
@worker_class_option
@click.option(
    "--endpoint",
    callback=checked_endpoint,
    metavar="URL",
    help="Send the calls of a TARGET's bot to this URL: a simulator, or https://api.poe.com. By default its costs are"
    " granted, and its other calls are refused.",
)
@backend_option
def check_command(
    target: str | None,
    access_key: str | None,
    report_format: str,
    output: str | None,
    rules: tuple[str, ...],
    skip: tuple[str, ...],
    sections: tuple[str, ...],
    edition: str,
    strict: bool,
    baseline: str | None,
    no_query: bool,
    max_queries: int | None,
    timeout: float,
    list_rules: bool,
    unix_socket: str | None,
    worker_class: WorkerClass,
    endpoint: str | None,
    backend: str,
) -> None:
    """Judge a bot server by the rules of the protocol, from outside.

    TARGET is the URL of a bot server, in whatever language it is written, or a TARGET as for serve: that bot is served
    for the check. Requests of every kind are sent, good and bad. Some are queries, and the bot may be charged for each;
    their number is printed beforehand. The connections are direct, without a proxy.

    A verdict is pass, fail (a broken MUST), warn (a broken SHOULD), info (a broken MAY), not-applicable, untestable, or
    harness-error.

    Exit codes: 0 for a server without findings, 1 with findings, 2 for wrong usage or if there is no bot to check, 3
    if the check itself failed.
    """
    # Imported here, so that the other commands start faster.
    from poeproto_check import FORMATS, Verdict
    from poeproto_cli.check_run import options_of, run_check

    options = options_of(
        access_key=access_key, rules=rules, skip=skip, sections=sections, edition=int(edition), strict=strict,
        baseline=baseline, max_queries=0 if no_query else max_queries, timeout=timeout,
    )  # fmt: skip
    if list_rules:
        for rule in options.rules.values():
            echo(f"{rule.id:<28} {rule.level.value:<7} {rule.section}: {rule.text}")
        return
    if target is None:
        raise click.UsageError("Missing argument 'TARGET': the URL of a bot server, or a bot as for serve.")
    if output is not None:
        _check_writable(Path(output))
    server = server_of(target, "poeproto check", worker_class, access_key, endpoint)
    is_served = is_target(target)
    if is_served and unix_socket is not None:
        raise click.UsageError("--unix-socket is for a URL; a TARGET is served at a free port")
    with server as served:
        report = run_check(served, options, unix_socket, backend, is_served=is_served)
        if report.count(Verdict.UNTESTABLE):
            served.show_log()  # the log shows the author's mistake, and the reply does not
    _show(FORMATS[report_format](report), output)
    raise click.exceptions.Exit(report.exit_code)


def _check_writable(output: Path) -> None:
    """Refuse a file that cannot be written: before the check, whose queries may cost money."""
    if not os.access(output if output.exists() else output.parent, os.W_OK):
        reason = "its folder does not exist, or it is not writable"
        raise click.UsageError(f"the report cannot be written to {output}: {reason}")


def _show(report: str, output: str | None) -> None:
    if output is None:
        echo(report)
        return
    try:
        Path(output).write_text(f"{report}\n", encoding="utf-8")
    except OSError as exc:
        raise click.UsageError(f"the report cannot be written to {output}: {exc.strerror or exc}") from exc


__all__ = ["check_command"]
