"""A bot on the standard library's http.server, with the core alone.

Run it: POE_ACCESS_KEY=... python docs/examples/embedding/in_http_server.py
"""

import os
import sys
import uuid
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from poeproto import (
    BotExchange,
    Done,
    Event,
    HttpResponse,
    QueryRequest,
    RemoteProtocolError,
    RequestHead,
    SettingsRequest,
    SettingsResponse,
    Text,
)

KEYS = {os.environ["POE_ACCESS_KEY"]}


def answer(request: QueryRequest) -> Generator[str]:
    for word in request.query[-1].content.split():
        yield f"{word.upper()} "
    yield "!"


class PoeHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # its responses are chunked, so that a client knows a whole reply from a cut one
    disable_nagle_algorithm = True  # TCP_NODELAY: without it, an event can wait 40 ms for an acknowledgement
    timeout = 20

    def do_POST(self) -> None:
        exchange = BotExchange(KEYS)
        try:
            exchange.receive_head(RequestHead(self.command, self.path, self.headers.items()))
            if "transfer-encoding" in self.headers:  # http.server does not read chunks
                self.close_connection = True
                self.respond(HttpResponse(411))
                return
            exchange.receive_data(self.rfile.read(int(self.headers.get("content-length", 0))))
            request = exchange.receive_eof()
        except RemoteProtocolError as exc:
            self.close_connection = True  # the body may not have been read
            assert exc.response is not None
            self.respond(exc.response)
            return
        if isinstance(request, QueryRequest):
            self.stream(exchange, request)
        else:
            is_settings = isinstance(request, SettingsRequest)
            self.respond(exchange.answer(SettingsResponse() if is_settings else None))

    do_PUT = do_PATCH = do_DELETE = do_POST  # the exchange answers them with 405

    def do_GET(self) -> None:
        self.respond(HttpResponse(200, [("content-type", "text/plain")], b"A Poe bot answers here.\n"))

    def respond(self, response: HttpResponse) -> None:
        headers = [(name, value) for name, value in response.headers if name != b"content-length"]
        self.begin(response.status, [*headers, (b"content-length", b"%d" % len(response.body))])
        self.wfile.write(response.body)

    def stream(self, exchange: BotExchange, request: QueryRequest) -> None:
        head = exchange.begin()
        self.begin(head.status, [*head.headers, (b"transfer-encoding", b"chunked")])
        event: Event | None = None
        # Another thread runs the bot up to its next text, so that this one can send heartbeats meanwhile.
        with closing(answer(request)) as texts, ThreadPoolExecutor(max_workers=1) as executor:
            while not isinstance(event, Done):
                step = executor.submit(next, texts, None)
                while not wait([step], timeout=15).done:
                    self.write_chunk(exchange.heartbeat())
                try:
                    text = step.result()
                except Exception as exc:
                    error_id = uuid.uuid4().hex
                    print(f"the bot failed, error {error_id}: {exc!r}", file=sys.stderr)
                    data = exchange.fail(error_id)
                    assert isinstance(data, bytes)  # the stream was begun
                    self.write_chunk(data)
                    break
                event = Done() if text is None else Text(text)
                self.write_chunk(exchange.send(event))
        self.wfile.write(b"0\r\n\r\n")

    def begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name.decode("latin-1"), value.decode("latin-1"))
        self.end_headers()

    def write_chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
    with ThreadingHTTPServer(("127.0.0.1", port), PoeHandler) as server:
        print(f"http://127.0.0.1:{server.server_port}/", flush=True)
        server.serve_forever()
