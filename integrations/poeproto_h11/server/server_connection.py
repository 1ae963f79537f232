"""One connection to the embedded server: h11 on a socket, as the channel of its requests."""

from __future__ import annotations

import functools
import math
import re
import socket
import time
from collections.abc import Callable, Coroutine
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

import anyio
import anyio.lowlevel
import h11

from poeproto import HttpResponse, RemoteProtocolError, RequestHead, ResponseHead
from poeproto.http import Headers
from poeproto_h11.server.limits import ServerLimits
from poeproto_h11.server.peer_socket import PeerSocket
from poeproto_runtime import ClientDisconnected
from poeproto_runtime.channel import within_send_seconds

# How often a connection is polled whose bytes are no longer read.
_POLL_SECONDS = 1.0
_NOT_HTTP = "the request is not acceptable HTTP"
_TIMED_OUT = "the request took too long to arrive"
_STOPPING = "the server is about to stop"
_BUSY = "the server has too many connections; try again later"
# The characters of a host and port, or nothing (RFC 3986, 3.2.2; RFC 9112, 3.2 asks for 400 otherwise).
_HOST = re.compile(rb"[A-Za-z0-9._~%!$&'()*+,;=:\[\]-]*")
_BLANK = b"\r\n"
_LINE_ENDS = (b"\r", b"\n")
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})


