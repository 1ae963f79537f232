"""A process without descriptors left: its log stays short, and it answers when some are free again."""

from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

_FILES = 40
_SECONDS = 60  # a deadline for failures
# Each retry logs a traceback, of which there are a few a second; it was tens of thousands.
_TRACEBACKS = 1000


@pytest.mark.parametrize("worker_class", ["asyncio", "trio"])
def test_a_flood_of_connections_does_not_flood_the_log(worker_class: str, tmp_path: Path) -> None:
    bots = tmp_path / "bots.py"
    bots.write_text("from poeproto import Bot\n\nbot = Bot()\n")
    command = [sys.executable, "-m", "poeproto_cli", "serve", f"{bots}:bot", "--allow-without-key"]
    command += ["--bind", "127.0.0.1:0", "--worker-class", worker_class]
    limited = ["sh", "-c", f'ulimit -n {_FILES}; exec "$@"', "sh", *command]
    with (
        (tmp_path / "log").open("w+") as log,
        subprocess.Popen(limited, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline().rpartition(":")[2].strip().strip("/"))
            with ExitStack() as flood:
                for _ in range(2 * _FILES):
                    flood.enter_context(socket.create_connection(("127.0.0.1", port), _SECONDS))
            with socket.create_connection(("127.0.0.1", port), _SECONDS) as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                assert client.recv(100).startswith(b"HTTP/1.1 200")
            process.terminate()
            assert process.wait(_SECONDS) == 0
        finally:
            process.kill()
        log.seek(0)
        assert log.read().count("Traceback") < _TRACEBACKS
