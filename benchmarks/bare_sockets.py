"""A server of precomputed bytes: it answers each request with one write, and parses as little HTTP as possible.

Clients are measured with it, and it shows the rate that the load generator can receive.
"""

from __future__ import annotations

import asyncio
import json
import socket
from functools import cache

from benchmarks.apps import BLOCK, DONE, encoded, wish_of

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


@cache
def response_to(content: str) -> bytes:
    """The whole response: "burst 1000" in chunks of 64 KiB, "singly 1000" in a chunk for each event."""
    manner, count = wish_of(content)
    events = [*encoded(count), DONE]
    if manner == "singly":
        chunks = events
    else:
        whole = b"".join(events)
        chunks = [whole[start : start + BLOCK] for start in range(0, len(whole), BLOCK)]
    return _HEAD + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        if len(body) < int(lengths[0].partition(b":")[2]):
            return
        self._received = b""
        self._transport.write(response_to(json.loads(body)["query"][-1]["content"]))


async def serve_bare_sockets(listener: socket.socket, backlog: int) -> None:
    """Serve until cancelled."""
    server = await asyncio.get_running_loop().create_server(_Connection, sock=listener, backlog=backlog)
    async with server:
        await server.serve_forever()
