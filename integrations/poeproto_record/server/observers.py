"""Observers of HTTP/1.1: parse the forwarded bytes with h11, and change nothing.

Each message has an `h11.Connection` of its own, since h11 cannot follow pipelined requests.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

import attrs
import h11

from poeproto_h11.client.connection import h11_reason
from poeproto_record.records import End
from poeproto_record.writer import RecordingWriter

# The longest head, and the longest trailers.
HEAD_SIZE = 32 * 1024
_SWITCHED = 101
_BLANK = b"\r\n"
_TUNNEL = "the connection became a tunnel, which is not recorded"


@attrs.define(eq=False)
class OpenExchange:
    """An exchange on a connection, from its request on.

    Attributes:
        number: its number in the recording.
        method: the method of its request.
        proposes_switch: whether the request asks for another protocol.
        has_ended: whether its end was recorded.
    """

    number: int
    method: bytes
    proposes_switch: bool
    has_ended: bool = False


@attrs.frozen
class RequestPart:
    """The part of a request in one read.

    Attributes:
        raw: the bytes to forward.
        head: the head, in the part in which it ends.
        payloads: the bytes of the body in this part, chunk by chunk.
        is_end: whether the request ends here.
    """

    raw: bytes
    head: h11.Request | None = None
    payloads: tuple[bytes, ...] = ()
    is_end: bool = False


class RequestObserver:
    """Splits the bytes of a client into requests.

    Args:
        rewrite: converts the bytes of a head into those that are forwarded.

    Attributes:
        is_opaque: whether everything is forwarded unparsed.
    """

    def __init__(self, rewrite: Callable[[bytes, h11.Request], bytes]) -> None:
        self.is_opaque = False
        self._rewrite = rewrite
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_SIZE)
        self._head = b""  # an incomplete head
        self._in_body = False

    def receive(self, data: bytes) -> Iterator[RequestPart]:
        """Receive a read; its parts, at most one for each request.

        Raises:
            h11.RemoteProtocolError: for a head that is not valid HTTP. An invalid body is forwarded, and so is all
                that follows.
        """
        while data:
            if self.is_opaque:
                yield RequestPart(data)
                return
            if self._in_body:
                part, data = self._receive_body(data, None, b"")
            else:
                if not self._head:
                    data = data.lstrip(_BLANK)  # a server should ignore them (RFC 9112, 2.2); h11 does not
                self._head += data
                self._h11.receive_data(data)
                event = self._h11.next_event()
                if not isinstance(event, h11.Request):
                    return
                data = self._h11.trailing_data[0]
                raw = self._head[: len(self._head) - len(data)]
                if len(raw) > HEAD_SIZE:  # h11 bounds an incomplete head, but not one that arrives whole
                    raise h11.RemoteProtocolError("the head is too large", error_status_hint=431)
                self._head, self._in_body = b"", True
                part, data = self._receive_body(data, event, self._rewrite(raw, event))
            yield part

    def become_opaque(self) -> bytes:
        """Forward all following bytes unparsed, and also the part of a head that was received."""
        self.is_opaque = True
        return self._head

    def _receive_body(self, data: bytes, head: h11.Request | None, raw: bytes) -> tuple[RequestPart, bytes]:
        """A part with its share of the body, and the bytes after the request."""
        payloads: list[bytes] = []
        try:
            if head is None:
                self._h11.receive_data(data)
            while isinstance(event := self._h11.next_event(), h11.Data):
                payloads.append(bytes(event.data))
        except h11.RemoteProtocolError:  # the server is the one to refuse it
            self.is_opaque = True
            return RequestPart(raw + data, head, tuple(payloads)), b""
        if not isinstance(event, h11.EndOfMessage):
            return RequestPart(raw + data, head, tuple(payloads)), b""
        rest = self._h11.trailing_data[0]
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_SIZE)
        self._in_body = False
        return RequestPart(raw + data[: len(data) - len(rest)], head, tuple(payloads), is_end=True), rest


class ResponseObserver:
    """Records the responses that a server sends, in the order of the requests of its connection.

    Args:
        writer: the recording.

    Attributes:
        open: the exchanges whose responses are due or under way.
        is_opaque: whether nothing more is recorded: the connection is a tunnel, or the server does not speak HTTP.
    """

    def __init__(self, writer: RecordingWriter) -> None:
        self.open: deque[OpenExchange] = deque()
        self.is_opaque = False
        self._writer = writer
        self._h11: h11.Connection | None = None

    def receive(self, data: bytes) -> None:
        """Record a read."""
        # Unsolicited bytes are forwarded and not recorded, such as a 408 before an idle connection closes.
        while data and self.open and not self.is_opaque:
            if self._h11 is None:
                self._h11 = _response_parser(self.open[0])
            self._h11.receive_data(data)
            try:
                data = self._record(self._h11)
            except h11.RemoteProtocolError as exc:
                self.is_opaque = True
                self.end_open(End.RESET, f"the response is not valid HTTP: {h11_reason(exc)}")

    def receive_eof(self) -> None:
        """The server has closed its side. Exchanges whose response is incomplete stay open."""
        if self._h11 is not None and not self.is_opaque:
            self._h11.receive_data(b"")
            try:
                self._record(self._h11)
            except h11.RemoteProtocolError:
                self._h11 = None

    def end_open(self, outcome: End, detail: str) -> None:
        """Record the end of all exchanges that are open."""
        while self.open:
            self._end(outcome, detail)

    def _end(self, outcome: End, detail: str = "") -> None:
        exchange = self.open.popleft()
        exchange.has_ended = True
        self._h11 = None
        self._writer.end(exchange.number, outcome, detail)

    def _record(self, parser: h11.Connection) -> bytes:
        """Record the complete events; returns the bytes after the end of the response."""
        exchange = self.open[0]
        while True:
            match parser.next_event():
                case h11.InformationalResponse() as head:
                    if head.status_code == _SWITCHED:
                        self._writer.head(exchange.number, head.status_code, tuple(head.headers))
                        return self._become_tunnel()
                case h11.Response() as head:
                    self._writer.head(exchange.number, head.status_code, tuple(head.headers))
                    if exchange.method == b"CONNECT" and head.status_code < 300:
                        return self._become_tunnel()
                case h11.Data() as read:
                    self._writer.data(exchange.number, bytes(read.data))
                case h11.EndOfMessage():
                    rest = parser.trailing_data[0]
                    self._end(End.EOF)
                    return rest
                case _:
                    return b""

    def _become_tunnel(self) -> bytes:
        self.is_opaque = True
        self._end(End.EOF, _TUNNEL)
        self.end_open(End.RESET, _TUNNEL)
        return b""


def _response_parser(exchange: OpenExchange) -> h11.Connection:
    # How h11 parses a response depends on the method, and on the upgrade that the request proposed.
    headers = [("host", "")] + ([("upgrade", "any"), ("connection", "upgrade")] if exchange.proposes_switch else [])
    parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_SIZE)
    parser.send(h11.Request(method=exchange.method, target="/", headers=headers))
    parser.send(h11.EndOfMessage())
    return parser
