"""The command `poeproto`, as a process."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

COMMAND = [sys.executable, "-W", "error", "-m", "poeproto_cli"]
SECONDS = 30  # for a process that hangs


class Serving:
    """`poeproto serve` or `poeproto simulate`, once it accepts connections."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], SECONDS)[0], "the server says nothing"
        self.line = process.stdout.readline()
        self.address = self.line.rpartition(" ")[2].strip()

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def signal_all(self, number: signal.Signals) -> None:
        """As a terminal does: to the process and those it started."""
        os.killpg(self._process.pid, number)

    def wait(self) -> tuple[int, str, str]:
        """The exit status and the output of both streams, once it and every process it started have ended."""
        # The ends of the pipes show only when nobody holds them any more, and workers inherit them.
        output, errors = self._process.communicate(timeout=SECONDS)
        return self._process.returncode, output, errors


@contextmanager
def serving(
    target: str, *options: str, env: Mapping[str, str] | None = None, bind: str = "127.0.0.1:0"
) -> Generator[Serving]:
    """Run `poeproto serve`, on a free port by default, and end it if the test did not."""
    with _running("serve", target, *options, env=env, bind=bind) as process:
        yield process


@contextmanager
def simulating(*options: str, env: Mapping[str, str] | None = None, bind: str = "127.0.0.1:0") -> Generator[Serving]:
    """Run `poeproto simulate` on a free port, and end it if the test did not."""
    with _running("simulate", *options, env=env, bind=bind) as process:
        yield process


@contextmanager
def openai_serving(*options: str, env: Mapping[str, str] | None = None) -> Generator[Serving]:
    """Run `poeproto openai serve` on a free port, and end it if the test did not."""
    with _running("openai", "serve", *options, env=env) as process:
        yield process


@contextmanager
def _running(*arguments: str, env: Mapping[str, str] | None, bind: str = "127.0.0.1:0") -> Generator[Serving]:
    with started(*arguments, "--bind", bind, env={**os.environ, **(env or {})}) as process:
        yield Serving(process)


@contextmanager
def started(*arguments: str, **options: Any) -> Generator[subprocess.Popen[str]]:
    """Run the command, with pipes to read from, and end it if the test did not, also one that fails.

    Args:
        arguments: what it is given.
        options: of `subprocess.Popen`.
    """
    with subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
