"""A server of precomputed bytes: it answers with one write, or one an event, and parses as little HTTP as possible.

Clients are measured with it, and it shows the rate that the load generator can receive.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from functools import cache

from benchmarks.apps import BLOCK, DONE, PACE_SECONDS, encoded, text_of, wish_of

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


_END = b"0\r\n\r\n"


@cache
def response_to(content: str) -> bytes:
    """The whole response: "burst 1000" in chunks of 64 KiB, "singly 1000" in a chunk for each event.

    "crlf 1000" is a burst as sse-starlette writes it.
    """
    manner, count = wish_of(content)
    events = like_sse_starlette(count) if manner == "crlf" else [*encoded(count), DONE]
    if manner == "singly":
        chunks = events
    else:
        whole = b"".join(events)
        chunks = [whole[start : start + BLOCK] for start in range(0, len(whole), BLOCK)]
    return _HEAD + b"".join(map(_chunk, chunks)) + _END


@cache
def like_sse_starlette(count: int) -> list[bytes]:
    """The events of a reply as nearly every bot writes them: CR LF at line ends, and the spaces of `json.dumps`."""
    events = [("text", {"text": text_of(number)}) for number in range(count)]
    return [f"event: {name}\r\ndata: {json.dumps(data)}\r\n\r\n".encode() for name, data in [*events, ("done", {})]]


def _chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)


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
        content = json.loads(body)["query"][-1]["content"]
        manner, count = wish_of(content)
        if manner == "paced":
            self._transport.write(_HEAD)
            self._write_next(iter(like_sse_starlette(count)))
        else:
            self._transport.write(response_to(content))

    def _write_next(self, events: Iterator[bytes]) -> None:
        """Write an event, and the next one after a pause."""
        event = next(events, None)
        if self._transport.is_closing():
            return
        if event is None:
            self._transport.write(_END)
        else:
            self._transport.write(_chunk(event))
            asyncio.get_running_loop().call_later(PACE_SECONDS, self._write_next, events)


async def serve_bare_sockets(listener: socket.socket, backlog: int) -> None:
    """Serve until cancelled."""
    server = await asyncio.get_running_loop().create_server(_Connection, sock=listener, backlog=backlog)
    async with server:
        await server.serve_forever()
