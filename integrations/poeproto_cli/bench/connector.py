"""Opens connections in threads, since a name look-up or a TLS handshake would hold up all other replies."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue

from poeproto import ConnectFailed
from poeproto_cli.load import open_socket, tls_context
from poeproto_h11 import Origin

_THREADS = 16


class Connector:
    """Opens connections to one server. Call `close` at the end.

    Args:
        origin: the server.
        timeout: seconds that a connection may take.

    Attributes:
        bell: a socket that is readable when `opened` has something.
    """

    def __init__(self, origin: Origin, timeout: float) -> None:
        self._origin = origin
        self._timeout = timeout
        self._ssl_context = tls_context() if origin.scheme == "https" else None
        self._threads = ThreadPoolExecutor(_THREADS)
        self._opened: SimpleQueue[socket.socket | ConnectFailed] = SimpleQueue()
        self.bell, self._rung = socket.socketpair()
        self.bell.setblocking(False)
        self._rung.setblocking(False)

    def request(self) -> None:
        """Open a connection; `opened` then has it, or the reason for the failure."""
        self._threads.submit(self._open)

    def opened(self) -> Generator[socket.socket | ConnectFailed]:
        """The connections that were opened since, and why others were not."""
        with contextlib.suppress(BlockingIOError):
            self.bell.recv(4096)
        with contextlib.suppress(Empty):
            while True:
                yield self._opened.get_nowait()

    def next(self) -> socket.socket | ConnectFailed:
        """Wait for a connection that was requested."""
        return self._opened.get()

    def close(self) -> None:
        """Close the connections that were opened and not used."""
        self._threads.shutdown(cancel_futures=True)
        for each in self.opened():
            if isinstance(each, socket.socket):
                each.close()
        self.bell.close()
        self._rung.close()

    def _open(self) -> None:
        try:
            opened = open_socket(self._origin, self._timeout, self._ssl_context)
            opened.setblocking(False)
        except ConnectFailed as exc:
            opened = exc
        self._opened.put(opened)
        with contextlib.suppress(BlockingIOError):  # it has been rung often enough
            self._rung.send(b"\0")
