"""The sockets that servers are given."""

from __future__ import annotations

import socket

from poeproto_runtime.binding import listen


def test_small_events_do_not_wait_for_one_another() -> None:
    with listen("127.0.0.1:0") as listener, socket.create_connection(listener.getsockname()[:2]):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
