"""Writing a recording: one line a read, flushed at once, so that a crash loses at most the bytes held back.

Bytes are held back if the end of a read may be the beginning of a secret, until the next read of the same body. See
`poeproto_record.redaction`.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import BinaryIO, TypeVar

import attrs

from poeproto.http import HeaderPairs, SecretSpellings, normalise_headers
from poeproto_record.errors import RecordingError
from poeproto_record.lines import encode_header, encode_record
from poeproto_record.records import (
    End,
    Recorded,
    RecordedData,
    RecordedEnd,
    RecordedHead,
    RecordedRequest,
    RecordedRequestData,
    RecordingHeader,
)
from poeproto_record.redaction import FoundSecrets, Redaction, Redactor
from poeproto_record.stream_redactor import StreamRedactor

__all__ = ["RecordingWriter"]

# A longer read is written as several records, so that its line stays below what a reader accepts.
_LARGEST_READ = 2 * 1024 * 1024

DEFAULT_REDACTION = Redaction()

Data = TypeVar("Data", RecordedRequestData, RecordedData)

_StreamRedactors = tuple[StreamRedactor[RecordedRequestData] | None, StreamRedactor[RecordedData] | None]


@attrs.define
class _Exchange:
    """An exchange that has not ended: the redaction of its two bodies; None where nothing is redacted."""

    request: StreamRedactor[RecordedRequestData] | None
    response: StreamRedactor[RecordedData] | None
    # A compressed body may hold a secret that no rule finds, so its bytes are counted and not recorded.
    request_is_compressed: bool = False
    response_is_compressed: bool = False
    secrets: FoundSecrets = attrs.field(factory=OrderedDict[bytes, SecretSpellings], repr=False)


class RecordingWriter:
    """Writes a recording, line by line, to a binary file.

    Each call writes its record at once, at least up to the beginning of a possible secret, and flushes the file. The
    records of one exchange have the number that `request` returns. Call from one thread.

    Args:
        stream: a file that is open for writing in binary mode. The caller closes it.
        tool: the program that records, with its version.
        created: the time of day, in UTC as in RFC 3339.
        redaction: the rules to apply; None records everything unchanged.
        clock: a monotonic clock, in seconds.

    Raises:
        OSError: by each method, if the file cannot be written. Later calls raise `RecordingError`, since a line may
            have been cut.
    """

    def __init__(
        self,
        stream: BinaryIO,
        *,
        tool: str = "",
        created: str | None = None,
        redaction: Redaction | None = DEFAULT_REDACTION,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream
        self._clock = clock
        self._redactor = None if redaction is None else Redactor(redaction)
        self._exchanges: dict[int, _Exchange] = {}
        self._last = 0
        self._failed = False
        self._began = clock()
        if created is None:
            created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self._write(encode_header(RecordingHeader(created, tool, None if redaction is None else redaction.summary())))

    def request(
        self,
        method: str,
        url: str,
        headers: HeaderPairs = (),
        body: bytes = b"",
        *,
        is_whole: bool = True,
        at: float | None = None,
    ) -> int:
        """A request begins an exchange; the number of the exchange.

        Args:
            method: as received.
            url: absolute, or the target as received.
            headers: pairs of name and value.
            body: the body, or its first part.
            is_whole: whether that is the whole body; otherwise `request_data` follows.
            at: seconds since the recording began; now if None.
        """
        at = self._now(at)
        pairs = normalise_headers(headers)
        is_compressed = self._redactor is not None and _is_compressed(pairs)
        secrets: FoundSecrets = OrderedDict()
        if self._redactor is not None:
            self._redactor.of_exchange = secrets
            self._redactor.prepare(pairs, url)
            method, url = self._text(method), self._redactor.url(url)
            pairs = self._redactor.headers(pairs)
        self._last += 1
        number = self._last
        self._exchanges[number] = exchange = _Exchange(*self._stream_redactors(), is_compressed, secrets=secrets)
        first, omitted = b"", 0
        if is_whole and len(body) <= _LARGEST_READ:
            first, omitted = (b"", len(body)) if is_compressed else (self._whole(body), 0)
            body, exchange.request = b"", None
        self._record(RecordedRequest(number, at, method, url, pairs, first, omitted))
        if body:
            self.request_data(number, body, is_last=is_whole, at=at)
        return number

    def request_data(self, exchange: int, data: bytes, *, is_last: bool = False, at: float | None = None) -> None:
        """A further read of the body of the request.

        Args:
            exchange: the number of the exchange, which `request` returned.
            data: the bytes.
            is_last: whether the body ends with them.
            at: seconds since the recording began; now if None.
        """
        state, at = self._exchange(exchange), self._now(at)
        for part in _parts(data):
            read, omitted = (b"", len(part)) if state.request_is_compressed else (part, 0)
            self._record_read(state.request, RecordedRequestData(exchange, at, read, omitted))
        if is_last:
            self._record_held(state.request)

    def head(self, exchange: int, status: int, headers: HeaderPairs = (), *, at: float | None = None) -> None:
        """The head of the response.

        Args:
            exchange: the number of the exchange, which `request` returned.
            status: the status code.
            headers: pairs of name and value.
            at: seconds since the recording began; now if None.
        """
        state, at = self._exchange(exchange), self._now(at)
        pairs = normalise_headers(headers)
        if self._redactor is not None:
            state.response_is_compressed = _is_compressed(pairs)
            pairs = self._redactor.headers(pairs)
        self._record(RecordedHead(exchange, at, status, pairs))

    def data(self, exchange: int, data: bytes, *, at: float | None = None) -> None:
        """One read of the body of the response.

        Args:
            exchange: the number of the exchange, which `request` returned.
            data: the bytes.
            at: seconds since the recording began; now if None.
        """
        state, at = self._exchange(exchange), self._now(at)
        for part in _parts(data):
            read, omitted = (b"", len(part)) if state.response_is_compressed else (part, 0)
            self._record_read(state.response, RecordedData(exchange, at, read, omitted))

    def end(self, exchange: int, outcome: End = End.EOF, detail: str = "", *, at: float | None = None) -> None:
        """The exchange ended; bytes of it that were held back are written first.

        Args:
            exchange: the number of the exchange, which `request` returned.
            outcome: how it ended.
            detail: the failure, in words.
            at: seconds since the recording began; now if None.
        """
        state, at = self._exchange(exchange), self._now(at)
        self._record_held(state.request)
        self._record_held(state.response)
        del self._exchanges[exchange]
        self._record(RecordedEnd(exchange, at, outcome, self._text(detail)))

    def _record_read(self, redactor: StreamRedactor[Data] | None, record: Data) -> None:
        """Record a read, and those before it that were held back, as far as their redaction is complete."""
        for each, redacted in [(record, record.data)] if redactor is None else redactor.receive(record, record.data):
            self._record(attrs.evolve(each, data=redacted))

    def _record_held(self, redactor: StreamRedactor[Data] | None) -> None:
        """Record the reads that were held back: the body has ended."""
        for each, redacted in [] if redactor is None else redactor.receive_eof():
            self._record(attrs.evolve(each, data=redacted))

    def _exchange(self, number: int) -> _Exchange:
        if number not in self._exchanges:
            raise ValueError(f"exchange {number} has ended, or never began")
        exchange = self._exchanges[number]
        if self._redactor is not None:
            self._redactor.of_exchange = exchange.secrets
        return exchange

    def _now(self, at: float | None) -> float:
        return round(self._clock() - self._began, 6) if at is None else at

    def _stream_redactors(self) -> _StreamRedactors:
        if self._redactor is None:
            return None, None
        return StreamRedactor(self._redactor), StreamRedactor(self._redactor)

    def _whole(self, body: bytes) -> bytes:
        return body if self._redactor is None else self._redactor.text(body)

    def _text(self, text: str) -> str:
        if self._redactor is None or not text:
            return text
        return self._redactor.text(text.encode("utf-8", "replace")).decode("utf-8", "replace")

    def _record(self, record: Recorded) -> None:
        self._write(encode_record(record))

    def _write(self, line: bytes) -> None:
        if self._failed:
            raise RecordingError("an earlier line could not be written, so the recording has ended")
        self._failed = True
        self._stream.write(line)
        self._stream.flush()
        self._failed = False


def _parts(data: bytes) -> list[bytes]:
    if len(data) <= _LARGEST_READ:
        return [data]
    return [data[start : start + _LARGEST_READ] for start in range(0, len(data), _LARGEST_READ)]


def _is_compressed(headers: tuple[tuple[bytes, bytes], ...]) -> bool:
    codings = b",".join(value for name, value in headers if name == b"content-encoding").lower().split(b",")
    return any(coding.strip() not in (b"", b"identity") for coding in codings)
