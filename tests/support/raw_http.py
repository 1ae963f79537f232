"""The least HTTP/1.1 client that shows which bytes arrive, and when."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import anyio
import attrs

from poeproto import Event

from .bots import BEARER, events_in, query_body


@attrs.frozen
class Response:
    """A whole response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def events(self) -> list[Event]:
        return events_in(self.body)


def http_request(
    body: bytes | None = None,
    *,
    method: str = "POST",
    path: str = "/",
    key: str | None = BEARER,
    headers: Iterable[str] = (),
    chunked: bool = False,
) -> bytes:
    """The bytes of a request, a query unless there is another body; of a chunked one, the head only."""
    body = query_body() if body is None else body
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", framing, *headers]
    if key is not None:
        lines.append(f"Authorization: {key}")
    return "\r\n".join([*lines, "", ""]).encode() + (b"" if chunked else body)


def chunk(data: bytes) -> bytes:
    """A part of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class Connection:
    """One connection to a server. Reading raises EndOfStream where the server has ended it."""

    def __init__(self, stream: anyio.abc.ByteStream) -> None:
        self.stream = stream
        self._buffer = b""
        self._body = b""

    async def send(self, data: bytes) -> None:
        await self.stream.send(data)

    async def read_head(self) -> tuple[int, dict[str, str]]:
        """The status and the headers of the next response."""
        head = await self._read_until(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines if line)
        return int(first.split()[1]), {name.lower(): value.strip() for name, _, value in pairs}

    async def read_chunk(self) -> bytes:
        """The next chunk of a chunked body; empty at its end."""
        size = int(await self._read_until(b"\r\n"), 16)
        data = await self._read_exactly(size)
        assert await self._read_exactly(2) == b"\r\n"
        return data

    async def read_events(self, count: int = 1) -> list[Event]:
        """The next events of a stream, as soon as they arrive."""
        while self._body.count(b"data:") < count or not self._body.endswith(b"\n\n"):
            data = await self.read_chunk()
            assert data, f"the stream ended after {self._body!r}"
            self._body += data
        events = events_in(self._body)
        self._body = b""
        return events

    async def read_rest(self) -> list[Event]:
        """All further events of a stream, to its end."""
        while data := await self.read_chunk():
            self._body += data
        body, self._body = self._body, b""
        return events_in(body)

    async def read_response(self) -> Response:
        """The next response, whole."""
        status, headers = await self.read_head()
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while data := await self.read_chunk():
                body += data
        else:
            body = await self._read_exactly(int(headers["content-length"]))
        return Response(status, headers, body)

    async def read_to_end(self) -> bytes:
        """The remaining bytes, until the server closes or resets the connection."""
        try:
            while True:
                self._buffer += await self.stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return self._buffer

    async def _read_until(self, end: bytes) -> bytes:
        while end not in self._buffer:
            self._buffer += await self.stream.receive()
        found, _, self._buffer = self._buffer.partition(end)
        return found

    async def _read_exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._buffer += await self.stream.receive()
        found, self._buffer = self._buffer[:size], self._buffer[size:]
        return found


@asynccontextmanager
async def connect(address: str) -> AsyncGenerator[Connection]:
    """A connection to the server at this URL."""
    url = urlsplit(address)
    assert url.hostname is not None
    assert url.port is not None
    async with await anyio.connect_tcp(url.hostname, url.port) as stream:
        yield Connection(stream)


async def fetch(address: str, request: bytes) -> Response:
    """One request on a connection of its own."""
    async with connect(address) as connection:
        await connection.send(request)
        return await connection.read_response()
