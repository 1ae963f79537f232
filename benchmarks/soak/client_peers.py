"""Scripted servers on plain sockets and threads, for the scenarios of the clients."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
DONE = b"event: done\ndata: {}\n\n"

Script = Callable[["Peer"], None]


def chunk(data: bytes) -> bytes:
    """A chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def text(said: str) -> bytes:
    """A `text` event of plain ASCII."""
    return b'event: text\ndata: {"text": "%b"}\n\n' % said.encode()


class Peer:
    """The server's end of one connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._buffer = b""

    def read_request(self) -> tuple[bytes, bytes] | None:
        """Read the head and the body of the next request; None if the client has disconnected."""
        while b"\r\n\r\n" not in self._buffer:
            if not self._read():
                return None
        head, _, rest = self._buffer.partition(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        while len(rest) < size:
            if not self._read():
                return None
            rest = self._buffer.partition(b"\r\n\r\n")[2]
        self._buffer = rest[size:]
        return head, rest[:size]

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def has_said_more(self) -> bool:
        """Whether the client has sent data before it had the response; end of input does not count."""
        if self._buffer:
            return True
        with contextlib.suppress(BlockingIOError):
            return bool(self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        return False

    def until_disconnected(self) -> None:
        """Return when the client has closed the connection."""
        while self.connection.recv(65536):
            pass

    def _read(self) -> bool:
        data = self.connection.recv(65536)
        self._buffer += data
        return bool(data)


@contextmanager
def serving(script: Script) -> Generator[str]:
    """Serve, and run the script in a thread for each connection; yields the address."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:

        def accept() -> None:
            with contextlib.suppress(OSError):  # the listener has been closed
                while True:
                    threading.Thread(target=_run, args=(listener.accept()[0], script), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # closing would not wake the thread
            thread.join()


def _run(connection: socket.socket, script: Script) -> None:
    with connection, contextlib.suppress(ConnectionError):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        script(Peer(connection))


@contextmanager
def deaf() -> Generator[str]:
    """Accept connections, and read nothing; yields the address."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield f"127.0.0.1:{listener.getsockname()[1]}/"


@contextmanager
def full() -> Generator[str]:
    """Listen with a full queue, so the kernel drops new connections; yields the address."""
    with socket.socket() as listener, contextlib.ExitStack() as waiting:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            connection = waiting.enter_context(socket.socket())
            connection.setblocking(False)
            connection.connect_ex(listener.getsockname())
        yield f"127.0.0.1:{listener.getsockname()[1]}/"
