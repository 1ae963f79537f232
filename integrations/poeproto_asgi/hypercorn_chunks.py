"""Writes the chunks of a response on Hypercorn to the socket itself, past Hypercorn.

Between an application's `send` and the socket, Hypercorn has about 33 Python calls for each part of a body: it makes
three events of it, passes them through three objects and h11, and takes a lock. On trio each of lock and write takes an
iteration of the event loop, too. For an event that arrives alone, that is half of all CPU time. A chunk of a chunked
body changes no state in h11 or Hypercorn, so that neither notices those written here.

Only one kind of data bypasses Hypercorn: parts of a chunked body in HTTP/1.1 without TLS, while the connection is open
and the kernel's buffer has capacity. Hypercorn does everything else: heads, ends, HTTP/2, waits for a slow client, and
cleanup after a broken connection.

It needs of Hypercorn that the `send` of an application is `HTTPStream.app_send`, and that the stream has `scope`,
`response` and a `send` that is a method of `H11Protocol`; that this has `ssl`, the `connection` of h11, and a `send`
that is a method of `TCPServer`; and that this has a `writer` on asyncio, and on trio a `send_lock` and a `stream`. Of
trio it needs `_sock`, the socket of its own. Where one is missing, `chunk_writer` returns None, and all goes through
Hypercorn: each event that arrives alone then takes about 25 µs more CPU time on asyncio, and 55 µs more on trio
(``python -m benchmarks paced relay``). tests/integrations/asgi/test_hypercorn_chunks.py would notice.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import h11

from poeproto_asgi.app import ChunkWriter
from poeproto_asgi.asgi import Send

if TYPE_CHECKING:
    from hypercorn.events import RawData

_ProtocolSend: TypeAlias = "Callable[[RawData], Awaitable[None]]"


def chunk_writer(send: Send) -> ChunkWriter | None:
    """A writer for the parts of a response whose head has been sent.

    Args:
        send: the `send` that the response's application uses.

    Returns:
        None if the response is not chunked, or not in HTTP/1.1 without TLS, or `send` is not Hypercorn's own, or this
        version of Hypercorn lacks an attribute that this file needs: then `send` has to be used.
    """
    try:
        from hypercorn.protocol.h11 import H11Protocol
        from hypercorn.protocol.http_stream import HTTPStream

        stream = cast("Any", send).__self__
        protocol = stream.send.__self__
        if type(stream) is not HTTPStream or send != stream.app_send or type(protocol) is not H11Protocol:
            return None
        if protocol.ssl or not _is_chunked(stream, protocol.connection):
            return None
        server = cast("Any", protocol.send).__self__
        if hasattr(server, "writer"):
            return _TransportWriter(send, protocol.send, server.writer.transport).write
        return _SocketWriter(send, protocol.send, server.send_lock, server.stream.socket._sock).write
    except (AttributeError, ImportError):
        return None


def _is_chunked(stream: Any, connection: object) -> bool:
    """Whether parts of this body are chunks, and nothing else."""
    if not isinstance(connection, h11.Connection) or connection.our_state is not h11.SEND_BODY:
        return False
    response = stream.response
    if stream.scope["method"] != "POST" or response["status"] != 200 or b"content-length" in dict(response["headers"]):
        return False
    # The remaining body has no length that a part would count towards, so that h11 can be asked for a part to discard.
    return connection.send(h11.Data(data=b"x")) == b"1\r\nx\r\n"


class _TransportWriter:
    """Writes to the transport of a connection on asyncio.

    Args:
        send: the application's, for the parts that cannot be written here.
        protocol_send: of Hypercorn's `TCPServer`.
        transport: the transport.
    """

    __slots__ = ("_high", "_protocol_send", "_send", "_transport")

    def __init__(self, send: Send, protocol_send: _ProtocolSend, transport: asyncio.Transport) -> None:
        self._send = send
        self._protocol_send = protocol_send
        self._transport = transport
        self._high = transport.get_write_buffer_limits()[1]

    def write(self, data: bytes) -> Awaitable[None] | None:
        transport = self._transport
        if transport.is_closing():
            return self._send({"type": "http.response.body", "body": data, "more_body": True})
        transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        # From this size on, the transport has paused Hypercorn's protocol.
        return None if transport.get_write_buffer_size() < self._high else self._drain()

    async def _drain(self) -> None:
        from hypercorn.events import RawData

        await self._protocol_send(RawData(b""))


class _SocketWriter:
    """Writes to the socket of a connection on trio.

    Args:
        send: the application's, for the parts that cannot be written here.
        protocol_send: of Hypercorn's `TCPServer`.
        lock: held by the task that writes.
        connection: the socket, which trio closes.
    """

    __slots__ = ("_connection", "_lock", "_protocol_send", "_send")

    def __init__(self, send: Send, protocol_send: _ProtocolSend, lock: Any, connection: socket.socket) -> None:
        self._send = send
        self._protocol_send = protocol_send
        self._lock = lock
        self._connection = connection

    def write(self, data: bytes) -> Awaitable[None] | None:
        sent = 0
        chunk = b"%x\r\n%b\r\n" % (len(data), data)
        if not self._lock.locked():
            try:  # noqa: SIM105 - contextlib's object takes longer than the rest
                sent = self._connection.send(chunk)
            except OSError:  # the system takes nothing now, or the connection is broken
                pass
        if sent == len(chunk):
            return None
        if sent:
            return self._send_rest(chunk[sent:])
        return self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def _send_rest(self, rest: bytes) -> None:
        import trio
        from hypercorn.events import RawData

        with trio.CancelScope(shield=True):  # as in Hypercorn, so that no chunk is cut short
            await self._protocol_send(RawData(rest))
