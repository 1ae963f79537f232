"""A bot server of plain threads and sockets that fails as often as configured, and counts its requests."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

EVENTS = 4
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nbusy"
_ERROR = {"allow_retry": False, "text": "no", "error_type": "user_message_too_long"}


class LoadPeer:
    """Answers each query with `EVENTS` texts and `done`, or as `kind_of` says.

    The kinds: "complete"; "error_event", "incomplete" (an end without `done`) and "disconnected" (without the last
    chunk) after the
    first text; "refused" (503); "silent" and "invalid" from the start.

    Args:
        kind_of: the kind of the answer to the query with this number, from 0, and this body.
        pause: seconds between two texts.

    Attributes:
        counts: how many queries were answered in each way. "left" are those whose client disconnected before the end.
        requests: the head and the body of each query.
    """

    def __init__(self, kind_of: Callable[[int, dict[str, Any]], str] | None = None, pause: float = 0.0) -> None:
        self.counts: Counter[str] = Counter()
        self.requests: list[tuple[bytes, dict[str, Any]]] = []
        self._kind_of = kind_of or _complete
        self._pause = pause
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/"

    def serve(self) -> None:
        """Accept connections until the listener is closed."""
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer_all, args=(connection,), daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes `accept`
        self._listener.close()

    def _answer_all(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection, connection.makefile("rb") as file:
            while head := self._read_head(file):
                length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
                query = json.loads(file.read(length))
                with self._lock:
                    kind = self._kind_of(len(self.requests), query)
                    self.requests.append((head, query))
                try:
                    goes_on = self._answer(connection, kind)
                except OSError:
                    kind, goes_on = "left", False
                with self._lock:
                    self.counts[kind] += 1
                if not goes_on:
                    return

    def _read_head(self, file: Any) -> bytes:
        head = b""
        try:
            while line := file.readline():
                head += line
                if line == b"\r\n":
                    return head
        except OSError:
            pass
        return b""

    def _answer(self, connection: socket.socket, kind: str) -> bool:
        """Answer a query; returns whether another may follow on the connection."""
        if kind == "refused":
            connection.sendall(_BUSY)
            return True
        if kind == "silent":
            connection.recv(1)  # until the client disconnects
            return False
        connection.sendall(_HEAD)
        if kind == "invalid":
            connection.sendall(b"no chunk\r\n")
            return False
        for number in range(EVENTS):
            if number:
                self._wait(connection)
                if kind != "complete":
                    break
            connection.sendall(_chunk("text", {"text": f"event {number} "}))
        if kind == "disconnected":
            return False
        if kind == "complete":
            connection.sendall(_chunk("done", {}))
        elif kind == "error_event":
            connection.sendall(_chunk("error", _ERROR))
        connection.sendall(b"0\r\n\r\n")
        return True

    def _wait(self, connection: socket.socket) -> None:
        """Wait for the pause, or until the client disconnects."""
        end = time.monotonic() + self._pause
        connection.settimeout(max(self._pause, 0.001))
        try:
            if not connection.recv(1, socket.MSG_PEEK):
                raise ConnectionResetError("the client disconnected")
        except TimeoutError:
            pass
        finally:
            connection.settimeout(None)
        assert time.monotonic() >= end - 0.01, "a client sent something within a reply"


def _complete(number: int, query: dict[str, Any]) -> str:
    return "complete"


def _chunk(event: str, data: dict[str, Any]) -> bytes:
    content = f"event: {event}\r\ndata: {json.dumps(data)}\r\n\r\n".encode()
    return b"%x\r\n%s\r\n" % (len(content), content)


@contextmanager
def load_peer(kind_of: Callable[[int, dict[str, Any]], str] | None = None, pause: float = 0.0) -> Generator[LoadPeer]:
    """A peer that serves in threads until the end."""
    peer = LoadPeer(kind_of, pause)
    thread = threading.Thread(target=peer.serve, daemon=True)
    thread.start()
    try:
        yield peer
    finally:
        peer.close()
        thread.join()
