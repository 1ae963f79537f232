"""A recording as a transport: replays recorded responses to a test's calls, or records the real ones."""

from __future__ import annotations

import os
from collections.abc import Callable
from enum import Enum
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Unpack

import anyio
import anyio.lowlevel
import attrs

import poeproto
from poeproto import (
    ConnectionLost,
    HttpRequest,
    IncompleteChunkedBody,
    Limits,
    LocalProtocolError,
    PoeprotoError,
    ResponseHead,
)
from poeproto_pytest.memory_network import whole_body
from poeproto_pytest.observed_reply import ObservedReply
from poeproto_pytest.simulated_poe import MemoryClient
from poeproto_record import (
    End,
    NoRecordedExchange,
    Recorded,
    RecordedExchange,
    RecordedReplies,
    RecordedRequest,
    Recording,
    RecordingHeader,
    RecordingReader,
    RecordingWriter,
    Redaction,
    ReplayMatch,
    encode_header,
    encode_record,
    load_recording,
)
from poeproto_record.matching import request_type
from poeproto_record.schedule import Schedule, check_speed
from poeproto_runtime.client.client_base import ClientBaseOptions
from poeproto_runtime.client.transport import IncomingResponse, SharedTransport
from poeproto_simulator import Replayed

__all__ = ["RecordMode", "ReplayedCalls"]


class RecordMode(Enum):
    """The mode of a recording: replay its calls, or record them.

    Attributes:
        NONE: replay; a call without a match fails the test.
        NEW: replay; record the calls without a match, and add them.
        ALL: record all calls, and replace the recording if the test passes.
    """

    NONE = "none"
    NEW = "new"
    ALL = "all"


