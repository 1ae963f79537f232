"""Reading a recording: record by record, in bounded memory, whatever the file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import attrs

from poeproto_record.errors import RecordingError
from poeproto_record.lines import decode_header, decode_record
from poeproto_record.records import (
    Recorded,
    RecordedData,
    RecordedEnd,
    RecordedHead,
    RecordedRequest,
    RecordedRequestData,
    RecordingHeader,
)

__all__ = ["RecordingLimits", "RecordingReader"]

MIB = 1024 * 1024


@attrs.frozen(kw_only=True)
class RecordingLimits:
    """How much of a recording is read, and kept in memory.

    Attributes:
        line: the bytes of one line.
        open_exchanges: how many exchanges may be under way at once.
        memory: the bytes of exchanges that are kept in memory at once, about; see `read_exchanges`.
    """

    line: int = 16 * MIB
    open_exchanges: int = 10_000
    memory: int = 256 * MIB


@attrs.define
class _Progress:
    """The state of an exchange: the times of the last records of request and response, and whether it has a head."""

    request_at: float
    response_at: float
    has_head: bool = False


class RecordingReader:
    """Reads a recording: the header at once, then the records as an iterator, in the order of the file.

    A file may have been cut, by a crash for instance: then its last line is incomplete, and is not read.

    Args:
        stream: a file that is open for reading in binary mode. The caller closes it.
        name: the name of the file, for errors.
        limits: the limits.

    Attributes:
        header: the first line.
        is_cut: whether the last line was incomplete; known at the end.
        line: the number of the line that was read last.

    Raises:
        RecordingError: by the constructor and by the iterator, if the file is not a recording, breaks the format or
            exceeds a limit.
        OSError: if the file cannot be read.
    """

    def __init__(self, stream: BinaryIO, *, name: str = "", limits: RecordingLimits | None = None) -> None:
        self._stream = stream
        self._name = name
        self._limits = limits or RecordingLimits()
        self._open: dict[int, _Progress] = {}
        self._last = 0
        self.is_cut = False
        self.line = 0
        first = self._next_line()
        if first is None:
            raise self.error("the file is empty")
        try:
            self.header: RecordingHeader = decode_header(first)
        except RecordingError as exc:
            raise self.error(exc.what) from None

    def __iter__(self) -> Iterator[Recorded]:
        while (line := self._next_line()) is not None:
            try:
                record = decode_record(line)
            except RecordingError as exc:
                if not line.endswith(b"\n"):
                    self.is_cut = True
                    return
                raise self.error(exc.what) from None
            try:
                self._check(record)
            except RecordingError as exc:
                raise self.error(exc.what) from None
            yield record

    def _next_line(self) -> bytes | None:
        line = self._stream.readline(self._limits.line + 1)
        if not line:
            return None
        self.line += 1
        if len(line) > self._limits.line:
            raise self.error(f"longer than {self._limits.line} bytes, the limit of a line")
        return line

    def error(self, what: str) -> RecordingError:
        """The error for the line that was read last."""
        return RecordingError(what, file=self._name, line=self.line)

    def _check(self, record: Recorded) -> None:
        """The order of records: a request, at most one head, data after the head, one end; no time before the last."""
        number = record.exchange
        if isinstance(record, RecordedRequest):
            if number <= self._last:
                raise RecordingError(f"exchange: a request with number {number} after number {self._last}")
            if len(self._open) >= self._limits.open_exchanges:
                raise RecordingError(f"more than {self._limits.open_exchanges} exchanges at once")
            self._last, self._open[number] = number, _Progress(record.at, record.at)
            return
        progress = self._open.get(number)
        if progress is None:
            raise RecordingError(f"exchange: number {number} has ended, or has no request before this line")
        match record:
            case RecordedRequestData():
                progress.request_at = _in_order(record.at, progress.request_at)
                return
            case RecordedHead() if progress.has_head:
                raise RecordingError(f"kind: a second head of exchange {number}")
            case RecordedHead():
                progress.has_head = True
            case RecordedData() if not progress.has_head:
                raise RecordingError(f"kind: data of exchange {number} before its head")
            case RecordedData():
                pass
            case RecordedEnd():
                del self._open[number]
                _in_order(record.at, progress.request_at)
        progress.response_at = _in_order(record.at, progress.response_at)


def _in_order(at: float, before: float) -> float:
    if at < before:
        raise RecordingError(f"at: {at:g} is before {before:g}, the time of the exchange's last record")
    return at
