"""Bot servers for `poeproto check`: our application on each host, and bots that share no code with us."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.processes import running
from poeproto import Bot, Context, QueryRequest, SettingsRequest, SettingsResponse
from poeproto.testing import TEST_ACCESS_KEY
from poeproto_asgi import BotApp

_OURS = ("hypercorn-asyncio", "hypercorn-uvloop", "hypercorn-trio", "h11-asyncio", "h11-uvloop", "h11-trio")
_UVICORN = ("uvicorn", "uvicorn-httptools")
_SUPPORT = Path(__file__).parents[2] / "tests" / "support"
# Granian shares a port that a socket reserves; Daphne is given a listening socket. The programs print their port.
_COMMANDS = {
    "granian": ("granian", "--interface", "asgi", "--log-level", "error", "--host", "127.0.0.1", "--port", "{port}"),
    "daphne": ("daphne", "-v", "0", "--fd", "{fd}"),
}
_PROGRAMS = {"http.server": "standard_library_bot.py", "node": "node_bot.js"}
_START_SECONDS = 30.0
HOSTS = (*_OURS, *_UVICORN, *_COMMANDS, *_PROGRAMS)


class EchoBot(Bot):
    """Repeats the messages, one by one."""

    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield f"{len(request.query)} messages: "
        for message in request.query:
            yield message.content

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        return SettingsResponse(introduction_message="hello")


app = BotApp(EchoBot(), access_key=TEST_ACCESS_KEY)


def missing(host: str) -> str | None:
    """The requirements of the host that this machine lacks; None if it has them all."""
    return "node is not installed" if host == "node" and shutil.which("node") is None else None


@contextmanager
def serving_checked(host: str) -> Generator[str]:
    """Run one of `HOSTS` in a process of its own, until the block exits; yields the URL of its bot."""
    with _serving(host) as port:
        _wait_until_it_answers(port)
        yield f"http://127.0.0.1:{port}/"


@contextmanager
def _serving(host: str) -> Generator[int]:
    if host in _PROGRAMS:
        program = str(_SUPPORT / _PROGRAMS[host])
        with _process(["node" if host == "node" else sys.executable, program]) as process:
            assert process.stdout is not None
            yield int(process.stdout.readline())
    elif host in _COMMANDS:
        with socket.socket() as bound:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            bound.bind(("127.0.0.1", 0))
            if host == "daphne":
                bound.listen()
            port = bound.getsockname()[1]
            arguments = [each.format(fd=bound.fileno(), port=port) for each in _COMMANDS[host]]
            with _process([sys.executable, "-m", *arguments, f"{__name__}:app"], bound.fileno()):
                yield port
    else:
        with running("benchmarks.servers", "checked", host, log=subprocess.DEVNULL) as server:
            yield server.port


@contextmanager
def _process(command: list[str], *files: int) -> Generator[subprocess.Popen[bytes]]:
    environment = {**os.environ, "POE_ACCESS_KEY": TEST_ACCESS_KEY}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, pass_fds=files, env=environment
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def _wait_until_it_answers(port: int) -> None:
    """Wait for an answer to a GET: a port may listen long before its server has started."""
    last = time.monotonic() + _START_SECONDS
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=_START_SECONDS) as connection:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: bot\r\nConnection: close\r\n\r\n")
                connection.recv(1)
        except ConnectionRefusedError:
            if time.monotonic() > last:
                raise
            time.sleep(0.01)
        else:
            return