class ReplayedCalls:
    """The calls of one test that go through a recording; a `poeproto_runtime.client.transport.SharedTransport`.

    Args:
        path: the recording.
        mode: whether calls are replayed or recorded.
        make_transport: makes the transport for calls that are recorded.
        match: which recorded exchange answers a request.
        speed: how many times as fast as recorded responses are replayed; 0 does not wait.
        redaction: what is replaced in what is recorded.

    Attributes:
        path: as above.
        mode: as above.
        unmatched: the errors of the requests that no exchange answers. They fail the test.

    Raises:
        FileNotFoundError: when the recording does not exist, and is only replayed.
        RecordingError: when the file is not a recording.
        ValueError: when the speed is negative.
    """

    def __init__(
        self,
        path: Path,
        mode: RecordMode,
        make_transport: Callable[[], SharedTransport],
        *,
        match: ReplayMatch = ReplayMatch.LAST_MESSAGE,
        speed: float = 0,
        redaction: Redaction | None = None,
    ) -> None:
        check_speed(speed)
        self.path = path
        self.mode = mode
        self.unmatched: list[NoRecordedExchange] = []
        self._make_transport = make_transport
        self._transport: SharedTransport | None = None
        self._redaction = redaction or Redaction()
        self._speed = speed
        self._recording = self._load()
        self._replies = RecordedReplies(self._recording.exchanges, match)
        self._recorder: _Recorder | None = None

    def _load(self) -> Recording:
        if self.mode is RecordMode.ALL:
            return Recording(RecordingHeader(), ())
        try:
            return load_recording(self.path)
        except FileNotFoundError as exc:
            if self.mode is RecordMode.NEW:
                return Recording(RecordingHeader(), ())
            raise FileNotFoundError(
                f"there is no recording {self.path}: run the test with --poe-record=new once to record its calls"
            ) from exc

    @property
    def exchanges(self) -> tuple[RecordedExchange, ...]:
        """The recorded exchanges, without those of this test."""
        return self._recording.exchanges

    @property
    def replies(self) -> list[ObservedReply]:
        """The recorded replies to queries, for assertions on the recording itself."""
        return [ObservedReply.of(each) for each in self.exchanges if request_type(each) == "query"]

    def client(self, *, limits: Limits | None = None, **options: Unpack[ClientBaseOptions]) -> MemoryClient:
        """A client whose calls go through the recording; `options` are those of `poeproto_h11.Client`."""
        return MemoryClient(self, limits=limits, **options)

    def bot(self, *, match: ReplayMatch = ReplayMatch.LAST_MESSAGE) -> Replayed:
        """The recording as a bot, to be registered at a simulator."""
        return Replayed(self._recording, match=match, speed=self._speed)

    # --- the transport

    def begin(self) -> ReplayedCall:
        """Start a call."""
        return ReplayedCall(self)

    def hold(self) -> None:
        """Add a user; connections are kept for the call only."""

    async def release(self) -> None:
        """Remove a user."""

    async def send(self, request: HttpRequest) -> IncomingResponse:
        """Replay the response to a request, or record it.

        Raises:
            NoRecordedExchange: when it is to be replayed, and no recorded exchange answers it.
        """
        body = await whole_body(request)
        try:
            found = self._replies.find(request.method, request.url, request.headers, body)
        except NoRecordedExchange as exc:
            if self.mode is RecordMode.NONE:
                self.unmatched.append(exc)
                raise
            return await self._record(attrs.evolve(request, body=body), body)
        return await _replayed(found, self._speed)

    async def _record(self, request: HttpRequest, body: bytes) -> IncomingResponse:
        if self._recorder is None:
            self._recorder = _Recorder(self._redaction)
        if self._transport is None:
            self._transport = self._make_transport()
        writer, transport = self._recorder.writer, self._transport
        number = writer.request(request.method, request.url, request.headers, body)
        transport.hold()
        try:
            response = await transport.begin().send(request)
        except BaseException as exc:
            writer.end(number, End.RESET, f"{type(exc).__name__}: {exc}")
            await transport.release()
            raise
        writer.head(number, response.head.status, response.head.headers)
        return RecordedResponse(response, writer, number, transport)

    # --- the end of the test

    @property
    def path_if_failed(self) -> Path | None:
        """The file beside the recording for the new exchanges of a failed test; None if they are added to the
        recording.

        A recording that was replaced by that of a failure would be lost.
        """
        if self.mode is not RecordMode.ALL or self._recorder is None or not self.path.exists():
            return None
        return self._beside

    @property
    def _beside(self) -> Path:
        return self.path.with_name(f"{self.path.stem}.failed{self.path.suffix}")

    def save(self, *, passed: bool = True) -> int:
        """Write the recorded exchanges to the file, which is replaced atomically; return how many were added.

        Args:
            passed: whether the test has passed; otherwise `path_if_failed` is written instead, if there is one.

        Raises:
            OSError: when it cannot be read or written.
            RecordingError: when it is not a recording any more.
        """
        if self._recorder is None:
            return 0
        path = (None if passed else self.path_if_failed) or self.path
        header, added = self._recorder.finish()
        recording = self._load()  # again: the test, or another one, may have added exchanges since
        before = recording.exchanges
        if before:
            header = recording.header
        lines = [encode_header(header)]
        last = max((each.number for each in before), default=0)
        last_at = max((each.last_at for each in before), default=0.0)
        for exchange in before:
            lines += map(encode_record, sorted(exchange.records(), key=_in_order))
        for record in added:
            moved = attrs.evolve(record, exchange=record.exchange + last, at=round(record.at + last_at, 6))
            lines.append(encode_record(moved))
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            temporary.write_bytes(b"".join(lines))
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        if self.mode is RecordMode.ALL and path == self.path:
            self._beside.unlink(missing_ok=True)  # a file left by an earlier failure
        return sum(isinstance(each, RecordedRequest) for each in added)

    def failure(self) -> str | None:
        """The failure of the test: the requests that no exchange answers; None if every request was answered."""
        if not self.unmatched:
            return None
        lines = [f"{self.path.name}: {each}" for each in self.unmatched]
        hint = "record the calls again with --poe-record=new, which adds what is missing, or with --poe-record=all"
        return "\n".join([*lines, hint])


def _in_order(record: Recorded) -> float:
    return record.at


class _Recorder:
    """Records in memory, until the test has ended: its file is replaced only then."""

    def __init__(self, redaction: Redaction) -> None:
        self._stream: BinaryIO = BytesIO()
        tool = f"poeproto {poeproto.__version__} (pytest)"
        self.writer = RecordingWriter(self._stream, tool=tool, redaction=redaction)

    def finish(self) -> tuple[RecordingHeader, list[Recorded]]:
        """The first line, and the records."""
        self._stream.seek(0)
        reader = RecordingReader(self._stream, name="the recording of this test")
        return reader.header, list(reader)


