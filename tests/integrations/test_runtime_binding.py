"""The sockets that servers are given."""

from __future__ import annotations

import socket
from functools import partial

import anyio
import pytest

from poeproto import Bot
from poeproto_asgi import BotApp, serve
from poeproto_runtime.binding import listen


def test_small_events_do_not_wait_for_one_another() -> None:
    with listen("127.0.0.1:0") as listener, socket.create_connection(listener.getsockname()[:2]):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.anyio
async def test_a_listener_that_workers_share_is_at_no_time_made_to_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it blocks is one thing for all of them, and one that accepts meanwhile would stand still."""
    timeouts: list[float | None] = []
    set_timeout = socket.socket.settimeout

    def watched(self: socket.socket, value: float | None, /) -> None:
        timeouts.append(value)
        set_timeout(self, value)

    listener = socket.create_server(("127.0.0.1", 0))
    monkeypatch.setattr(socket.socket, "settimeout", watched)
    async with anyio.create_task_group() as tasks:
        await tasks.start(partial(serve, BotApp(Bot(), allow_without_key=True), bind=listener))
        tasks.cancel_scope.cancel()
    assert None not in timeouts
