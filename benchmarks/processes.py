"""Servers under measurement: started, asked for their processor time and memory, and ended."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
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
        url: where its bot is.
        process: its process.
    """

    url: str
    process: subprocess.Popen[bytes]

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
    command = [sys.executable, "-m", "benchmarks.servers", *server.split()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            port = process.stdout.readline().strip().decode()
            if not port:
                sys.exit(f"the server {server} did not start")
            yield Server(f"http://127.0.0.1:{port}/", process)
        finally:
            process.kill()  # nothing is to be saved, and some would wait for open streams


def allow_files(count: int) -> None:
    """Let this process and those it starts open so many files at once, sockets among them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        if hard != resource.RLIM_INFINITY and hard < count:
            sys.exit(f"{count} open files are needed, and the system allows {hard}: raise it with ulimit -n")
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
