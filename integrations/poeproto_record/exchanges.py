"""The exchanges of a recording: the records of each, which a file has interleaved."""

from __future__ import annotations

from collections.abc import Iterator
from os import PathLike, fspath

import attrs

from poeproto_record.reader import RecordingLimits, RecordingReader
from poeproto_record.records import (
    Recorded,
    RecordedData,
    RecordedEnd,
    RecordedHead,
    RecordedRequest,
    RecordedRequestData,
    RecordingHeader,
)

__all__ = ["RecordedExchange", "Recording", "load_recording", "read_exchanges"]

# The approximate memory of a record besides its bytes.
_RECORD_SIZE = 250


@attrs.frozen
class RecordedExchange:
    """One request and the response to it, as far as they were recorded.

    Attributes:
        request: the request, with the first part of its body.
        request_data: further reads of the body of the request.
        head: the head of the response; None if there was none.
        data: the reads of the body of the response; an empty one marks a read whose bytes are not recorded.
        end: how it ended; None if the recording stopped before.
    """

    request: RecordedRequest
    request_data: tuple[RecordedRequestData, ...] = ()
    head: RecordedHead | None = None
    data: tuple[RecordedData, ...] = ()
    end: RecordedEnd | None = None

    @property
    def number(self) -> int:
        """The number of the exchange."""
        return self.request.exchange

    @property
    def request_body(self) -> bytes:
        """The whole body of the request."""
        return b"".join([self.request.body, *(each.data for each in self.request_data)])

    @property
    def response_body(self) -> bytes:
        """The whole body of the response."""
        return b"".join([each.data for each in self.data])

    @property
    def omitted(self) -> int:
        """How many bytes of both bodies were not recorded."""
        return self.request.omitted + sum(each.omitted for each in (*self.request_data, *self.data))

    @property
    def sent_at(self) -> float:
        """The time at which the request was complete: that of the last part of its body."""
        return self.request_data[-1].at if self.request_data else self.request.at

    @property
    def last_at(self) -> float:
        """The time of the last record."""
        return max(record.at for record in self.records())

    def records(self) -> Iterator[Recorded]:
        """The records, those of the request first."""
        yield self.request
        yield from self.request_data
        if self.head is not None:
            yield self.head
        yield from self.data
        if self.end is not None:
            yield self.end


@attrs.frozen
class Recording:
    """A whole recording in memory.

    Attributes:
        header: the first line.
        exchanges: the exchanges, by their numbers.
        is_cut: whether the last line of the file was incomplete.
    """

    header: RecordingHeader
    exchanges: tuple[RecordedExchange, ...]
    is_cut: bool = False


class _Growing:
    """An exchange that is being read."""

    def __init__(self, request: RecordedRequest) -> None:
        self.request = request
        self.request_data: list[RecordedRequestData] = []
        self.head: RecordedHead | None = None
        self.data: list[RecordedData] = []
        self.end: RecordedEnd | None = None
        self.size = 0

    def add(self, record: Recorded) -> None:
        match record:
            case RecordedRequest():
                pass
            case RecordedRequestData():
                self.request_data.append(record)
            case RecordedHead():
                self.head = record
            case RecordedData():
                self.data.append(record)
            case RecordedEnd():
                self.end = record

    def exchange(self) -> RecordedExchange:
        return RecordedExchange(self.request, tuple(self.request_data), self.head, tuple(self.data), self.end)


def read_exchanges(reader: RecordingReader, limits: RecordingLimits | None = None) -> Iterator[RecordedExchange]:
    """The exchanges of a recording, each when its end has been read, and at the end of the file those without one.

    Raises:
        RecordingError: if the exchanges that have not ended take more than `RecordingLimits.memory`, or as the reader
            does.
    """
    limit = (limits or RecordingLimits()).memory
    growing: dict[int, _Growing] = {}
    held = 0
    for record in reader:
        number = record.exchange
        exchange = growing[number] = growing.get(number) or _Growing(_request(record))
        size = record_size(record)
        exchange.add(record)
        exchange.size += size
        held += size
        if held > limit:
            raise reader.error(f"the exchanges that are under way take more than {limit} bytes in memory")
        if exchange.end is not None:
            del growing[number]
            held -= exchange.size
            yield exchange.exchange()
    for exchange in growing.values():
        yield exchange.exchange()


def _request(record: Recorded) -> RecordedRequest:
    assert isinstance(record, RecordedRequest)  # the reader has checked that
    return record


def record_size(record: Recorded) -> int:
    """The size of a record in memory, approximately."""
    match record:
        case RecordedRequest():
            return _RECORD_SIZE + len(record.body) + len(record.url) + _headers_size(record)
        case RecordedHead():
            return _RECORD_SIZE + _headers_size(record)
        case RecordedRequestData() | RecordedData():
            return _RECORD_SIZE + len(record.data)
        case RecordedEnd():
            return _RECORD_SIZE + len(record.detail)


def _headers_size(record: RecordedRequest | RecordedHead) -> int:
    return sum(_RECORD_SIZE + len(name) + len(value) for name, value in record.headers)


def load_recording(path: str | PathLike[str], limits: RecordingLimits | None = None) -> Recording:
    """A whole recording, from a file.

    Raises:
        RecordingError: if the file is not a recording, breaks the format, or would take more than
            `RecordingLimits.memory`.
        OSError: if it cannot be read.
    """
    limits = limits or RecordingLimits()
    with open(path, "rb") as file:
        reader = RecordingReader(file, name=fspath(path), limits=limits)
        exchanges: list[RecordedExchange] = []
        held = 0
        for exchange in read_exchanges(reader, limits):
            held += sum(map(record_size, exchange.records()))
            if held > limits.memory:
                raise reader.error(f"the recording takes more than {limits.memory} bytes in memory")
            exchanges.append(exchange)
        exchanges.sort(key=lambda exchange: exchange.number)
        return Recording(reader.header, tuple(exchanges), reader.is_cut)
