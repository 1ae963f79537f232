"""Processes of servers under measurement: start, CPU time, memory, end."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import attrs

from poeproto import Message, QueryRequest
from poeproto_cli.load_query import Query, write_query

# fastapi_poe requires a key in the request even if it accepts any.
ACCESS_KEY = "not-a-real-key"


@attrs.frozen
class Server:
    """A running server.

    Attributes:
        port: the TCP port on the loopback interface.
        process: the server's process.
    """

    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """The URL of its bot."""
        return f"http://127.0.0.1:{self.port}/"

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    def query(self, wish: str) -> Query:
        """A query to this server; `benchmarks.apps` lists the wishes."""
        return write_query(self.url, QueryRequest([Message("user", wish)]), ACCESS_KEY)

    def cpu_seconds(self) -> float:
        """The CPU time of all its threads so far, in seconds (Linux only)."""
        # The CPU clock of another process, made from its id as clock_getcpuclockid(3) does.
        return time.clock_gettime(~self.pid << 3 | 2)

    def memory(self) -> int:
        """The resident memory, in bytes (Linux only)."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def open_files(self) -> int:
        """The number of open file descriptors, connections included (Linux only)."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))


@contextmanager
def serving(server: str) -> Generator[Server]:
    """Run a server, named "APP HOST [SOURCE]" as in `benchmarks.servers`, until the block exits."""
    with running("benchmarks.servers", *server.split()) as process:
        yield process


@contextmanager
def running(module: str, *arguments: str, log: int | None = None) -> Generator[Server]:
    """Run a module that serves, prints its port and calls `end_with_standard_input`, until the block exits.

    Args:
        module: the name of the module.
        arguments: its command-line arguments.
        log: the file descriptor for its standard error; None inherits ours.
    """
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log) as process:
        try:
            assert process.stdout is not None
            port = process.stdout.readline().strip().decode()
            if not port:
                sys.exit(f"{module} {' '.join(arguments)} did not start")
            yield Server(int(port), process)
        finally:
            process.kill()  # there is nothing to save, and some servers would wait for open streams


def end_with_standard_input() -> None:
    """In a server: exit when standard input closes, which happens when the parent process ends for any reason."""
    threading.Thread(target=_wait_for_the_end, daemon=True).start()


def _wait_for_the_end() -> None:
    # Not sys.stdin: this thread would hold its lock when the interpreter exits.
    while os.read(0, 1024):
        pass
    os._exit(0)


def allow_files(count: int) -> None:
    """Raise the limit of open files, sockets included, for this process and its children."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        if hard != resource.RLIM_INFINITY and hard < count:
            sys.exit(f"{count} open files are needed, and the system allows {hard}: raise it with ulimit -n")
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
