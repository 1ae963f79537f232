"""The codec of a recording: one record is one line of JSON, in UTF-8.

A body is written as `text` where its bytes are UTF-8 and as `b64` otherwise, read by read: a character that two reads
share makes both of them `b64`. Reading is strict, executes nothing, and never reads beyond the line.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable, Mapping
from typing import Any, cast

import msgspec

from poeproto.http import Headers
from poeproto_record.errors import RecordingError
from poeproto_record.records import (
    FORMAT_VERSION,
    End,
    Recorded,
    RecordedData,
    RecordedEnd,
    RecordedHead,
    RecordedRequest,
    RecordedRequestData,
    RecordingHeader,
)

__all__ = ["decode_header", "decode_record", "encode_header", "encode_record"]

# The first key of a file: it identifies the format.
MARK = "poeproto_recording"
# No exchange, time or size that is meant is larger; integers up to here are exact in every JSON library.
LARGEST = 2**53
_STATUSES = range(100, 1000)


def encode_header(header: RecordingHeader) -> bytes:
    """The first line of a recording, with its line end."""
    return _line(
        {MARK: header.version, "created": header.created, "tool": header.tool, "redacted": _plain(header.redacted)}
    )


def _plain(summary: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if summary is None else dict(summary)


def encode_record(record: Recorded) -> bytes:
    """The record as a line, with its line end."""
    fields: dict[str, Any] = {"kind": KINDS[type(record)], "exchange": record.exchange, "at": record.at}
    match record:
        case RecordedRequest():
            fields |= {"method": record.method, "url": record.url, "headers": _header_list(record.headers)}
            fields |= _body(record.body, record.omitted) if record.body or record.omitted else {}
        case RecordedHead():
            fields |= {"status": record.status, "headers": _header_list(record.headers)}
        case RecordedRequestData() | RecordedData():
            fields |= _body(record.data, record.omitted)
        case RecordedEnd():
            fields["outcome"] = record.outcome.value
            fields |= {"detail": record.detail} if record.detail else {}
    return _line(fields)


def _line(fields: dict[str, Any]) -> bytes:
    return msgspec.json.encode(fields) + b"\n"


def _header_list(headers: Headers) -> list[list[str]]:
    return [[name.decode("latin-1"), value.decode("latin-1")] for name, value in headers]


def _body(data: bytes, omitted: int) -> dict[str, Any]:
    try:
        fields: dict[str, Any] = {"text": data.decode("utf-8")}
    except UnicodeDecodeError:
        fields = {"b64": base64.b64encode(data).decode("ascii")}
    return fields | {"omitted": omitted} if omitted else fields


def decode_header(line: bytes) -> RecordingHeader:
    """The header in the first line of a file.

    Raises:
        RecordingError: if it is not one, or of a later version.
    """
    if MARK.encode() not in line:
        raise RecordingError(f"not a recording of poeproto: the first line has no {MARK!r}")
    fields = _object(line)
    version = fields.integer(MARK)
    if version > FORMAT_VERSION:
        raise RecordingError(
            f"version {version} of the format; this program reads up to version {FORMAT_VERSION}: upgrade poeproto"
        )
    redacted = fields.get("redacted")
    if redacted is not None and not isinstance(redacted, dict):
        raise fields.wrong("redacted", "an object or null")
    created, tool = fields.optional_text("created"), fields.optional_text("tool")
    return RecordingHeader(created, tool, cast("dict[str, Any] | None", redacted), version)


def decode_record(line: bytes) -> Recorded:
    """The record in a line.

    Raises:
        RecordingError: if the line is not a record. It has no number of a line; a reader adds it.
    """
    fields = _object(line)
    kind = fields.text("kind")
    decode = _DECODERS.get(kind)
    if decode is None:
        raise RecordingError(f"kind: unknown kind of record; expected one of {', '.join(_DECODERS)}")
    return decode(fields, fields.integer("exchange", least=1), fields.seconds("at"))


class _Fields(dict[str, Any]):
    """A JSON object with checked access to its fields."""

    def wrong(self, name: str, expected: str) -> RecordingError:
        return RecordingError(f"{name}: expected {expected}, got {_shown(self[name]) if name in self else 'nothing'}")

    def integer(self, name: str, *, least: int = 0) -> int:
        value: Any = self.get(name)
        if type(value) is not int or not least <= value <= LARGEST:
            raise self.wrong(name, f"an integer of at least {least}")
        return value

    def seconds(self, name: str) -> float:
        value: Any = self.get(name)
        if type(value) not in (int, float) or not 0 <= value <= LARGEST or not math.isfinite(value):
            raise self.wrong(name, "seconds since the recording began, zero or more")
        return float(value)

    def text(self, name: str) -> str:
        value: Any = self.get(name)
        if not isinstance(value, str):
            raise self.wrong(name, "a string")
        return value

    def optional_text(self, name: str) -> str:
        return self.text(name) if name in self else ""

    def headers(self) -> Headers:
        pairs: list[tuple[bytes, bytes]] = []
        listed: Any = self.get("headers")
        for pair in cast("list[Any]", listed if isinstance(listed, list) else [None]):
            match pair:
                case [str() as name, str() as value]:
                    pass
                case _:
                    raise self.wrong("headers", "an array of pairs, each a name and a value")
            try:
                pairs.append((name.lower().encode("latin-1"), value.encode("latin-1")))
            except UnicodeEncodeError:
                raise RecordingError("headers: a name or value has a character outside of Latin-1") from None
        return tuple(pairs)

    def body(self, *, required: bool) -> tuple[bytes, int]:
        omitted = self.integer("omitted") if "omitted" in self else 0
        if "text" in self and "b64" in self:
            raise RecordingError("text and b64: expected one of the two")
        if "b64" in self:
            try:
                return base64.b64decode(self.text("b64"), validate=True), omitted
            except (ValueError, binascii.Error):
                raise RecordingError("b64: not Base64") from None
        if "text" not in self and not required:
            return b"", omitted
        return self.text("text").encode("utf-8"), omitted


def _shown(value: Any) -> str:
    """A number, or the type of another value: the value itself may be a secret."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case str():
            return "a string"
        case list():
            return "an array"
        case dict():
            return "an object"
        case _:
            return f"{value:.6g}" if abs(value) <= LARGEST else "a number"


