"""One HTTP/1.1 connection of a client: h11 says what the bytes mean, a stream moves them."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator

import h11

from poeproto import (
    BodyWriter,
    ConnectionLost,
    DeadlineExceeded,
    HttpRequest,
    IncompleteChunkedBody,
    IncompleteSizedBody,
    LocalProtocolError,
    RemoteProtocolError,
    ResponseHead,
    StreamedBody,
)
from poeproto_h11.client.chunks import ChunkTaker
from poeproto_h11.client.streams import ByteStream
from poeproto_h11.client.timeouts import Timeouts

_MAX_HEAD = 32 * 1024
_SLICE = 64 * 1024
_END = h11.EndOfMessage()
# How h11 finds the end of a head: some servers leave out the CR.
_END_OF_HEAD = re.compile(rb"\n\r?\n")
_END_OF_HEAD_CUT = 2  # bytes of it that may stand at the end of what has come
# Where h11 quotes the bytes that it does not accept.
_QUOTED = re.compile(r":? (?:bytearray\()?b['\"].*", re.DOTALL)


def h11_reason(exc: h11.ProtocolError) -> str:
    """What h11 says of a fault, without the bytes that it quotes: a key may be in them, repeated by the peer."""
    return _QUOTED.sub("", str(exc))


class Clock:
    """What is left of one call's time, which runs from here.

    Args:
        timeouts: the deadlines of the call.
    """

    def __init__(self, timeouts: Timeouts) -> None:
        self.timeouts = timeouts
        self._end = time.monotonic() + timeouts.total

    def at_most(self, seconds: float) -> Clock:
        """A clock that ends this early, if not earlier."""
        clock = Clock(self.timeouts)
        clock._end = min(self._end, time.monotonic() + seconds)
        return clock

    def left(self, seconds: float) -> float:
        """These seconds, or less if the call's time is shorter; never negative."""
        return max(0.0, min(seconds, self._end - time.monotonic()))

    def exceeded(self, name: str) -> DeadlineExceeded:
        """The error that says which deadline passed."""
        if time.monotonic() >= self._end:
            name = "total"
        return DeadlineExceeded(f"the {name} timeout of {getattr(self.timeouts, name):g} s passed")


