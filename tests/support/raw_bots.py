"""Bot servers over plain sockets, for the checker: a sound one, and what one needs to break a single rule.

They share no code with the servers under `integrations`, and send whatever bytes a test wants to be sent.
"""

from __future__ import annotations

import json
import socketserver
import ssl
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from io import BufferedIOBase
from typing import Any

import attrs

from .bots import KEY


class Disconnect(Exception):
    """The bot closes the connection without a response, or without its rest."""


@attrs.frozen
class RawRequest:
    """A request. `body` is None if it was cut, or is too large to be read."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes | None


def response(status: int, body: bytes = b"{}", **headers: str) -> bytes:
    """A whole response."""
    given = {"content_type": "application/json", "content_length": str(len(body)), **headers}
    lines = [f"{name.replace('_', '-').title()}: {value}" for name, value in given.items()]
    return "\r\n".join([f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *lines, "", ""]).encode() + body


def event(name: str, data: Any) -> bytes:
    """One event; data that is a string is sent as it is."""
    return f"event: {name}\ndata: {data if isinstance(data, str) else json.dumps(data)}\n\n".encode()


DONE = event("done", {})


class SoundBot:
    """A bot that keeps every rule. A broken one is a subclass with one method or attribute replaced."""

    settings: Any = {"response_version": 2}  # noqa: RUF012 - never changed
    stream_headers: dict[str, str] = {  # noqa: RUF012 - never changed
        "content_type": "text/event-stream",
        "cache_control": "no-cache, no-transform",
        "x_accel_buffering": "no",
    }

    longest_body = 16 * 1024 * 1024

    def serve(self, connection: socketserver.StreamRequestHandler) -> None:
        """Serve the requests of one connection. An OSError or a `Disconnect` ends it."""
        while (request := self.read(connection)) is not None:
            self.write(connection, request)
            if request.body is None:
                return

    def write(self, connection: socketserver.StreamRequestHandler, request: RawRequest) -> None:
        """Write the response."""
        for piece in self.respond(request):
            connection.wfile.write(piece)

    def read(self, connection: socketserver.StreamRequestHandler) -> RawRequest | None:
        """Read a request; None at the end of the connection."""
        stream = connection.rfile
        first = stream.readline().decode("latin-1").split()
        if len(first) != 3:
            return None
        headers: dict[str, str] = {}
        while (line := stream.readline().strip()) != b"":
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        return RawRequest(first[0], first[1], headers, self.read_body(stream, headers))

    def read_body(self, stream: BufferedIOBase, headers: dict[str, str]) -> bytes | None:
        """Read the body; None if it is cut or too long."""
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(stream.readline(), 16):
                body += stream.read(size)
                stream.readline()
            stream.readline()
            return body
        size = int(headers.get("content-length", "0"))
        if size > self.longest_body:
            return None
        body = stream.read(size)
        return body if len(body) == size else None

    def respond(self, request: RawRequest) -> Iterable[bytes]:
        """The bytes of the response, piece by piece."""
        if request.body is None:
            return [self.answer_cut(request)]
        if (refusal := self.refuse(request)) is not None:
            return [refusal]
        kind, value = self.parse(request)
        match kind:
            case "query":
                return self.reply(value)
            case "settings":
                return [self.answer_settings()]
            case "report_feedback" | "report_reaction" | "report_error":
                return [self.answer_report(kind)]
            case None:
                return [self.answer_bad_input(request)]
            case _:
                return [self.answer_unknown_type()]

    def answer_cut(self, request: RawRequest) -> bytes:
        """The response to a request whose body was not read."""
        if int(request.headers["content-length"]) > self.longest_body:
            return response(413, connection="close")
        raise Disconnect

    def refuse(self, request: RawRequest) -> bytes | None:
        """The response to a request that is not for the bot."""
        if request.method in ("GET", "HEAD"):
            page = response(200, b"a bot", content_type="text/plain")
            return page.removesuffix(b"a bot") if request.method == "HEAD" else page
        if request.method != "POST":
            return response(405, allow="GET, HEAD, POST")
        if not self.is_authorized(request):
            return response(401, www_authenticate="Bearer")
        if request.path.partition("?")[0] != "/":
            return response(404)
        return None

    def is_authorized(self, request: RawRequest) -> bool:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and key == KEY

    def parse(self, request: RawRequest) -> tuple[str | None, Any]:
        """The type of the request and its JSON; None for bad input."""
        try:
            value = json.loads((request.body or b"").decode())
        except (ValueError, RecursionError):
            return None, None
        if not isinstance(value, dict) or not isinstance(value.get("type"), str):
            return None, None
        return (value["type"] if value["type"] != "query" or self.is_query(value) else None), value

    def is_query(self, value: dict[str, Any]) -> bool:
        """Whether the fields that the bot reads are there."""
        messages = value.get("query")
        return (
            isinstance(messages, list)
            and bool(messages)
            and all(isinstance(each, dict) and isinstance(each.get("content"), str) for each in messages)
        )

    def answer_settings(self) -> bytes:
        return response(200, json.dumps(self.settings).encode())

    def answer_report(self, kind: str) -> bytes:
        return response(200)

    def answer_unknown_type(self) -> bytes:
        return response(501)

    def answer_bad_input(self, request: RawRequest) -> bytes:
        return response(400)

    def reply(self, query: dict[str, Any]) -> Iterator[bytes]:
        """The response to a query, in chunks."""
        lines = [f"{name.replace('_', '-').title()}: {value}" for name, value in self.stream_headers.items()]
        yield "\r\n".join(["HTTP/1.1 200 OK", *lines, "Transfer-Encoding: chunked", "", ""]).encode()
        for each in self.events(query):
            yield b"%x\r\n%b\r\n" % (len(each), each)
        yield b"0\r\n\r\n"

    def events(self, query: dict[str, Any]) -> Iterator[bytes]:
        """The events of the reply."""
        yield event("text", {"text": query["query"][-1]["content"]})
        yield DONE


class _Connection(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self) -> None:
        assert isinstance(self.server, _Server)
        with suppress(OSError, Disconnect):
            self.server.bot.serve(self)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, bot: SoundBot, tls: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.bot = bot
        self._tls = tls

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self._tls is None:
            super().finish_request(request, client_address)
            return
        with suppress(OSError), self._tls.wrap_socket(request, server_side=True) as secured:
            super().finish_request(secured, client_address)


@contextmanager
def serving_raw(bot: SoundBot, tls: ssl.SSLContext | None = None) -> Generator[str]:
    """Serve a bot in threads, with TLS if there is a context for it; yields its URL."""
    with _Server(bot, tls) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()