def _object(line: bytes) -> _Fields:
    try:
        value = msgspec.json.decode(line)
    except (ValueError, RecursionError) as exc:
        # The message of the parser has a position, and no content.
        reason = "nested too deeply" if isinstance(exc, RecursionError) else str(exc)
        raise RecordingError(f"not valid JSON: {reason}") from None
    if not isinstance(value, dict):
        raise RecordingError("expected a JSON object")
    return _Fields(cast("dict[str, Any]", value))


def _request(fields: _Fields, exchange: int, at: float) -> RecordedRequest:
    body, omitted = fields.body(required=False)
    method, url, headers = fields.text("method"), fields.text("url"), fields.headers()
    return RecordedRequest(exchange, at, method, url, headers, body, omitted)


def _request_data(fields: _Fields, exchange: int, at: float) -> RecordedRequestData:
    return RecordedRequestData(exchange, at, *fields.body(required=True))


def _head(fields: _Fields, exchange: int, at: float) -> RecordedHead:
    status = fields.integer("status")
    if status not in _STATUSES:
        raise fields.wrong("status", "a status code of three digits")
    return RecordedHead(exchange, at, status, fields.headers())


def _data(fields: _Fields, exchange: int, at: float) -> RecordedData:
    return RecordedData(exchange, at, *fields.body(required=True))


def _end(fields: _Fields, exchange: int, at: float) -> RecordedEnd:
    outcome = fields.text("outcome")
    if outcome not in _OUTCOMES:
        raise RecordingError(f"outcome: unknown outcome; expected one of {', '.join(_OUTCOMES)}")
    return RecordedEnd(exchange, at, End(outcome), fields.optional_text("detail"))


_OUTCOMES = tuple(end.value for end in End)
KINDS: dict[type[Recorded], str] = {
    RecordedRequest: "request",
    RecordedRequestData: "request-data",
    RecordedHead: "head",
    RecordedData: "data",
    RecordedEnd: "end",
}
_DECODERS: dict[str, Callable[[_Fields, int, float], Recorded]] = {
    "request": _request,
    "request-data": _request_data,
    "head": _head,
    "data": _data,
    "end": _end,
}