class Connection:
    """A connection that carries one exchange after the other.

    Args:
        stream: where the bytes go, already connected.
    """

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD)
        self._head: ResponseHead | None = None
        self._unread = b""  # what came behind a head, and h11 has not seen
        self._end_of_head = b""  # of the head that is coming, the last bytes
        self._chunks: ChunkTaker | None = None
        self._request_cut_short = False
        self._written = 0
        self._failure: ConnectionLost | RemoteProtocolError | None = None

    async def send(self, request: HttpRequest, body: bytes, target: str, host: str, clock: Clock) -> None:
        """Send a whole request.

        Raises:
            LocalProtocolError: when HTTP has no form for it.
            ConnectionLost, DeadlineExceeded: the connection is of no further use then, but for reading an early answer
                after the former.
        """
        head = self._begin(request, len(body), target, host)
        await self._write(head + self._h11_send(h11.Data(data=body)) + self._h11_send(_END), clock)

    async def send_streamed(
        self,
        request: HttpRequest,
        body: StreamedBody,
        chunks: AsyncIterator[bytes],
        target: str,
        host: str,
        clock: Clock,
    ) -> None:
        """Send a request whose file comes part by part.

        Raises:
            LocalProtocolError: also when the file is not as large as was declared; the connection is of no further use.
            ConnectionLost, DeadlineExceeded: as in `send`.
        """
        writer = BodyWriter(body)
        await self._write(self._begin(request, len(body), target, host), clock)
        await self._write(self._h11_send(h11.Data(data=writer.begin())), clock)
        async for chunk in chunks:
            await self._write(self._h11_send(h11.Data(data=writer.send(chunk))), clock)
            if self._request_cut_short:
                return
        end = self._h11_send(h11.Data(data=writer.end())) + self._h11_send(_END)
        await self._write(end, clock)

    def _begin(self, request: HttpRequest, length: int, target: str, host: str) -> bytes:
        self._written = 0
        headers = [(b"host", host.encode()), *request.headers, (b"content-length", str(length).encode())]
        try:
            return self._h11_send(h11.Request(method=request.method, target=target, headers=headers))
        except h11.LocalProtocolError as exc:
            failure = LocalProtocolError(f"the request cannot be written: {h11_reason(exc)}")
        raise failure  # here, so that what h11 quotes is not its context

    def _h11_send(self, event: h11.Event) -> bytes:
        return self._h11.send(event) or b""

    async def _write(self, data: bytes, clock: Clock) -> None:
        view = memoryview(data)
        try:
            # In slices, since the timeout is for a peer that takes nothing, not for one that takes its time.
            for start in range(0, len(view), _SLICE):
                if self._written >= _SLICE and await self._stream.is_answering():
                    # The peer answers already, with a refusal as a rule. Writing on into the connection that it is
                    # about to close would cost us that answer.
                    self._request_cut_short = True
                    return
                await self._stream.send(bytes(view[start : start + _SLICE]), clock.left(clock.timeouts.idle))
                self._written += len(view[start : start + _SLICE])
        except TimeoutError as exc:
            raise clock.exceeded("idle") from exc

    async def receive_head(self, clock: Clock) -> ResponseHead:
        """The head of the response.

        Raises:
            ConnectionLost, DeadlineExceeded: the connection is of no further use then.
            RemoteProtocolError: when the peer does not speak HTTP.
        """
        end = time.monotonic() + clock.timeouts.header
        while True:
            data = await self._read(clock, end - time.monotonic(), "header")
            self._h11.receive_data(self._up_to_body(data))  # of one head, before which others may come (RFC 9110, 15.2)
            event = self._next_event()
            if isinstance(event, h11.Response):
                self._head = head = ResponseHead(event.status_code, event.headers.raw_items())
                if (b"transfer-encoding", b"chunked") in head.headers and head.status == 200:
                    self._chunks = ChunkTaker()
                else:
                    self._take_events([])  # a body of no bytes is at its end
                return head

    async def receive_body(self, clock: Clock) -> bytes | None:
        """What has come of the body, at least one byte; None at its end.

        Raises:
            ConnectionLost, DeadlineExceeded: the connection is of no further use then.
            RemoteProtocolError: when the peer does not speak HTTP.
        """
        # All that one read brought is handed on at once: most servers send each event as a chunk of its own.
        parts: list[bytes] = []
        while not parts:
            if self._failure is not None:  # what was good before it has been returned
                raise self._failure
            if self._h11.their_state is not h11.SEND_BODY:
                return None
            self._receive(await self._read(clock, clock.timeouts.idle, "idle"), parts)
        return b"".join(parts)

    def ready_for_next(self) -> bool:
        """Whether the exchange is over and another may begin; prepares for it."""
        if not self._request_cut_short and self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE:
            self._h11.start_next_cycle()
            self._head = self._chunks = None
            return True
        return False

    def is_quiet(self) -> bool:
        """Whether nothing has come since the last exchange, not even an end."""
        return not self._h11.trailing_data[0] and not self._unread and self._stream.is_quiet()

    async def aclose(self) -> None:
        """Close at once."""
        await self._stream.aclose()

    async def _read(self, clock: Clock, seconds: float, name: str) -> bytes:
        """What comes next; none at the end."""
        if self._unread:
            data, self._unread = self._unread, b""
            return data
        try:
            return await self._stream.receive(clock.left(seconds))
        except TimeoutError as exc:
            raise clock.exceeded(name) from exc
        except ConnectionLost as exc:
            raise self._cut_short(str(exc)) from exc

    def _up_to_body(self, data: bytes) -> bytes:
        """The data up to the end of the head, if that is in it. Whose the rest is depends on what the head says."""
        seen = self._end_of_head + data
        end = _END_OF_HEAD.search(seen)
        if end is None:
            self._end_of_head = seen[-_END_OF_HEAD_CUT:]
            return data
        size = end.end() - len(self._end_of_head)
        self._end_of_head, self._unread = b"", data[size:]
        return data[:size]

    def _receive(self, data: bytes, parts: list[bytes]) -> None:
        """Take the chunks in the data, and give h11 the rest of it, if there is any, or the end."""
        if self._chunks is not None and data:
            taken, data = self._chunks.take(data)
            parts += taken
            if self._chunks.fault:
                self._failure = RemoteProtocolError(f"the peer's HTTP is not acceptable: {self._chunks.fault}")
            if not data:
                return
        self._h11.receive_data(data)
        self._take_events(parts)

    def _take_events(self, parts: list[bytes]) -> None:
        """Take what h11 makes of what it was given of the body."""
        while self._failure is None and self._h11.their_state is h11.SEND_BODY:
            try:
                event = self._next_event()
            except (ConnectionLost, RemoteProtocolError) as exc:
                self._failure = exc
                return
            if event is h11.NEED_DATA:
                return
            if isinstance(event, h11.Data):
                parts.append(bytes(event.data))

    def _next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        try:
            return self._h11.next_event()
        except h11.RemoteProtocolError as exc:
            if self._h11.trailing_data[1]:
                where = "without an answer" if self._head is None else "within the response"
                failure: Exception = self._cut_short(f"the peer closed the connection {where}")
            else:
                failure = RemoteProtocolError(f"the peer's HTTP is not acceptable: {h11_reason(exc)}")
        raise failure  # here, so that what h11 quotes is not its context

    def _cut_short(self, message: str) -> ConnectionLost:
        """What it is that the connection breaks off here. A body without a length ends with its connection, rightly."""
        if self._head is not None and self._head.get_all("transfer-encoding"):
            return IncompleteChunkedBody(message)
        if self._head is not None and self._head.get_all("content-length"):
            return IncompleteSizedBody(message)
        return ConnectionLost(message)
