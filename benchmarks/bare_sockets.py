"""A server of precomputed bytes: it answers with one write, or one an event, and parses as little HTTP as possible.

Clients are measured with it, and it shows the rate that the load generator can receive. It can also relay: then it
copies the bytes of another server, which is the limit for relays.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from functools import cache, partial

from benchmarks.apps import BLOCK, DONE, PACE_SECONDS, encoded, text_of, wish_of
from poeproto_runtime.client.urls import split_url

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


_END = b"0\r\n\r\n"


@cache
def response_to(content: str, *, as_completion: bool = False) -> bytes:
    """The whole response: "burst 1000" in chunks of 64 KiB, "singly 1000" in a chunk for each event.

    "crlf 1000" is a burst as sse-starlette writes it. As a completion, it is what an OpenAI-compatible endpoint sends.
    """
    manner, count = wish_of(content)
    if as_completion:
        events = like_openai(count)
    else:
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


@cache
def like_openai(count: int) -> list[bytes]:
    """The chunks of a chat completion, as OpenAI writes them, and ``[DONE]``."""
    deltas = [({"content": text_of(number)}, None) for number in range(count)]
    chunks = [
        {
            "id": "chatcmpl-0123456789abcdef",
            "object": "chat.completion.chunk",
            "created": 1700000000,
            "model": "source",
            "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}],
        }
        for delta, reason in [*deltas, ({}, "stop")]
    ]
    records = [json.dumps(chunk, separators=(",", ":")) for chunk in chunks]
    return [f"data: {record}\n\n".encode() for record in [*records, "[DONE]"]]


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
        request = json.loads(body)
        as_completion = "messages" in request
        content = request["messages" if as_completion else "query"][-1]["content"]
        manner, count = wish_of(content)
        if manner == "paced":
            self._transport.write(_HEAD)
            self._write_next(iter(like_openai(count) if as_completion else like_sse_starlette(count)))
        else:
            self._transport.write(response_to(content, as_completion=as_completion))

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


class _Copying(asyncio.Protocol):
    """One end of a relay: what it receives, the other end writes.

    Args:
        source: the address to connect to; None if this end is the connection to it.
    """

    def __init__(self, source: tuple[str, int] | None) -> None:
        self._source = source
        self._received = b""  # until another record end arrives
        self._connecting: asyncio.Task[None] | None = None
        self.other: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        if self._source is not None:
            self._connecting = asyncio.create_task(self._connect(transport, *self._source))

    async def _connect(self, transport: asyncio.Transport, host: str, port: int) -> None:
        other, protocol = await asyncio.get_running_loop().create_connection(lambda: _Copying(None), host, port)
        protocol.other, self.other = transport, other
        other.write(self._received)

    def data_received(self, data: bytes) -> None:
        if self.other is None:
            self._received += data
        else:
            self.other.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is not None:
            self.other.close()


async def serve_bare_sockets(listener: socket.socket, backlog: int, *, copied_from: str = "") -> None:
    """Serve until cancelled; as a relay, if there is a URL to copy from."""
    make: Callable[[], asyncio.Protocol] = _Connection
    if copied_from:
        origin = split_url(copied_from)[0]
        make = partial(_Copying, (origin.host, origin.port))
    server = await asyncio.get_running_loop().create_server(make, sock=listener, backlog=backlog)
    async with server:
        await server.serve_forever()
