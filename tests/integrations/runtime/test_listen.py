"""The sockets that servers are given."""

from __future__ import annotations

import os
import socket
from typing import Any, NoReturn

import pytest

from poeproto_runtime.listen import listen


def test_small_events_do_not_wait_for_one_another() -> None:
    with listen("127.0.0.1:0") as listener, socket.create_connection(listener.getsockname()[:2]):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize(
    ("number", "words"),
    [(-2, "Name or service not known"), (98, os.strerror(98))],
)
def test_an_address_that_cannot_be_had_is_named_once(number: int, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(address: Any, **more: Any) -> NoReturn:
        raise OSError(number, f"{words} (while attempting to bind on address {address!r})")  # as the library has it

    monkeypatch.setattr(socket, "create_server", refuse)
    with pytest.raises(OSError, match="cannot listen") as caught:
        listen("bots.invalid:80")
    assert caught.value.strerror == f"cannot listen on bots.invalid:80: {words}"
