"""Servers in processes of their own, and how their connections end when they are stopped."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import attrs

from poeproto import Done, Error, Message, QueryRequest, SSEDecoder, Text, decode_event, encode_request

SECONDS = 60  # for a process that hangs
# How long a server that should wait must do so; longer than the graceful timeouts in use.
WAITING_SECONDS = 3

BOTS = """
import anyio
from poeproto import Bot, Limits
from poeproto_asgi import BotApp

made = 0

class Stops(Bot):
    async def get_response(self, request, context):
        global made
        match request.query[-1].content:
            case "how far?":
                yield str(made)
            case "flood":
                while True:
                    made += 1
                    yield "a" * 1000
            case _:
                yield "hello"
                await anyio.sleep(3)
                yield "goodbye"

bot = Stops()
app = BotApp(bot, allow_without_key=True, limits=Limits(events=10**9, text_length=10**12))
"""

PROGRAM = """
import socket, sys
import bots

listener = socket.socket(fileno=int(sys.argv[1]))
"""

RUN = """
import sys
import bots
import poeproto_asgi

poeproto_asgi.run(bots.app, bind=f"fd://{sys.argv[1]}", worker_class=sys.argv[2])
"""

H11 = f"""
{PROGRAM}
import signal
import anyio
from poeproto_h11 import serve

async def main():
    async with anyio.create_task_group() as tasks:
        with anyio.open_signal_receiver(signal.SIGTERM) as signals:
            tasks.start_soon(lambda: serve(bots.app, bind=listener))
            await anext(signals)
        tasks.cancel_scope.cancel()

anyio.run(main, backend=sys.argv[2])
"""

UVICORN = f"""
{PROGRAM}
import uvicorn

config = uvicorn.Config(bots.app, log_level="critical", timeout_graceful_shutdown=int(sys.argv[2]) or None)
uvicorn.Server(config).run([listener])
"""

# Behind a program that makes a class and a configuration.
UVICORN_SERVER = f"""
{PROGRAM}
config.log_level = "critical"
Server(config).run([listener])
"""


@attrs.frozen
class Outcome:
    """The fate of each connection, in the words of docs/explanation/stopping.md.

    Attributes:
        open_reply: of a reply under way.
        unread: of a peer that did not read.
    """

    open_reply: str
    unread: str


class Stopping:
    """A server, with a reply under way."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self._process = process
        self._port = port
        self.unread = socket.socket()
        self._start_reply()

    def _start_reply(self) -> None:
        self._reply = http.client.HTTPConnection("127.0.0.1", self._port, timeout=SECONDS)
        self._reply.request("POST", "/", _body("hello"))
        self._response = self._reply.getresponse()
        self._first = b"".join(self._response.readline() for _ in range(3))

    def leave_unread(self) -> None:
        """Add a peer that does not read."""
        self._reply.close()
        self.unread.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.unread.settimeout(SECONDS)
        self.unread.connect(("127.0.0.1", self._port))
        self.unread.sendall(_request("flood"))
        self.unread.recv(1)
        # Until it comes to a standstill, the system's buffers are not full.
        seen = ""
        while seen != (made := self._how_far()):
            seen = made
            time.sleep(0.1)
        self._start_reply()

    def _how_far(self) -> str:
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=SECONDS)) as connection:
            connection.request("POST", "/", _body("how far?"))
            return str(_events(connection.getresponse().read())[0])

    def stop(self, seconds: float = SECONDS) -> Outcome:
        """Send the server SIGTERM, and return the fate of its connections.

        Args:
            seconds: after this time a running server counts as waiting for the peer that does not read.
        """
        self._process.send_signal(signal.SIGTERM)
        with closing(self._reply):
            open_reply = self._end_of_reply()
        try:
            self._process.wait(seconds)
            unread = "cut off"
        except subprocess.TimeoutExpired:
            unread = "waited for"
        self.unread.close()
        self._process.wait(SECONDS)
        return Outcome(open_reply, unread)

    def hang_up(self) -> str:
        """Send the server SIGHUP, and return its reaction, in the words of docs/explanation/stopping.md."""
        self._process.send_signal(signal.SIGHUP)
        with closing(self._reply):
            open_reply = self._end_of_reply()
        if open_reply == "ended, retry":
            self._process.wait(SECONDS)
            return "stops"
        try:
            self._process.wait(WAITING_SECONDS)
        except subprocess.TimeoutExpired:
            self._how_far()  # a new worker answers
            return "restarts"
        assert self._process.returncode == -signal.SIGHUP
        return "ends at once"

    def _end_of_reply(self) -> str:
        try:
            rest = self._response.read()
        except (http.client.IncompleteRead, ConnectionError):
            return "broken off"
        match _events(self._first + rest):
            case [Text("hello"), Error(allow_retry=True), Done()]:
                return "ended, retry"
            case [Text("hello"), Text("goodbye"), Done()]:
                return "waited for"
            case events:
                raise AssertionError(f"a clean end after {events}")


@contextmanager
def stopping(folder: Path, program: str, *arguments: str) -> Generator[Stopping]:
    """Run a server: a program that is given the number of a listening socket and the arguments, or a command.

    Args:
        folder: made for it.
        program: the program; without arguments a command, in which {fd} stands for the number.
        arguments: what the program is given.
    """
    folder.mkdir()
    (folder / "bots.py").write_text(BOTS)
    listener = socket.create_server(("127.0.0.1", 0), backlog=100)
    port = listener.getsockname()[1]
    file = str(listener.fileno())
    if arguments:
        (folder / "program.py").write_text(program)
        command = [sys.executable, "program.py", file, *arguments]
    else:
        command = [sys.executable, "-m", *program.format(fd=file).split()]
    process = subprocess.Popen(
        command, cwd=folder, pass_fds=[listener.fileno()], start_new_session=True, stderr=subprocess.DEVNULL
    )
    listener.close()
    with process:
        try:
            server = Stopping(process, port)
            with server.unread:
                yield server
        finally:
            with suppress(ProcessLookupError):  # all of it has ended
                os.killpg(process.pid, signal.SIGKILL)


def _body(text: str) -> bytes:
    return encode_request(QueryRequest([Message("user", text)]))


def _request(text: str) -> bytes:
    body = _body(text)
    return b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def _events(stream: bytes) -> list[object]:
    return [decode_event(record.event, record.data) for record in SSEDecoder().receive_data(stream)]