class ServerConnection:
    """A client's connection, and the `Channel` of the requests on it, one after the other.

    Args:
        raw: its socket, which this takes over.
        client: the client's address and port.
        limits: the bounds of the connection.
        send_seconds: how long a write may take.
        do_others_wait: whether connections wait for this one to close; then it is not kept alive.

    Attributes:
        is_refused: whether `stop_if_idle` has ended the read of a request, so that `refuse` must follow.
    """

    def __init__(
        self,
        raw: socket.socket,
        client: tuple[str, int] | None,
        limits: ServerLimits,
        send_seconds: float,
        do_others_wait: Callable[[], bool],
    ) -> None:
        self._socket = PeerSocket(raw)
        self._client = client
        self._limits = limits
        self._send_seconds = send_seconds
        self._do_others_wait = do_others_wait
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.head_size)
        self._method = ""
        self._is_chunked = False  # whether the body of the response is, once it has begun
        self._had_request = False
        self._is_idle = False  # whether it is kept alive after a response, and nothing has been read since
        # For the head of a request. A silent client has waited in the system's queue as well.
        self._waits_since = anyio.current_time() - self._socket.seconds_unread()
        self.is_refused = False
        self._body_deadline = 0.0
        self._is_last = False  # whether no request may follow the current one
        self._responding = False  # whether a response has begun and is not complete
        self._stopping = False
        self._reading: anyio.CancelScope | None = None  # around a read of a request

    def stop(self) -> None:
        """Accept no further request, and end the read of one that is still incomplete: it is answered with 503."""
        self._stopping = True
        if self._reading is not None:
            self._reading.cancel()

    def stop_if_idle(self, seconds: float) -> bool:
        """End the read of a request for those that wait; returns whether the connection ends soon.

        An idle connection closes. One that has sent no complete head for `seconds` is refused. One that has just
        connected, or whose request has arrived, continues.
        """
        if self.is_refused or self._stopping or self._is_last:
            return True
        if self._socket.is_readable():
            return False
        if self._is_idle:
            self.stop()
        elif anyio.current_time() - self._waits_since >= seconds:
            self.is_refused = True
            if self._reading is not None:
                self._reading.cancel()
        return self.is_refused or self._stopping

    async def refuse(self) -> None:
        """Answer with 503 and `Retry-After`, whatever the request is."""
        headers = ((b"retry-after", b"%d" % math.ceil(self._limits.queue_seconds)),)
        await self._send_last(_error_response(503, _BUSY, headers))
        if self._socket.is_readable():  # else a close does not reset the connection, and others need its descriptor
            await self._linger()

    async def next_head(self) -> RequestHead | None:
        """The head of the next request; None when there is none, or it was answered with an error here."""
        try:
            event = await self._next_request()
        except h11.RemoteProtocolError as exc:
            await self._respond_error(exc.error_status_hint, _NOT_HTTP)
            return None
        if event is None:
            return None
        self._had_request, self.is_refused = True, False
        self._method = event.method.decode("ascii")
        headers = tuple(event.headers)  # once: h11 makes new pairs at every access
        status = _error_status(event.http_version, headers)
        if status is not None:
            await self._respond_error(status, _NOT_HTTP)
            return None
        if not any(name in _FRAMING for name, _ in headers):
            # There is no body (RFC 9112, 6.3). Read its end now: with nothing unread, the connection can stay open.
            self._h11.next_event()
        self._body_deadline = anyio.current_time() + self._limits.body_seconds
        target = event.target.decode("latin-1")
        return RequestHead(self._method, target, headers, client=self._client)

    def seconds_unread(self) -> float:
        """How long the first bytes of an accepted connection have waited to be read, as far as the system says."""
        return self._socket.seconds_unread()

    async def ready_for_next(self) -> bool:
        """Whether another request may follow on this connection; if not, wait for the client to close it."""
        if self._responding:
            return False
        ours, theirs = self._h11.our_state, self._h11.their_state
        if ours is h11.DONE and theirs is h11.DONE and not self._stopping:
            self._h11.start_next_cycle()
            self._skip_blank_lines()
            self._method = ""
            return True
        if not self._stopping or theirs in (h11.SEND_BODY, h11.ERROR):
            await self._linger()
        return False

    def close(self) -> None:
        """Close the connection at once."""
        # During a response, by a reset. It shows that the response is incomplete, in HTTP/1.0 too, and it frees what
        # the client has not read.
        self._socket.close(reset=self._responding)

    # --- the Channel

    async def receive(self) -> bytes | None:
        if self._h11.their_state is not h11.SEND_BODY:
            return None
        if self._h11.they_are_waiting_for_100_continue:
            with within_send_seconds(self._send_seconds):
                await self._write(self._h11.send(h11.InformationalResponse(status_code=100, headers=[])))
        try:
            while (event := self._h11.next_event()) is h11.NEED_DATA:
                data = await self._read_by(self._body_deadline)
                if data is None:
                    raise _rejected(503, _STOPPING) if self._stopping else _rejected(408, _TIMED_OUT)
                if not data:
                    raise ClientDisconnected("the client disconnected before its request was complete")
                self._h11.receive_data(data)
        except h11.RemoteProtocolError as exc:
            raise _rejected(400, _NOT_HTTP) from exc
        if not isinstance(event, h11.Data):
            return None
        self._body_deadline += len(event.data) / self._limits.body_rate
        return bytes(event.data)

    async def wait_disconnected(self) -> None:
        # A client may pipeline its next request. It is buffered up to a bound; beyond that, only polling is left.
        buffered = len(self._h11.trailing_data[0])
        while buffered < self._limits.head_size:
            data = await self._socket.receive()
            if not data:
                return
            buffered += len(data)
            self._h11.receive_data(data)
        while not self._socket.has_hung_up():  # noqa: ASYNC110 - no event reports it
            await anyio.sleep(_POLL_SECONDS)

    async def respond(self, response: HttpResponse) -> None:
        parts = [self._head(response.status, response.headers)]
        if self._method != "HEAD":
            parts.append(self._h11.send(h11.Data(data=response.body)))
        parts.append(self._h11.send(h11.EndOfMessage()))
        await self._write(*parts)
        self._responding = False

    async def start(self, head: ResponseHead) -> None:
        await self._write(self._head(head.status, head.headers))
        # In HTTP/1.0 the end of the connection ends the body.
        self._is_chunked = self._h11.their_http_version != b"1.0"  # h11 frames so for 1.1 and higher minor versions

    def send(self, data: bytes) -> Coroutine[Any, Any, None] | None:
        # Framed here: h11 takes as long for that as the kernel for the write, and stays in the same state.
        return self._socket.send(b"%x\r\n%b\r\n" % (len(data), data) if self._is_chunked else data)

    async def finish(self, data: bytes) -> None:
        if self._socket.partly_sent:
            raise ClientDisconnected("an earlier write was cut short, so the response cannot be completed")
        await self._write(self._h11.send(h11.Data(data=data)), self._h11.send(h11.EndOfMessage()))
        self._responding = False

    # --- parts of the above

    def _skip_blank_lines(self) -> None:
        """Drop line ends before the next request that has been received already; h11 would parse them as a request."""
        received = self._h11.trailing_data[0]
        if received[:1] in _LINE_ENDS:
            self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=self._limits.head_size)
            if rest := received.lstrip(_BLANK):
                self._h11.receive_data(rest)

    async def _next_request(self) -> h11.Request | None:
        limits, began = self._limits, anyio.current_time()
        size = len(self._h11.trailing_data[0])  # of a request that was pipelined
        if size:
            await anyio.lowlevel.checkpoint()  # nothing else need suspend this task, and other connections wait
        if self._had_request:
            self._waits_since = began
        self._is_idle = self._had_request and not size
        deadline = began + (limits.idle_seconds if self._is_idle else limits.head_seconds)
        blank = 0  # line ends before the request, which a server should ignore (RFC 9112, 2.2)
        while (event := self._h11.next_event()) is h11.NEED_DATA:
            # `stop` may have come when there was no read to cancel.
            data = None if self._stopping or self.is_refused else await self._read_by(deadline)
            if data is None:
                if size and not self._stopping and not self.is_refused:
                    await self._respond_error(408, _TIMED_OUT)
                return None
            if data and not size:
                blank += len(data)
                data = data.lstrip(_BLANK)
                blank -= len(data)
                if blank > limits.head_size:
                    raise h11.RemoteProtocolError("too many empty lines", error_status_hint=400)
                if not data:
                    continue
            if self._is_idle:
                self._is_idle, self._waits_since = False, anyio.current_time()
                deadline = self._waits_since + limits.head_seconds
            size += len(data)
            self._h11.receive_data(data)
        if not isinstance(event, h11.Request):
            return None
        # h11 bounds an incomplete head, but not one that arrives whole.
        if size - len(self._h11.trailing_data[0]) > limits.head_size:
            raise h11.RemoteProtocolError("the head is too large", error_status_hint=431)
        return event

    def _head(self, status: int, headers: Headers) -> bytes | None:
        self._responding = True
        # The rest of the request will not be read, so no other can follow it.
        closes = self._is_last or self._stopping or self._do_others_wait()
        closes = closes or self._h11.their_state in (h11.SEND_BODY, h11.ERROR)
        return self._h11.send(_response(status, headers, closes, int(time.time())))

    async def _respond_error(self, status: int, why: str) -> None:
        await self._send_last(_error_response(status, why))
        await self._linger()

    async def _send_last(self, response: HttpResponse) -> None:
        self._is_last = True
        with within_send_seconds(self._send_seconds):
            await self.respond(response)

    async def _linger(self) -> None:
        # End our side first: the client may read until then (RFC 9112, 9.6). On a broken connection, reads end at once.
        self._socket.send_eof()
        left, deadline = self._limits.linger_size, anyio.current_time() + self._limits.linger_seconds
        while left > 0 and (data := await self._read_by(deadline)):
            left -= len(data)

    async def _read_by(self, deadline: float) -> bytes | None:
        """The next bytes, empty at the end of the stream; None at the deadline, and when `stop` ends the read."""
        try:
            with anyio.CancelScope(deadline=deadline) as self._reading:
                return await self._socket.receive()
        finally:
            self._reading = None
        return None

    async def _write(self, *parts: bytes | None) -> None:
        rest = self._socket.send(b"".join(part for part in parts if part))
        if rest is not None:
            await rest


