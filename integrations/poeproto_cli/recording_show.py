"""`poeproto recording show`: a recording for people."""

from __future__ import annotations

from pathlib import Path

import click

from poeproto.http import Headers
from poeproto_cli.recording_files import file_argument, reading
from poeproto_cli.terminal import echo
from poeproto_record import RecordedData, RecordedExchange, RecordedRequestData, RecordingHeader, read_exchanges
from poeproto_runtime.printable import printable_line

# The number of characters shown of one read, unless all of it is shown.
_SHORT = 200


@click.command()
@file_argument
@click.option("--exchange", "numbers", type=click.IntRange(min=1), multiple=True, help="Show only this exchange.")
@click.option("--full", is_flag=True, help="Show each read whole; by default its first 200 characters.")
def show(file: Path, numbers: tuple[int, ...], full: bool) -> None:
    """Print the exchanges of a recording, each read on a line with its time.

    Times are seconds: of a request since the recording began, of the rest since the request. Exchanges are printed in
    the order in which they ended. Control characters are printed as escapes.
    """
    with reading(file) as reader:
        _show_header(reader.header)
        for exchange in read_exchanges(reader):
            if not numbers or exchange.number in numbers:
                _show(exchange, None if full else _SHORT)


def _show_header(header: RecordingHeader) -> None:
    made = " ".join(filter(None, [header.created and f"of {header.created}", header.tool and f"by {header.tool}"]))
    hidden = "nothing was redacted" if header.redacted is None else "secrets were redacted"
    echo(printable_line(f"recording {made}".strip() + f"; {hidden}"))


def _show(exchange: RecordedExchange, most: int | None) -> None:
    request = exchange.request
    echo("")
    echo(printable_line(f"#{exchange.number} at {request.at:.3f}: {request.method} {request.url}"))
    _show_headers(request.headers)
    first = RecordedRequestData(exchange.number, request.at, request.body, request.omitted)
    for read in (first, *exchange.request_data):
        if read.data or read.omitted:
            _show_read(">", read, request.at, most)
    if exchange.head is not None:
        echo(f"  +{exchange.head.at - request.at:.3f} < status {exchange.head.status}")
        _show_headers(exchange.head.headers)
    for read in exchange.data:
        _show_read("<", read, request.at, most)
    if exchange.end is None:
        echo("  no end was recorded")
    else:
        detail = f" ({exchange.end.detail})" if exchange.end.detail else ""
        echo(printable_line(f"  +{exchange.end.at - request.at:.3f} end: {exchange.end.outcome.value}{detail}"))


def _show_headers(headers: Headers) -> None:
    for name, value in headers:
        echo(printable_line(f"    {name.decode('latin-1')}: {value.decode('latin-1')}"))


def _show_read(direction: str, read: RecordedRequestData | RecordedData, start: float, most: int | None) -> None:
    text = read.data.decode("utf-8", "backslashreplace")
    shown = printable_line(text if most is None or len(text) <= most else f"{text[:most]}…")
    omitted = f", {read.omitted} not recorded" if read.omitted else ""
    echo(f"  +{read.at - start:.3f} {direction} {len(read.data)} bytes{omitted}: {shown}")
