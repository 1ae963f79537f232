"""The queries of the load: a text, or those of a recording."""

from __future__ import annotations

import json
from pathlib import Path

import click

from poeproto import Message, QueryRequest
from poeproto_cli.load_query import Query, write_query
from poeproto_cli.recording_files import recording_failures, report_cut
from poeproto_record import RecordedExchange, load_recording


def text_query(url: str, text: str, access_key: str | None) -> Query:
    """A query with one message. Raises as `write_query`."""
    return write_query(url, QueryRequest([Message("user", text)]), access_key)


def recorded_queries(file: Path, url: str, access_key: str | None) -> list[Query]:
    """The queries of a recording, in their order, for another server: with its URL and key, and the recorded bodies.

    Raises:
        click.ClickException: when the file is not a recording, or has no whole query.
    """
    with recording_failures(file):
        recording = load_recording(file)
    report_cut(file, recording)
    queries = [
        write_query(url, QueryRequest([]), access_key, body=exchange.request_body)
        for exchange in recording.exchanges
        if _is_query(exchange)
    ]
    if not queries:
        raise click.ClickException(
            f"{file} has no query of which all bytes are recorded; record some with `poeproto record`"
        )
    return queries


def _is_query(exchange: RecordedExchange) -> bool:
    omitted = exchange.request.omitted + sum(each.omitted for each in exchange.request_data)
    if exchange.request.method != "POST" or omitted:
        return False
    try:
        body: object = json.loads(exchange.request_body)
    except (ValueError, RecursionError):
        return False
    match body:
        case {"type": "query"}:
            return True
        case _:
            return False


__all__ = ["recorded_queries", "text_query"]
