"""One connection to the embedded server: h11 on a socket, as the channel of its requests."""

from __future__ import annotations

import functools
import select
import socket
import time
from email.utils import formatdate
from http import HTTPStatus

import anyio
import anyio.lowlevel
import h11

from poeproto import HttpResponse, RequestHead, ResponseHead
from poeproto.vocabulary.http import Headers
from poeproto_h11.server.limits import ServerLimits
from poeproto_h11.server.peer_socket import PeerSocket
from poeproto_h11.server.refusals import has_body, refusal, refusal_of, refused
from poeproto_runtime import ClientDisconnected
from poeproto_runtime.reply.writer import within_send_seconds

# How often to look whether a peer is still there whose bytes are not read.
_LOOK_SECONDS = 1.0
# Linux tells a peer's end even behind bytes that nobody has read. Elsewhere only a reset is seen so.
_HANG_UP: int = getattr(select, "POLLRDHUP", 0)
_NOT_HTTP = "the request is not acceptable HTTP"
_TOO_LATE = "the request took too long to arrive"
_STOPPING = "the server is about to stop"


class AcceptedConnection:
    """A client's connection, and the `Channel` of the requests on it, one after the other.

    Args:
        raw: its socket, which this takes over.
        client: the client's address and port.
        limits: what the connection may take.
        send_seconds: how long a write may take.
    """

    def __init__(
        self,
        raw: socket.socket,
        client: tuple[str, int] | None,
        limits: ServerLimits,
        send_seconds: float,
    ) -> None:
        self._socket = PeerSocket(raw)
        self._raw = raw
        self._client = client
        self._limits = limits
        self._send_seconds = send_seconds
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.head_size)
        self._method = ""
        self._used = False
        self._body_deadline = 0.0
        self._last = False  # whether no request may follow this one
        self._answering = False  # whether an answer has begun that is not yet complete
        self._stopping = False
        self._waiting: anyio.CancelScope | None = None  # for the peer's bytes, while there is no answer under way

    def stop(self) -> None:
        """Take no other request, and leave or refuse one that is still arriving."""
        self._stopping = True
        if self._waiting is not None:
            self._waiting.cancel()

    async def next_head(self) -> RequestHead | None:
        """The head of the next request; None when there is none, or none that can be answered."""
        try:
            event = await self._next_request()
        except h11.RemoteProtocolError as exc:
            await self._refuse(exc.error_status_hint, _NOT_HTTP)
            return None
        if event is None:
            return None
        self._used = True
        self._method = event.method.decode("ascii")
        headers = tuple(event.headers)  # once, since h11 makes each pair anew
        status = refusal_of(event.http_version, headers)
        if status is not None:
            await self._refuse(status, _NOT_HTTP)
            return None
        if not has_body(headers):
            # Read its end now: nothing is left unread then, and the connection can stay open.
            self._h11.next_event()
        self._body_deadline = anyio.current_time() + self._limits.body_seconds
        target = event.target.decode("latin-1")
        return RequestHead(self._method, target, headers, client=self._client)

    async def ready_for_next(self) -> bool:
        """Whether another request may come on this connection; waits for the peer to close it otherwise."""
        if self._answering:
            return False
        ours, theirs = self._h11.our_state, self._h11.their_state
        if ours is h11.DONE and theirs is h11.DONE and not self._stopping:
            self._h11.start_next_cycle()
            self._method = ""
            return True
        if not self._stopping or theirs in (h11.SEND_BODY, h11.ERROR):
            await self._linger()
        return False

    def close(self) -> None:
        """Close the connection at once."""
        # Within an answer by a reset: it says, to HTTP/1.0 too, that the answer is not complete, and frees what nobody
        # reads.
        self._socket.close(reset=self._answering)

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
                    raise refused(503, _STOPPING) if self._stopping else refused(408, _TOO_LATE)
                if not data:
                    raise ClientDisconnected("the peer closed the connection within its request")
                self._h11.receive_data(data)
        except h11.RemoteProtocolError as exc:
            raise refused(400, _NOT_HTTP) from exc
        if not isinstance(event, h11.Data):
            return None
        self._body_deadline += len(event.data) / self._limits.body_rate
        return bytes(event.data)

    async def wait_disconnected(self) -> None:
        # A peer that sends its next request early stays; what it sends waits, within a bound.
        waiting = len(self._h11.trailing_data[0])
        while waiting < self._limits.head_size:
            data = await self._socket.receive()
            if not data:
                return
            waiting += len(data)
            self._h11.receive_data(data)
        while not _has_hung_up(self._raw):  # noqa: ASYNC110 - no event tells
            await anyio.sleep(_LOOK_SECONDS)

    async def respond(self, response: HttpResponse) -> None:
        parts = [self._head(response.status, response.headers)]
        if self._method != "HEAD":
            parts.append(self._h11.send(h11.Data(data=response.body)))
        parts.append(self._h11.send(h11.EndOfMessage()))
        await self._write(*parts)
        self._answering = False

    async def start(self, head: ResponseHead) -> None:
        await self._write(self._head(head.status, head.headers))

    async def send(self, data: bytes) -> None:
        # Under the old name, since a slow peer would have us hold both.
        data = self._h11.send(h11.Data(data=data))
        await self._socket.send(data)

    async def finish(self, data: bytes) -> None:
        if self._socket.in_parts:
            raise ClientDisconnected("a part of the answer before its end is missing")
        await self._write(self._h11.send(h11.Data(data=data)), self._h11.send(h11.EndOfMessage()))
        self._answering = False

    # --- what they are made of

    async def _next_request(self) -> h11.Request | None:
        limits, began = self._limits, anyio.current_time()
        size = len(self._h11.trailing_data[0])  # it came with the request before
        if size:
            await anyio.lowlevel.checkpoint()  # no answer need wait for anything, and others are to have their turn
        waits = self._used and not size
        deadline = began + (limits.idle_seconds if waits else limits.head_seconds)
        while (event := self._h11.next_event()) is h11.NEED_DATA:
            # It may have been told to stop while there was nothing to cancel.
            data = None if self._stopping else await self._read_by(deadline)
            if data is None:
                if size and not self._stopping:
                    await self._refuse(408, _TOO_LATE)
                return None
            if waits:
                waits, deadline = False, anyio.current_time() + limits.head_seconds
            size += len(data)
            self._h11.receive_data(data)
        if not isinstance(event, h11.Request):
            return None
        # h11 bounds what is not complete, which leaves out a head that comes whole.
        if size - len(self._h11.trailing_data[0]) > limits.head_size:
            raise h11.RemoteProtocolError("the head is too large", error_status_hint=431)
        return event

    def _head(self, status: int, headers: Headers) -> bytes | None:
        self._answering = True
        # What is left of the request will not be read, so no other can follow it.
        closes = self._last or self._stopping or self._h11.their_state in (h11.SEND_BODY, h11.ERROR)
        return self._h11.send(_response(status, headers, closes, int(time.time())))

    async def _refuse(self, status: int, why: str) -> None:
        self._last = True
        with within_send_seconds(self._send_seconds):
            await self.respond(refusal(status, why))
        await self._linger()

    async def _linger(self) -> None:
        # Our end first: a peer may read until there (RFC 9112, 9.6). If the connection broke, reading ends at once.
        self._socket.send_eof()
        left, deadline = self._limits.linger_size, anyio.current_time() + self._limits.linger_seconds
        while left > 0 and (data := await self._read_by(deadline)):
            left -= len(data)

    async def _read_by(self, deadline: float) -> bytes | None:
        """What comes next, nothing at the end; None when it is too late, or the server stops while it waits."""
        try:
            with anyio.CancelScope(deadline=deadline) as self._waiting:
                return await self._socket.receive()
        finally:
            self._waiting = None
        return None

    async def _write(self, *parts: bytes | None) -> None:
        await self._socket.send(b"".join(part for part in parts if part))


@functools.lru_cache(maxsize=16)
def _response(status: int, headers: Headers, closes: bool, now: int) -> h11.Response:
    # A server that has a clock must send Date (RFC 9110, 6.6.1).
    sent = [*headers, (b"date", formatdate(now, usegmt=True).encode())]
    if closes:
        sent.append((b"connection", b"close"))
    return h11.Response(status_code=status, headers=sent, reason=HTTPStatus(status).phrase.encode())


def _has_hung_up(connection: socket.socket) -> bool:
    if not hasattr(select, "poll"):  # Windows: the next write tells
        return False
    poll = select.poll()
    poll.register(connection, _HANG_UP)
    return bool(poll.poll(0))
