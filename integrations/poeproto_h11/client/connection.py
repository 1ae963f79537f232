"""One HTTP/1.1 connection of a client: h11 interprets the bytes, a stream moves them."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator

import h11

from poeproto import (
    ConnectionLost,
    HttpRequest,
    IncompleteChunkedBody,
    IncompleteSizedBody,
    LocalProtocolError,
    RemoteProtocolError,
    ResponseHead,
)
from poeproto.http import BodyWriter, StreamedBody
from poeproto_h11.client.backend import ByteStream, EventLoop
from poeproto_h11.client.chunks import ChunkReader
from poeproto_h11.client.proxy import Proxy, ProxyFailed
from poeproto_h11.client.timeouts import Clock

__all__ = ["h11_reason"]

# The longest head of a response, and the longest trailers, in bytes. Interim responses have heads of their own.
_MAX_HEAD = 32 * 1024
# h11 bounds incomplete trailers only, so they are passed to it in parts.
_CHUNKED_PART = 1024
_SLICE = 64 * 1024
_INTERNAL_ERROR = 500
_END = h11.EndOfMessage()
# The end of a head as h11 finds it: some servers leave out the CR.
_END_OF_HEAD = re.compile(rb"\n\r?\n")
_END_OF_HEAD_CUT = 2  # how many bytes of it one read may end with
# Messages of h11 that quote the rejected bytes.
_QUOTED = re.compile(r":? (?:bytearray\()?b['\"].*", re.DOTALL)


def h11_reason(exc: h11.ProtocolError) -> str:
    """The message of an h11 error without the bytes that it quotes: a peer may have repeated a key in them."""
    return _QUOTED.sub("", str(exc))


class Connection:
    """A connection that carries one exchange after the other.

    Args:
        stream: a connected stream.
        loop: the event loop that it belongs to, if any.
        proxy: the proxy that it leads to, which forwards the requests; None if it leads to the origin.

    Attributes:
        loop: the same.
        is_interrupted: whether a read of a body did not return, so that it may have taken bytes from the stream. (A
            cancelled one has not, but KeyboardInterrupt strikes between any two instructions.) The connection must be
            closed then.
    """

    def __init__(self, stream: ByteStream, loop: EventLoop | None = None, proxy: Proxy | None = None) -> None:
        self.loop = loop
        self.is_interrupted = False
        self._stream = stream
        self._proxy = proxy
        self._forwarded_to = ""
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD)
        self._head: ResponseHead | None = None
        self._early_response: h11.Response | None = None  # received while the request was being written
        self._unread = b""  # bytes after a head, which h11 has not been given
        self._end_of_head = b""  # the last bytes of an incomplete head
        self._head_size = 0  # how much of an incomplete head was read
        self._chunks: ChunkReader | None = None
        self._request_cut_short = False
        self._written = 0
        self._failure: ConnectionLost | RemoteProtocolError | None = None

    async def send(self, request: HttpRequest, body: bytes, target: str, host: str, clock: Clock) -> None:
        """Send a whole request.

        Raises:
            LocalProtocolError: when HTTP has no form for it.
            ConnectionLost: the connection must be closed then, but an early response may still be read from it.
            DeadlineExceeded: the connection must be closed then.
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
        """Send a request whose body is read from a file in parts.

        Raises:
            LocalProtocolError: also when the file is not of the declared size; the connection must be closed then.
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
        if self._proxy is not None:
            self._forwarded_to = f"http://{host}"
            target = self._forwarded_to + target
            if self._proxy.authorization is not None:
                headers.append((b"proxy-authorization", self._proxy.authorization))
        try:
            return self._h11_send(h11.Request(method=request.method, target=target, headers=headers))
        except h11.LocalProtocolError as exc:
            failure = LocalProtocolError(f"the request cannot be written: {h11_reason(exc)}")
        raise failure  # outside of the except clause, so that h11's error, which quotes bytes, is not its __context__

    def _h11_send(self, event: h11.Event) -> bytes:
        return self._h11.send(event) or b""

    async def _write(self, data: bytes, clock: Clock) -> None:
        """Write to the connection until the peer answers.

        A peer that answers before it has read the request usually rejects it, and closes. If we wrote on, its reset
        could destroy that answer before we read it; and a peer that does not read would keep us waiting.
        """
        view = memoryview(data)
        # In slices, because the timeout bounds the time without progress, not the time of a whole body.
        for start in range(0, len(view), _SLICE):
            part = bytes(view[start : start + _SLICE])
            size = len(part)
            if self._written >= _SLICE and await self._stream.is_answering() and await self._is_answered(clock):
                return
            while not await self._send(part, clock):
                if await self._is_answered(clock):
                    return
                part = b""  # the stream has the rest of it
            self._written += size

    async def _send(self, part: bytes, clock: Clock) -> bool:
        try:
            return await self._stream.send_until_answered(part, clock.left(clock.timeouts.idle))
        except TimeoutError as exc:
            raise clock.exceeded("idle") from exc
        except ConnectionLost:
            self._request_cut_short = True
            raise

    async def _is_answered(self, clock: Clock) -> bool:
        """Read the available bytes; return whether they cut the request short: a response, or a failure.

        An interim response does not: the peer may be waiting for the rest of the request (RFC 9110, 15.2).
        """
        try:
            self._early_response = self._response_in(await self._read(clock, clock.timeouts.idle, "idle"))
            while self._early_response is None and self._unread:
                self._early_response = self._response_in(await self._read(clock, clock.timeouts.idle, "idle"))
        except (ConnectionLost, RemoteProtocolError) as exc:
            self._failure = exc  # raised by `receive_head`
        self._request_cut_short = self._early_response is not None or self._failure is not None
        return self._request_cut_short

    async def receive_head(self, clock: Clock) -> ResponseHead:
        """The head of the response.

        Raises:
            ConnectionLost, DeadlineExceeded: the connection must be closed then.
            RemoteProtocolError: when the peer does not speak HTTP.
            ProxyFailed: when the proxy requires other credentials, so it has not forwarded the request.
        """
        end = time.monotonic() + clock.timeouts.header
        if self._failure is not None:
            raise self._failure
        response, self._early_response = self._early_response, None
        while response is None:
            response = self._response_in(await self._read(clock, end - time.monotonic(), "header"))
        self._head = head = ResponseHead(response.status_code, response.headers.raw_items())
        if self._proxy is not None and self._proxy.is_refusal(head):
            raise ProxyFailed(
                f"no connection to {self._forwarded_to} through the proxy {self._proxy}: "
                + self._proxy.refusal_reason(head)
            )
        if (b"transfer-encoding", b"chunked") in head.headers and head.status == 200:
            self._chunks = ChunkReader()
        else:
            self._read_events([])  # an empty body ends here
        return head

    def _response_in(self, data: bytes) -> h11.Response | None:
        """The response whose head ends in the data, if one does. Interim ones may precede it (RFC 9110, 15.2)."""
        self._h11.receive_data(self._up_to_body(data))  # passes h11 one head and no more
        event = self._next_event()
        return event if isinstance(event, h11.Response) else None

    async def receive_body(self, clock: Clock) -> bytes | None:
        """The next bytes of the body, at least one; None at its end.

        Raises:
            ConnectionLost, DeadlineExceeded: the connection must be closed then.
            RemoteProtocolError: when the peer does not speak HTTP.
        """
        self.is_interrupted = True
        chunks = self._chunks
        # Everything that one read returned is delivered at once: most servers send each event in its own chunk.
        parts: list[bytes] = []
        while not parts:
            if self._failure is not None:  # the good data before it has been returned
                raise self._failure
            if (chunks is None or chunks.is_over) and self._h11.their_state is not h11.SEND_BODY:
                self.is_interrupted = False
                return None
            if self._unread:
                data, self._unread = self._unread, b""
            else:
                # As in `_read`, which would be one more coroutine for every event that arrives alone.
                try:
                    data = await self._stream.receive(clock.left(clock.timeouts.idle))
                except TimeoutError as exc:
                    raise clock.exceeded("idle") from exc
                except ConnectionLost as exc:
                    raise self._cut_short(str(exc)) from exc
            if chunks is not None and (content := chunks.read_one(data)) is not None:
                self.is_interrupted = False
                return content
            self._receive(data, parts)
        self.is_interrupted = False
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def ready_for_next(self) -> bool:
        """Whether the exchange is complete and another may begin; prepares h11 for it.

        None may begin after status 500: uvicorn, for one, closes then without an announcement, and a request that is on
        its way at that time would be lost.
        """
        if self._request_cut_short or (self._head is not None and self._head.status == _INTERNAL_ERROR):
            return False
        if self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE:
            self._h11.start_next_cycle()
            self._head = self._chunks = None
            return True
        return False

    def is_idle(self) -> bool:
        """Whether nothing has arrived since the last exchange, not even the end of the stream."""
        return not self._h11.trailing_data[0] and not self._unread and self._stream.is_idle()

    async def aclose(self) -> None:
        """Close at once."""
        await self._stream.aclose()

    def close_socket(self) -> None:
        """Close without waiting: in the connection's event loop, or after that has ended."""
        self._stream.close_socket()

    async def _read(self, clock: Clock, seconds: float, name: str) -> bytes:
        """The next bytes; empty at the end."""
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
        """The data up to the end of the head, if it contains that; the rest is kept until the head was parsed."""
        seen = self._end_of_head + data
        end = _END_OF_HEAD.search(seen)
        size = len(data) if end is None else end.end() - len(self._end_of_head)
        self._head_size += size
        if self._head_size > _MAX_HEAD:
            raise RemoteProtocolError(
                f"the peer's HTTP is invalid: the response's head is larger than {_MAX_HEAD} bytes"
            )
        if end is None:
            self._end_of_head = seen[-_END_OF_HEAD_CUT:]
            return data
        self._end_of_head, self._unread, self._head_size = b"", data[size:], 0
        return data[:size]

    def _receive(self, data: bytes, parts: list[bytes]) -> None:
        """Read the chunks in the data, and pass the rest of it, or the end, to h11."""
        if self._chunks is not None and data:
            read, data = self._chunks.read(data)
            parts += read
            if self._chunks.fault:
                self._failure = RemoteProtocolError(f"the peer's HTTP is invalid: {self._chunks.fault}")
            if not data:
                return
        step = _CHUNKED_PART if self._is_chunked() else _SLICE
        for start in range(0, len(data) or 1, step):
            self._h11.receive_data(data[start : start + step])
            self._read_events(parts)

    def _is_chunked(self) -> bool:
        return self._head is not None and bool(self._head.get_all("transfer-encoding"))

    def _read_events(self, parts: list[bytes]) -> None:
        """Read h11's events of the body."""
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
                failure = RemoteProtocolError(f"the peer's HTTP is invalid: {h11_reason(exc)}")
        raise failure  # outside of the except clause, so that h11's error, which quotes bytes, is not its __context__

    def _cut_short(self, message: str) -> ConnectionLost:
        """The error for a connection that ends here. A body without a length rightly ends with its connection."""
        if self._is_chunked():
            return IncompleteChunkedBody(message)
        if self._head is not None and self._head.get_all("content-length"):
            return IncompleteSizedBody(message)
        return ConnectionLost(message)