class ReplayedCall:
    """The requests of one call through a recording; a `poeproto_runtime.client.transport.TransportCall`."""

    def __init__(self, calls: ReplayedCalls) -> None:
        self._calls = calls

    async def send(self, request: HttpRequest) -> IncomingResponse:
        """Send a request, and wait for the head of the response."""
        return await self._calls.send(request)

    async def sleep(self, seconds: float) -> None:
        """Wait before the next request: not at all in a replay."""
        if self._calls.mode is not RecordMode.NONE:
            await anyio.sleep(seconds)


class RecordedResponse:
    """A response whose parts are recorded as they are received.

    Its connection is closed with it: nothing that outlives the test keeps one.
    """

    def __init__(
        self, response: IncomingResponse, writer: RecordingWriter, number: int, transport: SharedTransport
    ) -> None:
        self.head = response.head
        self._response = response
        self._writer = writer
        self._number: int | None = number
        self._transport: SharedTransport | None = transport

    async def receive(self) -> bytes | None:
        """The next part of the body; None at its end."""
        try:
            data = await self._response.receive()
        except PoeprotoError as exc:
            self._end(End.RESET, f"{type(exc).__name__}: {exc}")
            raise
        if data is None:
            self._end(End.EOF)
        elif self._number is not None:
            self._writer.data(self._number, data)
        return data

    async def finish(self) -> None:
        """Close the response after its reply is complete."""
        self._end(End.EOF)
        try:
            await self._response.finish()
        finally:
            await self._release()

    async def aclose(self) -> None:
        """Close the response at once."""
        self._end(End.CLIENT_DISCONNECTED)
        try:
            await self._response.aclose()
        finally:
            await self._release()

    async def _release(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.release()

    def _end(self, outcome: End, detail: str = "") -> None:
        number, self._number = self._number, None
        if number is not None:
            self._writer.end(number, outcome, detail)


async def _replayed(exchange: RecordedExchange, speed: float) -> IncomingResponse:
    schedule = Schedule(exchange, speed, anyio.current_time())
    if exchange.head is None:
        end = exchange.end
        await anyio.sleep_until(schedule.time_of(end.at if end is not None else exchange.request.at))
        raise ConnectionLost(f"{_ending(exchange)}, before its response")
    await anyio.sleep_until(schedule.time_of(exchange.head.at))
    return ReplayedResponse(exchange, ResponseHead(exchange.head.status, exchange.head.headers), schedule)


class ReplayedResponse:
    """A recorded response, received read by read as it was recorded."""

    def __init__(self, exchange: RecordedExchange, head: ResponseHead, schedule: Schedule) -> None:
        self.head = head
        self._exchange = exchange
        self._reads = iter(exchange.data)
        self._schedule = schedule
        self._closed = False

    async def receive(self) -> bytes | None:
        """The next part of the body; None at its end.

        Raises:
            ConnectionLost: where the recorded response broke off.
        """
        if self._closed:
            return None
        for read in self._reads:
            await anyio.sleep_until(self._schedule.time_of(read.at))
            if read.data:  # empty where a secret was whose placeholder is in an earlier read
                return read.data
        end = self._exchange.end
        if end is not None:
            await anyio.sleep_until(self._schedule.time_of(end.at))
        if end is None or end.outcome is not End.EOF:
            raise IncompleteChunkedBody(_ending(self._exchange))
        await anyio.lowlevel.checkpoint()
        return None

    async def finish(self) -> None:
        """Close the response."""
        self._closed = True

    aclose = finish


def _ending(exchange: RecordedExchange) -> str:
    end = exchange.end
    how = "stops" if end is None else f"ended with {end.outcome.value!r}{': ' if end.detail else ''}{end.detail}"
    return f"exchange {exchange.number} of the recording {how}"


def path_in(directory: Path, name: str) -> Path:
    """The path of a recording in a directory.

    Raises:
        LocalProtocolError: when the name is empty.
    """
    if not name:
        raise LocalProtocolError("a recording needs a file name, as in poe_recording('cat.jsonl')")
    return directory / name
