"""The replay: a server that answers requests with the recorded responses, read by read.

A response whose head says `Transfer-Encoding: chunked` is sent in the recorded chunks. Otherwise each read is written
by itself, and the network may join them.

How an exchange ended is replayed, too: after `reset`, or where the recording stopped, the connection is reset; after
`timeout` and `client-gone` nothing more comes, until the client disconnects.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator

import anyio
import anyio.abc
import h11

from poeproto.http import Headers, without_key
from poeproto_h11.client.connection import h11_reason
from poeproto_record.exchanges import RecordedExchange, Recording
from poeproto_record.matching import NoRecordedExchange, RecordedReplies, ReplayMatch
from poeproto_record.records import End, RecordedHead
from poeproto_record.schedule import Schedule, check_speed
from poeproto_record.server.error_response import error_response
from poeproto_record.server.listener import serve_connections
from poeproto_record.server.observers import HEAD_SIZE
from poeproto_record.server.sockets import PlainSocket
from poeproto_runtime.listen import listening

__all__ = ["replay"]

logger = logging.getLogger("poeproto")

_LINGER_SECONDS = 2.0
_LARGEST_BODY = 64 * 1024 * 1024
# How many bytes of pipelined requests are read during a response.
_READ_AHEAD = 64 * 1024
_WITHOUT_BODY = frozenset({204, 304})
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


async def replay(
    recording: Recording,
    *,
    bind: str = "127.0.0.1:8083",
    match: ReplayMatch = ReplayMatch.LAST_MESSAGE,
    speed: float = 1,
    task_status: anyio.abc.TaskStatus[str] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serve the responses of a recording until cancelled.

    Args:
        recording: the recording.
        bind: where to listen, as of `poeproto_asgi.serve`.
        match: which exchange answers a request. A request without one is answered with 404 and the differences.
        speed: how many times as fast as recorded; 0 does not wait.
        task_status: for `anyio.abc.TaskGroup.start`; given the address once connections are accepted.

    Raises:
        ValueError, OSError: when the speed or the address is malformed, or the address cannot be bound.
    """
    check_speed(speed)
    replies = RecordedReplies(recording.exchanges, match)

    async def handle(client: PlainSocket) -> None:
        await ReplayConnection(client, replies, speed).run()

    with listening(bind) as listener:
        await serve_connections(listener, handle, task_status)


class _Closed(Exception):
    """The connection ends here. With a reset, if `resets`."""

    def __init__(self, *, resets: bool = False) -> None:
        self.resets = resets


class ReplayConnection:
    """A connection of a client.

    Args:
        client: the connection, which this takes over.
        replies: finds the exchange for a request.
        speed: how many times as fast as recorded.
    """

    def __init__(self, client: PlainSocket, replies: RecordedReplies, speed: float) -> None:
        self._client = client
        self._replies = replies
        self._speed = speed
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_SIZE)

    async def run(self) -> None:
        """Serve the connection until it ends."""
        resets = True  # of open exchanges, when this is cancelled
        try:
            while True:
                request, body = await self._receive()
                keeps_alive = await self._answer(request, body)
                if not keeps_alive:
                    await self._linger()
                    raise _Closed
                self._next_cycle()
        except _Closed as closed:
            resets = closed.resets
        except h11.RemoteProtocolError as exc:
            why = f"the request is not valid HTTP: {h11_reason(exc)}"
            with contextlib.suppress(OSError):
                await self._client.send(error_response(exc.error_status_hint, {"error": why}, b""))
                await self._linger()
            resets = False
        except OSError as exc:
            logger.debug("a connection ended: %s", exc)
        finally:
            self._client.close(reset=resets)

    async def _receive(self) -> tuple[h11.Request, bytes]:
        """The next request, whole."""
        request: h11.Request | None = None
        body = bytearray()
        while True:
            event = self._h11.next_event()
            if isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > _LARGEST_BODY:
                    raise h11.RemoteProtocolError("the body is too large", error_status_hint=413)
            elif isinstance(event, h11.EndOfMessage) and request is not None:
                return request, bytes(body)
            else:
                if self._h11.they_are_waiting_for_100_continue:
                    self._h11.send(h11.InformationalResponse(status_code=100, headers=[]))
                    await self._client.send(_CONTINUE)
                data = await self._client.receive()
                if not data:
                    raise _Closed
                self._feed(data, is_between=request is None)

    def _feed(self, data: bytes, *, is_between: bool) -> None:
        if is_between and not self._h11.trailing_data[0]:
            data = data.lstrip(b"\r\n")  # a server should ignore them (RFC 9112, 2.2); h11 does not
        if data:
            self._h11.receive_data(data)

    def _next_cycle(self) -> None:
        rest = self._h11.trailing_data[0]
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_SIZE)
        self._feed(rest, is_between=True)

    async def _answer(self, request: h11.Request, body: bytes) -> bool:
        """Answer a request; whether the connection may be used again."""
        method, target = request.method.decode("ascii"), request.target.decode("latin-1")
        try:
            found = self._replies.find(method, target, tuple(request.headers), body)
            response = _Response(found, request)
        except NoRecordedExchange as exc:
            logger.warning("%s %s: %s", method, _path(target), exc)
            explanation = {"error": str(exc), "nearest": exc.nearest, "differences": exc.differences}
            await self._client.send(error_response(404, explanation, request.method))
            return False
        is_over = False
        async with anyio.create_task_group() as tasks:

            async def cancel_on_disconnect() -> None:
                await self._wait_disconnected()
                tasks.cancel_scope.cancel()

            tasks.start_soon(cancel_on_disconnect)
            is_over = await self._send(response)
            tasks.cancel_scope.cancel()
        if not is_over:
            raise _Closed(resets=True)
        return response.keeps_alive

    async def _send(self, response: _Response) -> bool:
        """Send a response with its times; whether it is complete. Otherwise the connection is to be reset."""
        schedule = Schedule(response.exchange, self._speed, anyio.current_time())
        try:
            for at, data in response.writes():
                await anyio.sleep_until(schedule.time_of(at))
                await self._client.send(data)
        except OSError:  # the client has disconnected
            return False
        end = response.exchange.end
        if end is not None:
            await anyio.sleep_until(schedule.time_of(end.at))
        if end is not None and end.outcome in (End.TIMEOUT, End.CLIENT_DISCONNECTED):
            await anyio.sleep_forever()  # until the client disconnects
        return response.is_complete

    async def _wait_disconnected(self) -> None:
        with contextlib.suppress(OSError):
            while data := await self._client.receive():
                self._h11.receive_data(data)
                if len(self._h11.trailing_data[0]) > _READ_AHEAD:
                    await anyio.sleep_forever()  # a write that fails shows the disconnect

    async def _linger(self) -> None:
        # A close with unread bytes resets the connection, and may destroy the response.
        await self._client.send_eof()
        with anyio.move_on_after(_LINGER_SECONDS):
            while await self._client.receive():
                pass


