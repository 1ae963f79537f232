"""An HTTP proxy in the test's own event loop, which records its requests and may refuse them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import anyio
import anyio.abc
from anyio.abc import SocketAttribute
from anyio.streams.tls import TLSListener

from .scripted_peer import Received, parse_request
from .tls_peer import Certificate

PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


class ScriptedProxy:
    """A proxy that connects everything to one server, whatever the host, as if it resolved each name to that.

    Attributes:
        address: its URL.
        requests: the heads that it has received.
        answer: what it answers instead of forwarding, if set.
    """

    def __init__(self, upstream_url: str) -> None:
        self.address = ""
        self.requests: list[Received] = []
        self.answer: bytes | None = None
        self._upstream_port = urlsplit(upstream_url).port or 0

    @property
    def lines(self) -> list[str]:
        """The request lines that it has received."""
        return [request.line for request in self.requests]

    async def handle(self, stream: anyio.abc.ByteStream) -> None:
        """Serve one connection."""
        with _ignoring_disconnects():
            async with stream:
                data = b""
                while b"\r\n\r\n" not in data:
                    data += await stream.receive()
                head, _, rest = data.partition(b"\r\n\r\n")
                self.requests.append(parse_request(head + b"\r\n\r\n"))
                if self.answer is not None:
                    await stream.send(self.answer)
                    await stream.send_eof()
                    while True:  # a close with unread bytes would be a reset
                        await stream.receive()
                async with await anyio.connect_tcp("127.0.0.1", self._upstream_port) as upstream:
                    if head.startswith(b"CONNECT "):
                        await stream.send(b"HTTP/1.1 200 Connection established\r\nVia: 1.1 test\r\n\r\n")
                    else:
                        await upstream.send(head + b"\r\n\r\n" + rest)
                    await _relay(stream, upstream)


async def _relay(one: anyio.abc.ByteStream, other: anyio.abc.ByteStream) -> None:
    async def copy(source: anyio.abc.ByteStream, sink: anyio.abc.ByteStream) -> None:
        with _ignoring_disconnects():
            while True:
                await sink.send(await source.receive())
        tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(copy, one, other)
        tasks.start_soon(copy, other, one)


@contextlib.contextmanager
def _ignoring_disconnects() -> Generator[None]:
    with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
        yield


@asynccontextmanager
async def proxying(upstream_url: str, certificate: Certificate | None = None) -> AsyncGenerator[ScriptedProxy]:
    """A proxy before the server at that URL, which speaks TLS with its clients if it has a certificate."""
    proxy = ScriptedProxy(upstream_url)
    tcp = await anyio.create_tcp_listener(local_host="127.0.0.1")
    listener: anyio.abc.Listener[anyio.abc.ByteStream] = tcp
    scheme = "http"
    if certificate is not None:
        listener, scheme = TLSListener(tcp, certificate.server(), standard_compatible=False), "https"
    proxy.address = f"{scheme}://127.0.0.1:{tcp.extra(SocketAttribute.local_port)}"
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, proxy.handle)
        yield proxy
        tasks.cancel_scope.cancel()
