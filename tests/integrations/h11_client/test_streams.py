"""The client's streams over anyio, whose event loop may read ahead."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel
import pytest

from poeproto_h11.client.anyio_backend import AnyioStream

pytestmark = pytest.mark.anyio


class ReadAhead(anyio.abc.ByteStream):
    """A stream whose event loop has read all of this from the socket already, as asyncio does."""

    def __init__(self, data: bytes, connection: socket.socket) -> None:
        self._data = data
        self._socket = connection

    async def receive(self, max_bytes: int = 65536) -> bytes:
        await anyio.lowlevel.checkpoint()
        taken, self._data = self._data[:max_bytes], self._data[max_bytes:]
        return taken

    async def send(self, item: bytes) -> None:
        await anyio.lowlevel.checkpoint()

    async def send_eof(self) -> None:
        await anyio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        await anyio.lowlevel.checkpoint()

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        return {anyio.abc.SocketAttribute.raw_socket: lambda: self._socket}


async def test_what_the_loop_has_read_ahead_is_not_quiet() -> None:
    here, there = socket.socketpair()
    with here, there:
        stream = AnyioStream(ReadAhead(bytes(100_000), here))
        assert stream.is_idle()
        first = await stream.receive(5)
        assert not stream.is_idle()
        assert len(first + await stream.receive(5)) == 100_000
        assert stream.is_idle()
        there.send(b"x")
        assert not stream.is_idle()
