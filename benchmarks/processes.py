"""Servers under measurement: started, asked for their processor time and memory, and ended."""

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

# fastapi_poe wants to see some key even where it accepts any.
ACCESS_KEY = "not-a-real-key"


@attrs.frozen
class Server:
    """A server that runs.

    Attributes:
        port: where it listens.
        process: its process.
    """

    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """Where its bot is."""
        return f"http://127.0.0.1:{self.port}/"

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self.process.pid

    def query(self, wish: str) -> Query:
        """What asks it for something; see `benchmarks.apps`."""
        return write_query(self.url, QueryRequest([Message("user", wish)]), ACCESS_KEY)

    def cpu_seconds(self) -> float:
        """The processor time it has used so far, of all its threads (Linux only)."""
        # The clock of another process, as clock_getcpuclockid(3) makes it of the process id.
        return time.clock_gettime(~self.pid << 3 | 2)

    def memory(self) -> int:
        """The bytes it holds in memory (Linux only)."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def open_files(self) -> int:
        """How many files it has open, connections among them (Linux only)."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))


@contextmanager
def serving(server: str) -> Generator[Server]:
    """Run a server, named "APP HOST" as in `benchmarks.servers`, until the block is left."""
    with running("benchmarks.servers", *server.split()) as process:
        yield process


@contextmanager
def running(module: str, *arguments: str, log: int | None = None) -> Generator[Server]:
    """Run a module that serves, says its port and calls `end_with_standard_input`, until the block is left.

    Args:
        module: its name.
        arguments: what it is given.
        log: where its standard error goes, if not to ours.
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
            process.kill()  # nothing is to be saved, and some would wait for open streams


def end_with_standard_input() -> None:
    """In a server: have this process end when its parent is gone, whatever became of that."""
    threading.Thread(target=_wait_for_the_end, daemon=True).start()


def _wait_for_the_end() -> None:
    # Not through sys.stdin, whose lock this thread would hold when the interpreter ends.
    while os.read(0, 1024):
        pass
    os._exit(0)


def allow_files(count: int) -> None:
    """Let this process and those it starts open so many files at once, sockets among them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        if hard != resource.RLIM_INFINITY and hard < count:
            sys.exit(f"{count} open files are needed, and the system allows {hard}: raise it with ulimit -n")
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
