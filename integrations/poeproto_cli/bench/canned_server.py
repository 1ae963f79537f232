"""A server of ready bytes, to measure the load generator with. It is run as a script: it imports little, to start fast.

Standard input has the sizes of the parts as a line of JSON, and then the bytes of the response. The server prints its
port, answers each request with the parts, one write each, and exits when standard input ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import sys

_READ_SIZE = 64 * 1024


class _Requests:
    """The requests of one connection."""

    def __init__(self) -> None:
        self._received = b""

    def is_whole(self, data: bytes) -> bool:
        """Add the data of a read; returns whether it completed a request."""
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        if not found or len(body) < int(lengths[0].partition(b":")[2]):
            return False
        self._received = b""
        return True


def serve(listener: socket.socket, parts: list[bytes], until: int) -> None:
    """Answer each request with the parts, until a descriptor is readable."""
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    selector.register(until, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj == until:
                return
            if key.data is None:
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                selector.register(connection, selectors.EVENT_READ, (connection, _Requests()))
            elif not _answer(key.data[0], key.data[1], parts):
                selector.unregister(key.fileobj)
                key.data[0].close()


def _answer(connection: socket.socket, requests: _Requests, parts: list[bytes]) -> bool:
    """Read once, and answer a request that is whole; returns whether the connection is still open."""
    with contextlib.suppress(OSError):
        data = connection.recv(_READ_SIZE)
        if data and requests.is_whole(data):
            for part in parts:
                connection.sendall(part)
        return bool(data)
    return False


def main() -> None:
    """Serve the response that standard input has."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to this process, too; the command ends it
    sizes: list[int] = json.loads(sys.stdin.buffer.readline())
    parts = [sys.stdin.buffer.read(size) for size in sizes]
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        print(listener.getsockname()[1], flush=True)
        serve(listener, parts, sys.stdin.fileno())
    os._exit(0)  # no graceful close is needed


if __name__ == "__main__":
    main()
