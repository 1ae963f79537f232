"""A burst: a thousand text events a reply, one reply after the other on one connection, fastapi_poe beside us.

The client is a blocking socket that looks for nothing but the first event and the end of the body, so that the server
is what is measured; what it read is checked once, before anything is timed.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager

from benchmarks.measure import in_turn, report
from benchmarks.servers import EVENTS
from poeproto import Message, QueryRequest, SSEDecoder, encode_request

SERVERS = {
    "fastapi_poe on uvicorn (h11, asyncio)": "fastapi_poe",
    "poeproto on Hypercorn, asyncio": "asyncio",
    "poeproto on Hypercorn, uvloop": "uvloop",
    "poeproto on Hypercorn, trio": "trio",
}
ROUNDS = 31
END = b"\r\n0\r\n\r\n"


def main() -> None:
    with ExitStack() as stack:
        clients = {name: stack.enter_context(_serving(server)) for name, server in SERVERS.items()}
        for name, client in clients.items():
            client.check(name)
        figures = in_turn({name: client.whole_reply for name, client in clients.items()}, ROUNDS)
        report(f"a reply of {EVENTS} text events", figures, "ms", 1e3)
        for figure in figures:
            rate = EVENTS / figure.seconds
            print(
                f"  {figure.name}: {rate:,.0f} events a second, {figures[0].seconds / figure.seconds:.1f} x the first"
            )
        figures = in_turn({name: client.first_event for name, client in clients.items()}, ROUNDS)
        report("the first event after the request", figures, "ms", 1e3)


class Client:
    """One keep-alive connection."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        body = encode_request(QueryRequest([Message("user", "go")]))
        head = "POST / HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        # fastapi_poe wants to see some key even where it accepts any.
        head += f"authorization: Bearer not-a-real-key\r\ncontent-length: {len(body)}\r\n\r\n"
        self._request = head.encode() + body

    def whole_reply(self) -> float:
        return self._exchange()[1]

    def first_event(self) -> float:
        return self._exchange()[0]

    def check(self, name: str) -> None:
        """Refuse to measure a server that does not send every event, in order."""
        _, _, response = self._exchange()
        records = SSEDecoder().receive_data(_unchunked(response.partition(b"\r\n\r\n")[2]))
        texts = [json.loads(record.data)["text"] for record in records if record.event == "text"]
        if [text for text in texts if text] != [f"event {number} " for number in range(EVENTS)]:
            sys.exit(f"{name} does not send the events it should")

    def close(self) -> None:
        self._socket.close()

    def _exchange(self) -> tuple[float, float, bytes]:
        """Seconds to the first event and to the end, and the bytes of the response."""
        first = 0.0
        received: list[bytes] = []
        tail = b""
        start = time.perf_counter()
        self._socket.sendall(self._request)
        while not tail.endswith(END):
            data = self._socket.recv(1 << 20)
            if not data:
                sys.exit("a server closed its connection")
            if not first and b"data:" in data:
                first = time.perf_counter() - start
            received.append(data)
            tail = (tail + data)[-len(END) :]
        return first, time.perf_counter() - start, b"".join(received)


def _unchunked(body: bytes) -> bytes:
    parts: list[bytes] = []
    while True:
        size, _, body = body.partition(b"\r\n")
        length = int(size, 16)
        if length == 0:
            return b"".join(parts)
        parts.append(body[:length])
        body = body[length + 2 :]


@contextmanager
def _serving(server: str) -> Generator[Client]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with subprocess.Popen([sys.executable, "-m", "benchmarks.servers", server, str(port)]) as process:
        try:
            client = _connected(port, process)
            try:
                yield client
            finally:
                client.close()
        finally:
            process.terminate()


def _connected(port: int, process: subprocess.Popen[bytes]) -> Client:
    while True:
        try:
            return Client(port)
        except ConnectionRefusedError:
            if process.poll() is not None:
                sys.exit("a server did not start")
            time.sleep(0.05)
