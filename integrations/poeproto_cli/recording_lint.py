"""`poeproto recording lint`: the rules of the protocol, applied to a recording."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click

from poeproto import RequestHead, ResponseHead
from poeproto.lint import Finding, Level, ReplyLint, lint_request, lint_request_head, lint_settings
from poeproto_cli.options import json_option
from poeproto_cli.recording_files import file_argument, reading
from poeproto_cli.terminal import echo
from poeproto_record import End, RecordedExchange, read_exchanges
from poeproto_record.matching import request_type
from poeproto_runtime.printable import printable_line


@click.command()
@file_argument
@click.option("--strict", is_flag=True, help="Exit with 1 for a finding of level SHOULD, too.")
@json_option
def lint(file: Path, strict: bool, as_json: bool) -> None:
    """Check the requests and replies of a recording against the rules of the protocol.

    Each finding is one line: the exchange, request or response, the place, the level, what is wrong and the rule.
    Requests that Poe does not send are not checked: methods other than POST, content other than JSON.

    Exit codes: 0 if no finding is of level MUST, 1 if one is, or if FILE is not a recording.
    """
    failing = (Level.MUST, Level.SHOULD) if strict else (Level.MUST,)
    checked = skipped = failed = 0
    with reading(file) as reader:
        for exchange in read_exchanges(reader):
            if (reason := _not_checked(exchange)) is not None:
                skipped += 1
                echo(f"#{exchange.number} is not checked: {reason}", err=True)
                continue
            checked += 1
            for side, finding in _findings(exchange):
                failed += finding.level in failing
                _show(exchange.number, side, finding, as_json)
    echo(f"{checked} exchange{'' if checked == 1 else 's'} checked, {skipped} not checked", err=True)
    if failed:
        raise click.exceptions.Exit(1)


def _not_checked(exchange: RecordedExchange) -> str | None:
    """Why an exchange cannot be checked; None if it can be."""
    if exchange.request.method != "POST":
        return "its method is not POST"
    media_type = next((value for name, value in exchange.request.headers if name == b"content-type"), b"")
    if media_type and b"json" not in media_type.lower():
        return "its content is not JSON"
    return f"{exchange.omitted} bytes were not recorded" if exchange.omitted else None


def _findings(exchange: RecordedExchange) -> Iterator[tuple[str, Finding]]:
    request = exchange.request
    for finding in lint_request_head(RequestHead(request.method, request.url, request.headers)):
        yield "request", finding
    for finding in lint_request(exchange.request_body):
        yield "request", finding
    if exchange.head is None:
        return
    match request_type(exchange):
        case "query":
            for finding in _reply_findings(exchange, exchange.head.status):
                yield "response", finding
        case "settings" if exchange.head.status == 200 and exchange.end and exchange.end.outcome is End.EOF:
            for finding in lint_settings(exchange.response_body):
                yield "response", finding
        case _:
            pass  # the response to a report may be anything


def _reply_findings(exchange: RecordedExchange, status: int) -> Iterator[Finding]:
    assert exchange.head is not None
    start = exchange.sent_at
    reply = ReplyLint()
    yield from reply.receive_head(ResponseHead(status, exchange.head.headers))
    if status != 200:
        return
    for read in exchange.data:
        yield from reply.receive_data(read.data, max(read.at - start, 0))
    if exchange.end is not None and exchange.end.outcome is End.EOF:
        yield from reply.receive_eof(max(exchange.end.at - start, 0))


def _show(number: int, side: str, finding: Finding, as_json: bool) -> None:
    if as_json:
        fields = {"exchange": number, "side": side, "path": finding.path, "rule": finding.rule}
        echo(json.dumps({**fields, "level": finding.level.value, "message": finding.message}, ensure_ascii=False))
        return
    place = f"{side} {finding.path}".strip()
    echo(printable_line(f"#{number} {place}: {finding.level.value}: {finding.message} ({finding.rule})"))
