"""The delay that the recording proxy adds, and the accuracy of a replay: `python -m benchmarks.recordings`.

A server and a client on plain sockets, blocking, with the proxy in a process of its own. Prints the delay that the
proxy adds to a first event, how late an end of the stream and a reset pass, what a stream holds whose client does not
read, and how far the gaps of a replay at speed 1 are from the recorded ones.
"""

from __future__ import annotations

import random
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.processes import Server
from poeproto_record import RecordingWriter
from poeproto_runtime.client.urls import split_url

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_EVENT = b'event: text\ndata: {"text": "hello"}\n\n'
_CHUNK = b"%x\r\n%b\r\n" % (len(_EVENT), _EVENT)
_REQUEST = b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\n{}"
_RESET = struct.pack("ii", 1, 0)
_STALLED = 20
_ROUNDS = 300

Handler = Callable[[socket.socket], None]


@contextmanager
def _server(handle: Handler) -> Generator[str]:
    """A server of blocking sockets, with a thread a connection."""

    def run(connection: socket.socket) -> None:
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            handle(connection)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=run, args=[connection], daemon=True).start()

    with socket.create_server(("127.0.0.1", 0), backlog=500) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        listener.shutdown(socket.SHUT_RDWR)


@contextmanager
def _command(*arguments: str) -> Generator[Server]:
    """Run `poeproto record` or `replay` until the block exits."""
    command = [sys.executable, "-m", "poeproto_cli", *arguments, "--bind", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        origin, _ = split_url(process.stdout.readline().decode().split()[-1])
        yield Server(origin.port, process)
        process.terminate()


def _connect(address: str) -> socket.socket:
    origin, _ = split_url(address)
    connection = socket.create_connection((origin.host, origin.port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _answer(connection: socket.socket) -> None:
    """Answer each request with a head and an event at once."""
    while connection.recv(65536):
        connection.sendall(_HEAD + _CHUNK + b"0\r\n\r\n")


def _first_event(connection: socket.socket) -> float:
    began = time.perf_counter()
    connection.sendall(_REQUEST)
    received = connection.recv(65536)
    while _EVENT not in received:
        received += connection.recv(65536)
    took = time.perf_counter() - began
    while not received.endswith(b"0\r\n\r\n"):
        received += connection.recv(65536)
    return took


def _print(what: str, seconds: list[float]) -> None:
    values = sorted(each * 1e3 for each in seconds)
    high = values[int(len(values) * 0.99)]
    print(f"{what}: median {statistics.median(values):.2f} ms, 99 of 100 below {high:.2f} ms, most {values[-1]:.2f} ms")


def first_events(folder: Path) -> None:
    """The first event, direct and through the proxy in turn, on one connection and on a new one each."""
    for is_new in (False, True):
        with _server(_answer) as url, _command("record", url, "-o", str(folder / "first")) as proxy:
            open_connections = {address: _connect(address) for address in (url, proxy.url)}
            added: list[float] = []
            for _ in range(_ROUNDS):
                took: dict[str, float] = {}
                for address in (url, proxy.url):
                    if is_new:
                        open_connections[address].close()
                        open_connections[address] = _connect(address)
                    took[address] = _first_event(open_connections[address])
                added.append(took[proxy.url] - took[url])
            for connection in open_connections.values():
                connection.close()
        _print(f"added to a first event, {'new connections' if is_new else 'one connection'}", added)


class _Breaking:
    """A server that begins a reply; then the connection ends, on either side.

    Args:
        resets: whether it ends with a reset, or with the end of the stream.
        by_server: whether the server ends it.
    """

    def __init__(self, *, resets: bool, by_server: bool) -> None:
        self._resets = resets
        self._by_server = by_server
        self._may_end = threading.Semaphore(0)
        self._done = threading.Semaphore(0)
        self.ended: list[float] = []
        self.noticed: list[float] = []

    def handle(self, connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(_HEAD + _CHUNK)
        if self._by_server:
            self._may_end.acquire()
            self._end(connection)
        else:
            self._notice(connection)
        self._done.release()

    def query(self, address: str) -> None:
        with _connect(address) as connection:
            connection.sendall(_REQUEST)
            received = connection.recv(65536)
            while _EVENT not in received:
                received += connection.recv(65536)
            if self._by_server:
                self._may_end.release()
                self._notice(connection)
            else:
                self._end(connection)
        self._done.acquire()

    def _end(self, connection: socket.socket) -> None:
        if self._resets:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.ended.append(time.perf_counter())
        connection.close()

    def _notice(self, connection: socket.socket) -> None:
        with suppress(OSError):
            connection.recv(65536)
        self.noticed.append(time.perf_counter())


def ends(folder: Path) -> None:
    """How long a reset takes to pass, and an end of the stream, in both directions."""
    for by_server in (False, True):
        for resets in (False, True):
            breaking = _Breaking(resets=resets, by_server=by_server)
            with _server(breaking.handle) as url, _command("record", url, "-o", str(folder / "ends")) as proxy:
                for _ in range(50):
                    breaking.query(proxy.url)
            side = "server" if by_server else "client"
            late = [noticed - ended for ended, noticed in zip(breaking.ended, breaking.noticed, strict=True)]
            _print(f"{'a reset' if resets else 'an end of the stream'} by the {side} passes after", late)


def held(folder: Path) -> None:
    """The memory of the proxy for streams whose clients do not read, while the server writes all it can."""

    def flood(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(_HEAD)
        data = _EVENT * 450
        block = b"%x\r\n%b\r\n" % (len(data), data)
        with suppress(OSError):
            while True:
                connection.sendall(block)

    with _server(flood) as url, _command("record", url, "-o", str(folder / "held")) as proxy:
        with _connect(proxy.url) as connection:  # the first one loads modules, which must not count
            connection.sendall(_REQUEST)
            connection.recv(65536)
        time.sleep(0.5)
        before = proxy.memory()
        connections = [_connect(proxy.url) for _ in range(_STALLED)]
        for connection in connections:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(_REQUEST)
        size = -1
        while size != (size := (folder / "held").stat().st_size):  # until the file grows no more
            time.sleep(1)
        each = (proxy.memory() - before) / _STALLED
        print(f"held by a stream whose client does not read: {each / 1024:.0f} KiB, its objects included")
        for connection in connections:
            connection.close()


def gaps(folder: Path) -> None:
    """How far the gaps of a replay at speed 1 are from those of its recording."""
    chance = random.Random(1)
    times = [0.0]
    for _ in range(100):
        times.append(times[-1] + chance.uniform(0.001, 0.1))
    path = folder / "gaps"
    with path.open("wb") as file:
        writer = RecordingWriter(file, redaction=None)
        number = writer.request("POST", "/", {}, b"{}", at=0.0)
        writer.head(number, 200, {"transfer-encoding": "chunked"}, at=0.0)
        for at in times:
            writer.data(number, _EVENT, at=at)
        writer.end(number, at=times[-1])
    arrived: list[float] = []
    with _command("replay", str(path)) as replay, _connect(replay.url) as connection:
        connection.sendall(_REQUEST)
        received = b""
        while len(arrived) < len(times):
            received += connection.recv(65536)
            while _CHUNK in received:
                received = received.partition(_CHUNK)[2]
                arrived.append(time.perf_counter())
    off = [
        abs((late - early) - (to - since))
        for early, late, since, to in zip(arrived, arrived[1:], times, times[1:], strict=False)
    ]
    _print("a gap of a replay is off by", off)
    print(f"{sum(each < 0.010 for each in off)} of {len(off)} gaps within 10 ms")


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        for measure in (first_events, ends, held, gaps):
            measure(Path(name))


if __name__ == "__main__":
    main()
