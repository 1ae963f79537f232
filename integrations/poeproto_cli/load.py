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
from poeproto_h11 import failure_reason

_READ_SIZE = 256 * 1024
_LAST_CHUNK = b"\r\n0\r\n\r\n"


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
        self._response = _Response()
        self._start = 0.0
        self.socket = self._connect()

    @property
    def first(self) -> float:
        """Seconds from the request to the first event; 0 before it has arrived."""
        return self._response.first - self._start if self._response.first else 0.0

    @property
    def received(self) -> bytes:
        """The bytes of the response so far."""
        return b"".join(self._response.parts)

    def begin(self) -> None:
        """Send the query.

        Raises:
            ConnectionLost, ConnectFailed: when the server has disconnected.
        """
        if self._response.closes:
            self.socket.close()
            self.socket = self._connect()
        self._response = _Response()
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
        try:
            plain = socket.create_connection((origin.host, origin.port), self._timeout)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if origin.scheme == "http":
                return plain
            return self._tls().wrap_socket(plain, server_hostname=origin.host)
        except OSError as exc:
            raise ConnectFailed(f"no connection to {origin}: {failure_reason(exc)}") from exc

    def _tls(self) -> ssl.SSLContext:
        if self._ssl_context is None:
            import truststore  # imported here, so that plain HTTP starts faster

            self._ssl_context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        return self._ssl_context


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
        """Receive so many replies in all. A connection sends the next query as soon as its reply is complete."""
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


class _Response:
    """One response while it is received. Little is done for each read."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.first = 0.0
        self.closes = False
        self._head_read = False
        self._chunked = False
        self._size = 0
        self._whole_size: int | None = None
        self._tail = b""

    def receive(self, data: bytes) -> bool:
        """Add the data of one read; returns whether the response is complete."""
        self.parts.append(data)
        self._size += len(data)
        if not self.first:
            self._find_first_event()
        if not data:
            if self._chunked or self._whole_size is not None or not self._head_read:
                raise ConnectionLost("the server closed the connection within a reply")
            return True
        if self._chunked:
            self._tail = (self._tail + data[-len(_LAST_CHUNK) :])[-len(_LAST_CHUNK) :]
            return self._tail == _LAST_CHUNK
        return self._whole_size is not None and self._size >= self._whole_size

    def _find_first_event(self) -> None:
        start = b"".join(self.parts)
        if not self._head_read:
            head, found, _ = start.partition(b"\r\n\r\n")
            if not found:
                return
            self._read_head(head.lower(), len(head) + len(found))
        if b"data:" in start:
            self.first = time.perf_counter()

    def _read_head(self, head: bytes, size: int) -> None:
        self._head_read = True
        fields = {name: value for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:])}
        self._chunked = b"chunked" in fields.get(b"transfer-encoding", b"")
        length = fields.get(b"content-length")
        try:
            self._whole_size = size + int(length) if length is not None else None
        except ValueError as exc:
            raise RemoteProtocolError("the peer's HTTP is invalid: its content-length is not a number") from exc
        until_close = not self._chunked and length is None
        self.closes = until_close or b"close" in fields.get(b"connection", b"") or head.startswith(b"http/1.0")
