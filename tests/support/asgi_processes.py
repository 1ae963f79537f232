"""ASGI hosts that run in a process of their own, with a bot whose steps the test decides."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import attrs

from .bots import KEY
from .reserved_port import ReservedPort

SECONDS = 30  # for a process that hangs

# The host, and the application to run. Daphne is given a socket: it does not share a reserved port.
COMMANDS = {
    "granian": "granian --interface asgi bots:app --host 127.0.0.1 --port {port} --log-level warning",
    "daphne": "daphne --fd {fd} bots:app",
}

# Queries are instructions, so that a test can wait for the acts of another reply.
BOTS = f"""
from pathlib import Path

import anyio
import anyio.lowlevel
from poeproto import Bot, Limits
from poeproto_asgi import BotApp

released, ended, closed, flooded = [anyio.Event() for _ in range(4)]
scopes = []
made = 0

class Instructed(Bot):
    async def get_response(self, request, context):
        global released, made
        match request.query[-1].content:
            case "hold":
                yield "one"
                await released.wait()
                yield "two"
            case "release":
                released.set()
                released = anyio.Event()
                yield "released"
            case "wait":
                context.on_close(self.close)
                try:
                    yield "hello"
                    await anyio.sleep_forever()
                finally:
                    ended.set()
            case "flood":
                try:
                    while True:
                        made += 1
                        yield "a" * 1000
                finally:
                    flooded.set()
            case "how far?":
                yield str(made)
            case "ended":
                await ended.wait()
                yield "ended"
            case "closed":
                await closed.wait()
                yield "closed"
            case "flooded":
                await flooded.wait()
                yield "flooded"
            case "read gate":
                yield "one"
                yield await anyio.to_thread.run_sync(Path("gate").read_text)
            case "scopes":
                yield " ".join(sorted(set(scopes)))
            case text:
                yield text

    async def close(self):
        await anyio.lowlevel.checkpoint()
        closed.set()

limits = Limits(
    heartbeat_seconds=0.05, events=10**9, text_length=10**12, send_seconds=1, request_body=4 * 1024 * 1024
)
bots = BotApp(Instructed(), access_key={KEY!r}, limits=limits)

async def app(scope, receive, send):
    scopes.append(scope["type"])
    await bots(scope, receive, send)
"""


@attrs.frozen
class Host:
    """A running host.

    Attributes:
        name: of `COMMANDS`.
        address: where it serves.
        folder: in which it runs.
        process: the process.
    """

    name: str
    address: str
    folder: Path
    process: subprocess.Popen[bytes]


@contextmanager
def running(name: str, folder: Path) -> Generator[Host]:
    """Run a host in this folder, and kill its processes on exit."""
    (folder / "bots.py").write_text(BOTS)
    os.mkfifo(folder / "gate")
    reserved = ReservedPort()
    port = reserved.number
    files: list[int] = []
    if "{fd}" in COMMANDS[name]:
        files.append(reserved.listen().detach())
    command = [sys.executable, "-m", *COMMANDS[name].format(port=port, fd=files[0] if files else None).split()]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(
            command, cwd=folder, pass_fds=files, start_new_session=True, stdout=log, stderr=log
        ) as process,
    ):
        for file in files:
            os.close(file)
        try:
            wait_until_listening(process, port, folder / "log")
            yield Host(name, f"http://127.0.0.1:{port}/", folder, process)
        finally:
            reserved.close()
            with suppress(ProcessLookupError):  # all of it has ended
                os.killpg(process.pid, signal.SIGKILL)


def wait_until_listening(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Wait until the process accepts connections at this port.

    Raises:
        AssertionError: when it ends, or does not listen in time; with its log.
    """
    last = time.monotonic() + SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < last, log.read_text()
            time.sleep(0.01)
        else:
            return
