"""Load generator for a bot server: many connections from one thread, over plain sockets.

While it measures, it only finds the first event and the end of each response, so that it uses a fraction of the CPU
time of the server. Responses are parsed afterwards, by `poeproto_cli.load_query.events_of`.
"""

from __future__ import annotations

import selectors
import socket
import ssl
import time
from collections.abc import Callable

import attrs

from poeproto import ConnectFailed, ConnectionLost, DeadlineExceeded, RemoteProtocolError
from poeproto_cli.load_query import Query
from poeproto_h11 import Origin, failure_reason

_READ_SIZE = 256 * 1024
_LAST_CHUNK = b"\r\n0\r\n\r\n"
_DATA_FIELD = b"data:"


@attrs.frozen
class Received:
    """One reply, with its timing and not parsed.

    Attributes:
        first: seconds from the request to the first event; 0 if there was none.
        whole: seconds from the request to the end of the response.
        response: the bytes of the response.
    """

    first: float
    whole: float
    response: bytes = attrs.field(repr=False)


class LoadConnection:
    """One connection, which is used for one reply after another.

    Args:
        query: the query to send. The attribute may be set to another query to the same server between replies.
        timeout: seconds that the server may take to accept the connection and the query, and may send nothing.
        ssl_context: for https.

    Raises:
        ConnectFailed: when the connection cannot be made.
    """

    def __init__(self, query: Query, timeout: float, ssl_context: ssl.SSLContext | None = None) -> None:
        self.query = query
        self._timeout = timeout
        self._ssl_context = ssl_context
        self._response = LoadResponse()
        self._start = 0.0
        self.socket = self._connect()

    @property
    def first(self) -> float:
        """Seconds from the request to the first event; 0 before it has arrived."""
        return self._response.first - self._start if self._response.first else 0.0

    @property
    def response(self) -> LoadResponse:
        """The response so far, or the last one."""
        return self._response

    @property
    def received(self) -> bytes:
        """The bytes of the response so far."""
        return self._response.data

    def begin(self) -> None:
        """Send the query.

        Raises:
            ConnectionLost, ConnectFailed: when the server has disconnected.
        """
        if self._response.closes:
            self.socket.close()
            self.socket = self._connect()
        self._response = LoadResponse()
        self.socket.settimeout(self._timeout)
        self._start = time.perf_counter()
        try:
            self.socket.sendall(self.query.data)
        except OSError as exc:
            raise ConnectionLost(f"the query could not be sent: {exc.strerror or exc}") from exc

    def receive(self) -> Received | None:
        """Read once; returns the reply if that completed it.

        Raises:
            ConnectionLost, RemoteProtocolError: when the response is incomplete, or is not HTTP.
            DeadlineExceeded: when nothing arrives within the timeout.
        """
        try:
            data = self.socket.recv(_READ_SIZE)
        except (ssl.SSLWantReadError, BlockingIOError):
            return None  # an incomplete TLS record
        except TimeoutError as exc:
            raise DeadlineExceeded(f"the server sent nothing for {self._timeout:g} s") from exc
        except OSError as exc:
            raise ConnectionLost(f"the connection broke within a reply: {exc.strerror or exc}") from exc
        if not self._response.receive(data):
            return None
        return Received(self.first, time.perf_counter() - self._start, self.received)

    def exchange(self) -> Received:
        """Send the query, and read the whole reply. Raises as `begin` and `receive` do."""
        self.begin()
        while (received := self.receive()) is None:
            pass
        return received

    def pending(self) -> bool:
        """Whether there is decrypted data to read, which a selector does not see."""
        return isinstance(self.socket, ssl.SSLSocket) and self.socket.pending() > 0

    def close(self) -> None:
        self.socket.close()

    def _connect(self) -> socket.socket:
        origin = self.query.origin
        if self._ssl_context is None and origin.scheme != "http":
            self._ssl_context = tls_context()
        return open_socket(origin, self._timeout, self._ssl_context)


def tls_context() -> ssl.SSLContext:
    """A context that verifies certificates as the operating system does."""
    import truststore  # imported here, so that plain HTTP starts faster

    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def open_socket(origin: Origin, timeout: float, ssl_context: ssl.SSLContext | None) -> socket.socket:
    """Connect to a server.

    Args:
        origin: the server.
        timeout: seconds that it may take.
        ssl_context: for https.

    Raises:
        ConnectFailed: when the connection cannot be made.
    """
    try:
        plain = socket.create_connection((origin.host, origin.port), timeout)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if ssl_context is None or origin.scheme == "http":
            return plain
        return ssl_context.wrap_socket(plain, server_hostname=origin.host)
    except OSError as exc:
        raise ConnectFailed(f"no connection to {origin}: {failure_reason(exc)}") from exc


