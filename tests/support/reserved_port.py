"""A port for a program that cannot be given a socket."""

from __future__ import annotations

import socket
from collections.abc import Generator
from contextlib import closing, contextmanager


class ReservedPort:
    """A port of the loopback address that no other program gets.

    A socket that is bound to it, and does not listen, reserves it. Connections are refused until somebody listens. A
    listener must have SO_REUSEPORT or SO_REUSEADDR, as this socket does.
    """

    def __init__(self) -> None:
        self._socket = self._bind(0)
        self.number: int = self._socket.getsockname()[1]

    def listen(self) -> socket.socket:
        """A new listening socket."""
        listener = self._bind(self.number)
        listener.listen()
        return listener

    def close(self) -> None:
        """Let others have the port."""
        self._socket.close()

    @staticmethod
    def _bind(port: int) -> socket.socket:
        bound = socket.socket()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(("127.0.0.1", port))
        return bound


@contextmanager
def reserved_port() -> Generator[int]:
    """A port of the loopback address that is reserved within the block, and refuses connections."""
    with closing(ReservedPort()) as port:
        yield port.number
