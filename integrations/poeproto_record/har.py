"""Export of a recording as an HTTP Archive (HAR) 1.2, which browsers and other tools import.

A HAR has one time for a whole body. So each entry also has ``_reads``, the time in milliseconds since the request began
and the size of every read; other tools ignore it.

http://www.softwareishard.com/blog/har-12-spec/
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from poeproto.http import Headers
from poeproto_record.exchanges import RecordedExchange
from poeproto_record.records import RecordingHeader

__all__ = ["har_entry", "har_log"]

_VERSION = "HTTP/1.1"
_ABSOLUTE = re.compile("[A-Za-z][A-Za-z0-9+.-]*://")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The largest offset from the start that a date can hold, about.
_LONGEST = timedelta(days=365 * 1000).total_seconds()


def har_log(header: RecordingHeader, exchanges: Iterable[RecordedExchange], version: str = "") -> dict[str, Any]:
    """The HAR of a recording, as a value for `json.dumps`.

    Args:
        header: the header of the recording; its `created` dates the entries.
        exchanges: the exchanges, in the order of the entries.
        version: the version of this program.
    """
    entries = [har_entry(header, exchange) for exchange in exchanges]
    creator = {"name": "poeproto", "version": version}
    return {"log": {"version": "1.2", "creator": creator, "pages": [], "entries": entries}}


def har_entry(header: RecordingHeader, exchange: RecordedExchange) -> dict[str, Any]:
    """One exchange as an entry of a HAR."""
    start = exchange.request.at
    sent = exchange.sent_at
    answered = exchange.head.at if exchange.head else exchange.last_at
    # The response may begin before the request has ended.
    send, wait, receive = sent - start, max(answered - sent, 0), max(exchange.last_at - max(answered, sent), 0)
    entry: dict[str, Any] = {
        "startedDateTime": _date(header.created, start),
        "time": _milliseconds(send + wait + receive),
        "request": _request(exchange),
        "response": _response(exchange),
        "cache": {},
        "timings": {"send": _milliseconds(send), "wait": _milliseconds(wait), "receive": _milliseconds(receive)},
        "_exchange": exchange.number,
        "_reads": [[_milliseconds(read.at - start), len(read.data)] for read in exchange.data],
    }
    if exchange.end is not None:
        entry["_end"] = exchange.end.outcome.value
        if exchange.end.detail:
            entry["comment"] = exchange.end.detail
    return entry


def _request(exchange: RecordedExchange) -> dict[str, Any]:
    request, body = exchange.request, exchange.request_body
    url = _absolute(request.url, _value(request.headers, b"host"))
    entry: dict[str, Any] = {
        "method": request.method,
        "url": url,
        "httpVersion": _VERSION,
        "cookies": [],
        "headers": _headers(request.headers),
        "queryString": [
            {"name": name, "value": value}
            for name, value in parse_qsl(url.partition("#")[0].partition("?")[2], keep_blank_values=True)
        ],
        "headersSize": -1,
        "bodySize": len(body) + request.omitted + sum(read.omitted for read in exchange.request_data),
    }
    if body:
        text, encoding = _text(body)
        entry["postData"] = {
            "mimeType": _value(request.headers, b"content-type"),
            "params": [],
            "text": text,
            # The format has no encoding here.
            **({"_encoding": encoding} if encoding else {}),
        }
    return entry


def _response(exchange: RecordedExchange) -> dict[str, Any]:
    head, body = exchange.head, exchange.response_body
    headers = head.headers if head else ()
    omitted = sum(read.omitted for read in exchange.data)
    text, encoding = _text(body)
    content: dict[str, Any] = {
        "size": len(body) + omitted,
        "mimeType": _value(headers, b"content-type") or "x-unknown",
        **({"comment": f"{omitted} bytes were not recorded"} if omitted else {"text": text}),
        **({"encoding": encoding} if encoding and not omitted else {}),
    }
    return {
        "status": head.status if head else 0,
        "statusText": head.phrase if head else "",
        "httpVersion": _VERSION,
        "cookies": [],
        "headers": _headers(headers),
        "content": content,
        "redirectURL": _value(headers, b"location"),
        "headersSize": -1,
        "bodySize": len(body) + omitted if head else -1,
    }


def _absolute(url: str, host: str) -> str:
    if _ABSOLUTE.match(url):
        return url
    return f"http://{host or 'unknown.invalid'}/{url.removeprefix('/')}"


def _headers(headers: Headers) -> list[dict[str, str]]:
    return [{"name": name.decode("latin-1"), "value": value.decode("latin-1")} for name, value in headers]


def _value(headers: Headers, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in headers if key == name), "")


def _text(body: bytes) -> tuple[str, str]:
    """The body as text, and its encoding: empty if it is UTF-8."""
    try:
        return body.decode("utf-8"), ""
    except UnicodeDecodeError:
        return base64.b64encode(body).decode("ascii"), "base64"


def _date(created: str, at: float) -> str:
    try:
        start = datetime.fromisoformat(created)
        # A date without an offset is in UTC, too.
        return (start.replace(tzinfo=start.tzinfo or UTC) + timedelta(seconds=at)).isoformat()
    except (ValueError, OverflowError):
        return (_EPOCH + timedelta(seconds=min(at, _LONGEST))).isoformat()


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)
