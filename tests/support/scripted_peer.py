"""Peers for the client that send exactly the bytes a test wants: on real sockets, and in memory."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable
from contextlib import asynccontextmanager

import anyio
import anyio.abc
import anyio.lowlevel
import attrs
from anyio.abc import SocketAttribute

from poeproto import ConnectionLost, Done, Event, Text, encode_event
from poeproto_runtime.client.urls import Origin

STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """A part of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def sent(*events: Event) -> bytes:
    """Events, each in a chunk of its own."""
    return b"".join(chunk(encode_event(event)) for event in events)


def reply(*events: Event) -> bytes:
    """A whole response with these events, and `done`."""
    return STREAM_HEAD + sent(*events, Done()) + LAST_CHUNK


def response(status: int, body: bytes = b"", *headers: str) -> bytes:
    """A whole response of a known length."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


HELLO = reply(Text("hello"))


@attrs.frozen
class Received:
    """A request as the server read it."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name]


def parse_request(data: bytes) -> Received:
    """The one request in these bytes; its body ends with the data."""
    head, _, body = data.partition(b"\r\n\r\n")
    line, *lines = head.decode("latin-1").split("\r\n")
    pairs = (field.partition(": ") for field in lines)
    return Received(line, [(name, value) for name, _, value in pairs], body)


class Peer:
    """The server's end of one connection."""

    def __init__(
        self,
        stream: anyio.abc.SocketStream,
        requests: list[Received],
        on_request: Callable[[], object] = lambda: None,
    ) -> None:
        self.stream = stream
        self._requests = requests
        self._on_request = on_request
        self._buffer = b""

    async def read_request(self) -> Received:
        """The next request, whole."""
        while b"\r\n\r\n" not in self._buffer:
            self._buffer += await self.stream.receive()
        size = int(parse_request(self._buffer).all("content-length")[0])
        end = self._buffer.index(b"\r\n\r\n") + 4 + size
        while len(self._buffer) < end:
            self._buffer += await self.stream.receive()
        data, self._buffer = self._buffer[:end], self._buffer[end:]
        self._requests.append(parse_request(data))
        self._on_request()
        return self._requests[-1]

    async def send(self, data: bytes) -> None:
        await self.stream.send(data)

    async def answer(self, data: bytes) -> Received:
        """Read a request, and send this."""
        request = await self.read_request()
        await self.send(data)
        return request

    async def until_left(self) -> None:
        """Return when the client has closed the connection."""
        with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            while True:
                await self.stream.receive()


Script = Callable[[Peer], Awaitable[object]]


def answering(data: bytes) -> Script:
    """A script that answers every request with the same bytes, until the client leaves."""

    async def script(peer: Peer) -> None:
        while True:
            await peer.answer(data)

    return script


async def starting(peer: Peer) -> None:
    """A script that begins a reply, and says no more until the client leaves."""
    await peer.answer(STREAM_HEAD + sent(Text("a")))
    await peer.until_left()


async def refuse_early(peer: Peer) -> None:
    """A script that refuses a request before it has arrived, and stops reading it."""
    await peer.stream.receive(1)
    await peer.send(response(413, b"too large", "Connection: close"))
    await anyio.sleep_forever()


class ScriptedServer:
    """A listening socket; each connection runs the next script, and the last script serves all further ones."""

    def __init__(self, address: str, scripts: Iterable[Script]) -> None:
        self.address = address
        self.requests: list[Received] = []
        self.connections = 0
        self.closed = 0
        self._scripts = list(scripts)
        self._changed = anyio.Event()

    async def handle(self, stream: anyio.abc.SocketStream) -> None:
        script = self._scripts[min(self.connections, len(self._scripts) - 1)]
        self.connections += 1
        try:
            # A client may disconnect at any time; the test decides how it reacts.
            with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                await script(Peer(stream, self.requests, self._notify))
        finally:
            await anyio.aclose_forcefully(stream)
            self.closed += 1
            self._notify()

    async def until_asked(self, count: int = 1) -> None:
        """Return when this many requests have come."""
        while len(self.requests) < count:
            await self._changed.wait()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    async def until_closed(self, count: int) -> None:
        """Return when this many connections have ended."""
        while self.closed < count:
            await self._changed.wait()


@asynccontextmanager
async def scripted(*scripts: Script, host: str = "127.0.0.1") -> AsyncGenerator[ScriptedServer]:
    """A scripted server, in the test's own event loop."""
    async with await anyio.create_tcp_listener(local_host=host) as listener, anyio.create_task_group() as tasks:
        raw, port = listener.extra(SocketAttribute.raw_socket), listener.extra(SocketAttribute.local_port)
        # Else the kernel may take megabytes from a client whose peer does not read.
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        shown = f"[{host}]" if ":" in host else host
        server = ScriptedServer(f"http://{shown}:{port}/", scripts)
        tasks.start_soon(listener.serve, server.handle)
        yield server
        tasks.cancel_scope.cancel()


class CannedStream:
    """A `ByteStream` in memory, which hands out its pieces one for each read.

    Args:
        pieces: what is read, then the end.
        hook: called with the name of each operation as it begins, before a checkpoint.
    """

    def __init__(self, pieces: Iterable[bytes], hook: Callable[[str], object] = lambda name: None) -> None:
        self.pieces = [piece for piece in pieces if piece]
        self.written = b""
        self.closed = False
        self._hook = hook

    async def receive(self, timeout: float) -> bytes:
        await self._step("receive")
        return self.pieces.pop(0) if self.pieces else b""

    async def send(self, data: bytes, timeout: float) -> None:
        await self._step("send")
        self.written += data

    async def send_until_answered(self, data: bytes, timeout: float) -> bool:
        await self.send(data, timeout)
        return True

    async def aclose(self) -> None:
        self.closed = True

    def close_socket(self) -> None:
        self.closed = True

    def is_idle(self) -> bool:
        return not self.closed

    async def is_answering(self) -> bool:
        return self.closed

    async def _step(self, name: str) -> None:
        if self.closed:
            raise ConnectionLost("the stream was used after it was closed")
        self._hook(name)
        await anyio.lowlevel.checkpoint()


class CannedConnector:
    """A `Connector` that hands out canned streams; each new one gets a copy of these pieces."""

    def __init__(self, pieces: Iterable[bytes], hook: Callable[[str], object] = lambda name: None) -> None:
        self.streams: list[CannedStream] = []
        self.origins: list[Origin] = []
        self.pieces = list(pieces)
        self.hook = hook

    async def __call__(self, origin: Origin, timeout: float) -> CannedStream:
        self.hook("connect")
        await anyio.lowlevel.checkpoint()
        self.origins.append(origin)
        self.streams.append(CannedStream(self.pieces, self.hook))
        return self.streams[-1]


class DeafServer:
    """A listening socket that nobody accepts from: the system takes connections, and of each what fits its buffers.

    Attributes:
        address: where it is.
    """

    def __init__(self, listener: socket.socket) -> None:
        self.address = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        self._listener = listener

    def read_to_end(self) -> None:
        """Return when the client has closed the connection, which it must have begun to; blocks."""
        connection, _ = self._listener.accept()
        with connection, contextlib.suppress(ConnectionResetError):
            while connection.recv(1_000_000):
                pass


@contextlib.contextmanager
def deaf() -> Generator[DeafServer]:
    """A server that reads nothing."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield DeafServer(listener)