@functools.lru_cache(maxsize=16)
def _response(status: int, headers: Headers, closes: bool, now: int) -> h11.Response:
    # A server with a clock must send Date (RFC 9110, 6.6.1).
    sent = [*headers, (b"date", formatdate(now, usegmt=True).encode())]
    if closes:
        sent.append((b"connection", b"close"))
    return h11.Response(status_code=status, headers=sent, reason=HTTPStatus(status).phrase.encode())


def _error_status(version: bytes, headers: Headers) -> int | None:
    """The status of the error response for a head that h11 accepts and we do not; header names are in lower case."""
    if not version.startswith(b"1."):  # a higher minor version is read as 1.1 (RFC 9110, 2.5)
        return 505
    framing = {name for name, _ in headers if name in _FRAMING}
    # If a proxy frames the body differently, the rest of it would be parsed as a request (request smuggling). RFC 9112,
    # 6.1 calls the second case faulty framing.
    if len(framing) > 1 or (b"transfer-encoding" in framing and version == b"1.0"):
        return 400
    if not all(_HOST.fullmatch(value) for name, value in headers if name == b"host"):
        return 400
    return None


def _error_response(status: int, why: str, headers: Headers = ()) -> HttpResponse:
    return HttpResponse.of(status, "application/json", b'{"error": "%s"}' % why.encode(), headers)


def _rejected(status: int, why: str) -> RemoteProtocolError:
    """The exception by which the `Channel` has the service send the error response."""
    return RemoteProtocolError(why, response=_error_response(status, why))