class Load:
    """Many concurrent connections from this thread. Call `close` at the end.

    Args:
        query: the query that each of them sends.
        connections: their number.
        timeout: seconds without a byte on any connection, after which `DeadlineExceeded` is raised.
        ssl_context: for https.

    Raises:
        ConnectFailed: when a connection cannot be made.
    """

    def __init__(
        self, query: Query, connections: int, timeout: float, ssl_context: ssl.SSLContext | None = None
    ) -> None:
        self._timeout = timeout
        self._selector = selectors.DefaultSelector()
        self.connections: list[LoadConnection] = []
        try:
            for _ in range(connections):
                self.connections.append(LoadConnection(query, timeout, ssl_context))
        except BaseException:
            self.close()
            raise

    def replies(self, count: int) -> list[Received]:
        """Receive the given number of replies. A connection sends the next query as soon as its reply is complete."""
        received: list[Received] = []
        left = count

        def ended(connection: LoadConnection, reply: Received) -> None:
            nonlocal left
            received.append(reply)
            if left:
                left -= 1
                self.begin(connection)

        for connection in self.connections[:count]:
            left -= 1
            self.begin(connection)
        self.run(lambda: len(received) == count, ended)
        return received

    def begin(self, connection: LoadConnection) -> None:
        """Send a query on one of the connections, and register it for the reply."""
        connection.begin()
        connection.socket.setblocking(False)
        self._selector.register(connection.socket, selectors.EVENT_READ, connection)

    def run(self, over: Callable[[], bool], ended: Callable[[LoadConnection, Received], None]) -> None:
        """Read replies until a condition is true. Raises as `LoadConnection.receive` does.

        Args:
            over: the condition.
            ended: called with each complete reply.
        """
        while not over():
            ready = self._selector.select(self._timeout)
            if not ready:
                raise DeadlineExceeded(f"the server sent nothing for {self._timeout:g} s")
            for key, _ in ready:
                connection: LoadConnection = key.data
                reply = connection.receive()
                while reply is None and connection.pending():
                    reply = connection.receive()
                if reply is not None:
                    self._selector.unregister(connection.socket)
                    ended(connection, reply)

    def close(self) -> None:
        """Close all connections, without waiting for replies."""
        for connection in self.connections:
            connection.close()
        self._selector.close()


class LoadResponse:
    """One response while it is received. Little is done for each read.

    Attributes:
        parts: the bytes of each read.
        arrivals: the times of the reads with which an event began, by `time.perf_counter`.
        last_read: the time of the last read.
        closes: whether the connection cannot be used after it.
        head_size: the size of the head; 0 until it has been read.
        is_chunked: whether the body is in chunks.
    """

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.arrivals: list[float] = []
        self.last_read = 0.0
        self.closes = False
        self.head_size = 0
        self.is_chunked = False
        self._size = 0
        self._whole_size: int | None = None
        self._tail = b""

    @property
    def first(self) -> float:
        """The time of the first event; 0 before it has arrived."""
        return self.arrivals[0] if self.arrivals else 0.0

    @property
    def data(self) -> bytes:
        """The bytes so far."""
        return b"".join(self.parts)

    @property
    def head(self) -> bytes:
        """The head, with the empty line at its end."""
        return self.data[: self.head_size]

    def body(self) -> bytes:
        """The body so far, without the framing of HTTP.

        Raises:
            RemoteProtocolError: when a chunk has no size.
        """
        framed = self.data[self.head_size :]
        return _join_chunks(framed) if self.is_chunked else framed

    def receive(self, data: bytes) -> bool:
        """Add the data of one read; returns whether the response is complete.

        Raises:
            ConnectionLost, RemoteProtocolError: as `LoadConnection.receive`.
        """
        self.last_read = time.perf_counter()
        self.parts.append(data)
        self._size += len(data)
        if not data:
            if self.is_chunked or self._whole_size is not None or not self.head_size:
                raise ConnectionLost("the server closed the connection within a reply")
            return True
        # An event or the last chunk may be cut by a read.
        body = self._tail + data if self.head_size else self._read_head()
        if body.find(_DATA_FIELD, max(0, len(self._tail) + 1 - len(_DATA_FIELD))) >= 0:
            self.arrivals.append(self.last_read)
        self._tail = body[-len(_LAST_CHUNK) :]
        if self.is_chunked:
            return self._tail == _LAST_CHUNK
        return self._whole_size is not None and self._size >= self._whole_size

    def _read_head(self) -> bytes:
        """Read the head, if it is complete; returns the bytes after it."""
        head, found, body = self.data.partition(b"\r\n\r\n")
        if not found:
            return b""
        self.head_size = len(head) + len(found)
        fields = {name: value for name, _, value in (line.partition(b":") for line in head.lower().split(b"\r\n")[1:])}
        self.is_chunked = b"chunked" in fields.get(b"transfer-encoding", b"")
        length = fields.get(b"content-length")
        try:
            self._whole_size = self.head_size + int(length) if length is not None else None
        except ValueError as exc:
            raise RemoteProtocolError("the peer's HTTP is invalid: its content-length is not a number") from exc
        until_close = not self.is_chunked and length is None
        self.closes = until_close or b"close" in fields.get(b"connection", b"") or head[:8].upper() == b"HTTP/1.0"
        # The line end of the head is that before the first chunk.
        return b"\r\n" + body


def _join_chunks(framed: bytes) -> bytes:
    parts: list[bytes] = []
    start = 0
    while (end := framed.find(b"\r\n", start)) >= 0:
        try:
            size = int(framed[start:end].partition(b";")[0], 16)
        except ValueError:
            raise RemoteProtocolError("the peer's HTTP is invalid: a chunk has no size") from None
        start = end + 2
        parts.append(framed[start : start + size])
        start += size + 2
        if not size:
            break
    return b"".join(parts)
