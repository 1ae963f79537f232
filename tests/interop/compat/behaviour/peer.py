"""The peers of both libraries: a server that answers calls by a script, and an ASGI server for their applications."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import attrs

from poeproto import SSEDecoder

from ....support.bots import BEARER
from ....support.scripted_asgi import http_scope


@attrs.define
class Exchange:
    """The calls of one case.

    Attributes:
        responses: what is answered, one after the other; the last one again and again. Empty: the connection closes.
        requests: what was received: the method, path, headers and body.
        connections: how many connections brought them.
    """

    responses: list[bytes]
    requests: list[tuple[str, str, dict[str, str], bytes]] = attrs.Factory(list)
    connections: int = 0

    @property
    def paths(self) -> list[str]:
        """The methods and paths of the requests."""
        return [f"{method} {path}" for method, path, _, _ in self.requests]

    def bodies(self) -> list[Any]:
        """The bodies of the requests, decoded from JSON."""
        return [json.loads(body) if body else None for _, _, _, body in self.requests]

    def headers(self, *names: str) -> list[dict[str, str | None]]:
        """Some headers of the requests."""
        return [{name: headers.get(name) for name in names} for _, _, headers, _ in self.requests]


class Peer:
    """A server of HTTP/1.1; each case has a path of its own."""

    def __init__(self) -> None:
        self.port = 0
        self._exchanges: dict[str, Exchange] = {}
        self._numbers = itertools.count()

    def add(self, exchange: Exchange) -> str:
        """Serve an exchange, and return its base URL."""
        number = str(next(self._numbers))
        self._exchanges[number] = exchange
        return f"http://127.0.0.1:{self.port}/{number}/"

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[None]:
        """Listen."""
        server = await asyncio.start_server(self._handle, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        known: set[int] = set()
        try:
            while await self._answer(reader, writer, known):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has left, as it may
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, known: set[int]) -> bool:
        """Answer one request. Returns whether the connection stays open."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *fields = head.rstrip().split("\r\n")
        pairs = (field.partition(": ") for field in fields)
        headers = {name.lower(): value for name, _, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        if headers.get("transfer-encoding") == "chunked":
            while size := int(await reader.readline(), 16):
                body += (await reader.readexactly(size + 2))[:-2]
            await reader.readline()
        method, target, _ = line.split(" ")
        _, number, path = target.split("/", 2)
        exchange = self._exchanges[number]
        exchange.connections += id(exchange) not in known
        known.add(id(exchange))
        exchange.requests.append((method, path, headers, body))
        data = exchange.responses[min(len(exchange.requests), len(exchange.responses)) - 1]
        writer.write(data)
        await writer.drain()
        return data.startswith(b"HTTP/1.1 200") and b"Connection: close" not in data


def record(event: str, data: object) -> bytes:
    """A server-sent event; the data as JSON, unless it is text."""
    payload = data if isinstance(data, str) else json.dumps(data)
    return f"event: {event}\r\ndata: {payload}\r\n\r\n".encode()


DONE = record("done", {})


def stream(*records: bytes) -> bytes:
    """A response with these server-sent events, whose end the length says."""
    return response(200, b"".join(records), "text/event-stream")


def cut(*records: bytes) -> bytes:
    """A response with these server-sent events that breaks off."""
    return response(200, b"".join(records) + b" " * 9, "text/event-stream")[:-9]


def response(status: int, body: bytes | str | dict[str, Any] = b"", content_type: str = "application/json") -> bytes:
    """A response, after which the connection closes."""
    data = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
    head = f"HTTP/1.1 {status} Reason\r\nContent-Type: {content_type}\r\nContent-Length: {len(data)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + data


@attrs.define
class Answer:
    """The response of an application."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def events(self) -> list[tuple[str, Any]]:
        """The server-sent events, with their data decoded."""
        return [(each.event, _decoded(each.data)) for each in SSEDecoder().receive_data(self.body)]

    def summary(self) -> list[Any]:
        """The status; of a success also the media type, and the events or the value."""
        if self.status != 200:
            return [self.status]
        kind = self.headers.get("content-type", "").partition(";")[0]
        if kind == "text/event-stream":
            return [self.status, kind, self.events]
        return [self.status, kind, ordered(json.loads(self.body)) if kind == "application/json" else None]


def _decoded(data: str) -> Any:
    try:
        return ordered(json.loads(data))
    except ValueError:
        return data


def ordered(value: Any) -> Any:
    """JSON with sorted keys, since their order has no meaning."""
    return json.loads(json.dumps(value, sort_keys=True))


async def call(
    app: Any,
    payload: Mapping[str, Any] | bytes,
    *,
    method: str = "POST",
    path: str = "/",
    headers: Iterable[tuple[str, str]] = (("authorization", BEARER),),
    **scope: Any,
) -> Answer:
    """Make one request to an application, as an ASGI server does."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    sent: list[dict[str, Any]] = []
    given = False

    async def receive() -> dict[str, Any]:
        nonlocal given
        if given:
            await asyncio.Event().wait()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    try:
        await app(http_scope(method, path, headers, **scope), receive, send)
    except Exception:  # after Starlette has answered with 500, as its servers log
        if not sent:
            raise
    head = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], head, b"".join(message.get("body", b"") for message in sent[1:]))
