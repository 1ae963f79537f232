"""Exchanges as a file to download: a recording, or an HTTP archive. Both are redacted."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterable

import poeproto
from poeproto_playground.exchange_log import Exchange
from poeproto_playground.masking import Masking
from poeproto_record import RecordingReader, RecordingWriter, Redaction, har_log, read_exchanges
from poeproto_simulator import HTTPError


def export(form: str, exchanges: Iterable[Exchange], created: float, masking: Masking) -> bytes:
    """Exchanges as a recording or an HTTP archive, redacted.

    Args:
        form: "recording" or "har".
        exchanges: the exchanges.
        created: when the first of them can have begun, in seconds since the epoch.
        masking: knows the keys.

    Raises:
        HTTPError: with status 400, for another form.
    """
    if form not in ("recording", "har"):
        raise HTTPError(400, "format: expected recording or har")
    chosen = sorted(exchanges, key=lambda each: each.request.at)
    file = io.BytesIO()
    writer = RecordingWriter(
        file,
        tool=f"poeproto {poeproto.__version__}",
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(created)),
        redaction=Redaction(secrets=masking.known()),
    )
    for exchange in chosen:
        _write(writer, exchange)
    if form == "recording":
        return file.getvalue()
    file.seek(0)
    reader = RecordingReader(file, name="export")
    archive = har_log(reader.header, read_exchanges(reader), poeproto.__version__)
    return json.dumps(archive, ensure_ascii=False).encode("utf-8", "replace")


def _write(writer: RecordingWriter, exchange: Exchange) -> None:
    recorded = exchange.recorded()
    request = recorded.request
    number = writer.request(request.method, request.url, request.headers, request.body, at=request.at)
    if recorded.head is not None:
        writer.head(number, recorded.head.status, recorded.head.headers, at=recorded.head.at)
    for read in recorded.data:
        writer.data(number, read.data, at=read.at)
    if recorded.end is not None:
        omitted = f"{exchange.omitted} bytes were not kept" if exchange.omitted else ""
        writer.end(number, recorded.end.outcome, recorded.end.detail or omitted, at=recorded.end.at)
