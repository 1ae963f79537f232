"""Mock of the playground's backend: a test pushes the changes, and sees the page's calls.

The page and the frame of a bot's HTML are served as the backend serves them, with the same Content-Security-Policy, so
that what the policy forbids fails here, too.
"""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import Page

from poeproto import HttpResponse
from poeproto_playground.static_files import frame_response, page_policy

ASSETS = Path(__file__).parents[2] / "integrations" / "poeproto_playground" / "assets"
TOKEN = "token-of-the-test"
TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".txt": "text/plain"}

Json = dict[str, Any]
Answer = Callable[[Json], Any] | Json


@dataclass
class Call:
    """A call of the page."""

    method: str
    path: str
    query: dict[str, str]
    body: bytes

    @property
    def json(self) -> Json:
        return json.loads(self.body)


@dataclass
class MockBackend:
    """The backend of the page: its first state, the answers to its calls, and the changes that a test pushes."""

    state: Json
    answers: dict[str, Answer] = field(default_factory=dict[str, Answer])
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict[str, tuple[str, bytes]])
    calls: queue.Queue[Call] = field(default_factory=lambda: queue.Queue[Call]())
    origin: str = ""
    sent: dict[tuple[int, int], int] = field(default_factory=dict[tuple[int, int], int])
    streams: list[queue.Queue[list[Json] | None]] = field(default_factory=list[queue.Queue[list[Json] | None]])

    @property
    def address(self) -> str:
        return f"{self.origin}/#token={TOKEN}"

    def push(self, *changes: Json) -> None:
        """Send one line of changes to every page."""
        for stream in self.streams:
            stream.put(list(changes))

    def next_call(self, method: str, path: str) -> Call:
        """Wait for a call of the page; others before it are skipped."""
        while True:
            call = self.calls.get(timeout=10)
            if (call.method, call.path) == (method, path):
                return call

    def answer(self, call: Call) -> Any:
        known = self.answers.get(f"{call.method} {call.path}")
        if callable(known):
            return known(call.query)
        return known


def wait_until(page: Page, predicate: str, argument: Any = None) -> None:
    """Wait until a JavaScript function returns true. Playwright's way needs eval, which the policy forbids."""
    page.evaluate(
        f"""async (argument) => {{
            const end = Date.now() + 30_000;
            while (!({predicate})(argument)) {{
                if (Date.now() > end) throw new Error("it did not become true");
                await new Promise((resolve) => setTimeout(resolve, 50));
            }}
        }}""",
        argument,
    )


def _handler(backend: MockBackend) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

        def respond(self, status: int, kind: str, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            path, query = urlsplit(self.path)[2:4]
            name = "index.html" if path == "/" else path.removeprefix("/assets/")
            if path == "/frame":
                response: HttpResponse = frame_response(network=query == "network=1")
                headers = {name.decode(): value.decode() for name, value in response.headers}
                self.respond(200, headers.pop("content-type"), response.body, headers)
            elif path in backend.files:
                self.respond(200, *backend.files[path])
            elif path.startswith("/api/"):
                self.call()
            elif (ASSETS / name).is_file():
                body = (ASSETS / name).read_bytes()
                headers = {
                    "Content-Security-Policy": page_policy(remote_media=False),
                    "X-Content-Type-Options": "nosniff",
                }
                self.respond(200, TYPES[Path(name).suffix], body, headers)
            else:
                self.respond(404, "text/plain", b"")

        def do_POST(self) -> None:
            self.call()

        def do_DELETE(self) -> None:
            self.call()

        def call(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            address = urlsplit(self.path)
            call = Call(self.command, unquote(address.path), dict(parse_qsl(address.query)), body)
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                self.respond(403, "application/json", b'{"error": "the token is wrong"}')
            elif call.path == "/api/events":
                self.stream()
            else:
                backend.calls.put(call)
                answer = backend.answer(call)
                status = 404 if answer is None else 200
                self.respond(status, "application/json", json.dumps(answer or {"error": f"no {call.path}"}).encode())

        def stream(self) -> None:
            changes: queue.Queue[list[Json] | None] = queue.Queue()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-ndjson")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.send_line([{"type": "snapshot", "state": backend.state}])
            backend.streams.append(changes)
            try:
                while (line := changes.get()) is not None:
                    self.send_line(line)
            except OSError:
                return
            finally:
                backend.streams.remove(changes)

        def send_line(self, changes: list[Json]) -> None:
            line = json.dumps(changes).encode() + b"\n"
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            self.wfile.flush()

    return Handler


@contextmanager
def serving(backend: MockBackend) -> Generator[MockBackend]:
    """Serve it on a free port of loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(backend))
    server.daemon_threads = True
    backend.origin = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield backend
    finally:
        for stream in list(backend.streams):
            stream.put(None)
        server.shutdown()
        thread.join()
        server.server_close()