class _Response:
    """A recorded response, as it is written to a client.

    Args:
        exchange: the exchange.
        request: the client's request.

    Attributes:
        exchange: the same.
        is_complete: whether it was received to its end.
        keeps_alive: whether the connection may be used again.

    Raises:
        NoRecordedExchange: when the recorded head cannot be written.
    """

    def __init__(self, exchange: RecordedExchange, request: h11.Request) -> None:
        self.exchange = exchange
        self.is_complete = exchange.end is not None and exchange.end.outcome is End.EOF and exchange.head is not None
        self._head = exchange.head
        headers = exchange.head.headers if exchange.head else ()
        status = exchange.head.status if exchange.head else 200
        self._has_body = request.method != b"HEAD" and status not in _WITHOUT_BODY
        is_old = request.http_version < b"1.1"
        self._is_chunked = self._has_body and not is_old and _has_token(headers, b"transfer-encoding", b"chunked")
        self._headers = self._framed(headers)
        has_length = any(name == b"content-length" for name, _ in self._headers)
        ends_by_itself = self._is_chunked or has_length or not self._has_body
        closes = _has_token(headers, b"connection", b"close") or _has_token(request.headers, b"connection", b"close")
        self.keeps_alive = ends_by_itself and not closes and not is_old
        try:
            h11.Response(status_code=status, headers=list(self._headers))
        except h11.LocalProtocolError as exc:
            raise NoRecordedExchange(
                f"exchange {exchange.number} answers the request, but its head cannot be sent: {h11_reason(exc)}"
            ) from None

    def _framed(self, headers: Headers) -> list[tuple[bytes, bytes]]:
        """The headers, with those that frame the body as it is sent."""
        framed = [pair for pair in headers if pair[0] != b"transfer-encoding" or self._is_chunked]
        if self._is_chunked:
            return [pair for pair in framed if pair[0] != b"content-length"]
        if not self._has_body:
            return framed
        # A redacted body has another length.
        size = len(self.exchange.response_body)
        length = b"%d" % size
        if not self.is_complete:
            recorded = max(
                [int(value) for name, value in headers if name == b"content-length" and value.isdigit()] + [0]
            )
            length = b"%d" % max(recorded, size + 1)
        return [(name, length if name == b"content-length" else value) for name, value in framed]

    def writes(self) -> Iterator[tuple[float, bytes]]:
        """The bytes to write, with the recorded time of each write."""
        if self._head is None:
            return
        yield self._head.at, _head(self._head, self._headers)
        for read in self.exchange.data if self._has_body else ():
            if read.data:
                yield read.at, b"%x\r\n%b\r\n" % (len(read.data), read.data) if self._is_chunked else read.data
        if self.is_complete and self._is_chunked:
            yield self.exchange.last_at, b"0\r\n\r\n"


def _head(head: RecordedHead, headers: list[tuple[bytes, bytes]]) -> bytes:
    lines = [f"HTTP/1.1 {head.status} {head.phrase}".encode(), *(b"%b: %b" % pair for pair in headers)]
    return b"\r\n".join([*lines, b"", b""])


def _has_token(headers: Iterable[tuple[bytes, bytes]], name: bytes, token: bytes) -> bool:
    values = b",".join(value for key, value in headers if key == name)
    return token in [each.strip() for each in values.lower().split(b",")]


def _path(target: str) -> str:
    return without_key(target).partition("?")[0]
