"""A bot server of forty lines, as somebody writes it with the standard library alone: it shares no code with us.

Run as a program, it takes the access key from POE_ACCESS_KEY, and prints its port.
"""

import hmac
import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

AUTHORIZATION = f"Bearer {os.environ['POE_ACCESS_KEY']}".encode()
LIMIT = 1_000_000


class Handler(BaseHTTPRequestHandler):
    """Serves a bot that repeats the last message."""

    def do_POST(self) -> None:
        size = self.headers.get("Content-Length", "")
        body = self.rfile.read(min(int(size), LIMIT)) if size.isdigit() else b""
        if not hmac.compare_digest(self.headers.get("Authorization", "").encode(), AUTHORIZATION):
            self.answer(401, {"error": "wrong key"}, ("WWW-Authenticate", "Bearer"))
            return
        try:
            request = json.loads(body)
            kind = request["type"]
            text = request["query"][-1]["content"] + "" if kind == "query" else ""
        except (ValueError, KeyError, IndexError, TypeError, RecursionError):
            self.answer(400, {"error": "not a request"})
            return
        if kind == "query":
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Cache-Control", "no-cache")
            self.end_headers()
            for name, data in (("text", {"text": text}), ("done", {})):
                self.wfile.write(f"event: {name}\ndata: {json.dumps(data)}\n\n".encode())
        elif kind == "settings":
            self.answer(200, {"response_version": 2})
        else:
            self.answer(200 if str(kind).startswith("report_") else 501, {})

    def answer(self, status: int, value: Any, *headers: tuple[str, str]) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        for name, content in (*headers, ("Content-Type", "application/json"), ("Content-Length", str(len(body)))):
            self.send_header(name, content)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
    print(server.server_port, flush=True)
    server.serve_forever()
