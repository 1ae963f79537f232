"""A TARGET in a process of its own, for commands that send requests to it: `bench` and `check`.

It does not share a core or an event loop with the command, and a bot that crashes does not take the command with it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty, SimpleQueue
from typing import IO

import attrs
import click

from poeproto import PoeprotoError
from poeproto_cli.terminal import echo
from poeproto_cli.urls import is_target, refuse_address

# How long the server may take to exit before it is killed.
_EXIT_SECONDS = 10
# The number of lines shown of its log, which ends at the second error: other replies fail in the same way.
_LOG_LINES = 100
_ERROR = re.compile(r"[\d-]+ [\d:,]+ ERROR ")


class _Refusal(BaseHTTPRequestHandler):
    """Refuses the calls of a bot that is measured or checked, and says why. Costs are granted: nobody pays them."""

    command_name = ""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.path.startswith("/bot/cost/"):
            self._respond(200, "text/event-stream", b'event: result\ndata: {"status": "success"}\n\n')
            return
        why = f"{self.command_name} lets a bot call others only with --endpoint, the URL of a simulator or of Poe"
        self._respond(403, "application/json", json.dumps({"error": why}).encode())

    def _respond(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass  # the bot's log has the refusal


@contextmanager
def _refusing_endpoint(command: str) -> Generator[str]:
    handler = type("Refusal", (_Refusal,), {"command_name": command})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def _no_log() -> None:
    pass


@attrs.frozen
class ServedTarget:
    """A target that is served, or a server that somebody else has started.

    Attributes:
        url: where it is.
        endings: a line for each query that the check watches, when it has ended.
        show_log: shows the server's log on standard error, up to the second error; nothing for somebody else's server.
    """

    url: str
    show_log: Callable[[], None] = _no_log
    endings: SimpleQueue[str] = attrs.field(factory=SimpleQueue[str])

    def next_ending(self, seconds: float) -> str | None:
        """Wait for the next query that is watched to end: ``complete`` or ``disconnected``; None after the time."""
        try:
            return self.endings.get(timeout=seconds)
        except Empty:
            return None


def server_of(
    target: str, command: str, worker_class: str, access_key: str | None, endpoint: str | None
) -> AbstractContextManager[ServedTarget]:
    """The server at a URL, or one that serves a target within the block.

    Args:
        target: a URL, or a target as for `poeproto serve`.
        command: who serves it, for the message that refuses the bot's calls.
        worker_class: the event loop of the server.
        access_key: the bot's key; None to answer without one.
        endpoint: where the bot's calls go; None to refuse them.

    Raises:
        click.UsageError: for an address that is not a URL, and for a URL with an endpoint.
    """
    if is_target(target):
        refuse_address(target)
        return _served_target(target, command, worker_class, access_key, endpoint)
    if endpoint is not None:
        raise click.UsageError("--endpoint is for a TARGET; the server at a URL decides where its bots call Poe")
    return nullcontext(ServedTarget(target))


@contextmanager
def _served_target(
    target: str, command: str, worker_class: str, access_key: str | None, endpoint: str | None
) -> Generator[ServedTarget]:
    with _refusing_endpoint(command) if endpoint is None else nullcontext(endpoint) as url:
        arguments = [sys.executable, "-m", "poeproto_cli.target_server", target]
        arguments += ["--worker-class", worker_class, "--endpoint", url]
        environment = dict(os.environ)
        environment.pop("POE_ACCESS_KEY", None)
        if access_key is not None:
            environment["POE_ACCESS_KEY"] = access_key  # no list of processes shows the environment
        with _process(arguments, environment) as served:
            yield served


@contextmanager
def _process(command: list[str], environment: dict[str, str]) -> Generator[ServedTarget]:
    """Run a server; yields where it is. Its log is shown if the block or the server fails."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env=environment, text=True
        )
        try:
            with _terminating(process):
                assert process.stdout is not None
                address = process.stdout.readline().strip()
                if address:
                    served = ServedTarget(address, lambda: _show_log(_lines_of(log)))
                    threading.Thread(target=_read_lines, args=(process.stdout, served.endings), daemon=True).start()
                    yield served
        except PoeprotoError:
            _show_log(_lines_of(log))
            raise
        if not address:
            *before, message = _lines_of(log) or ["the server did not start"]
            message = message.removeprefix("Error: ")
            if process.returncode == click.UsageError.exit_code:
                raise click.UsageError(message)  # without the usage of `serve` before it
            _show_log(before)
            raise click.ClickException(message)


def _read_lines(lines: IO[str], into: SimpleQueue[str]) -> None:
    """Read the lines that the server prints after its address."""
    for line in lines:
        into.put(line.strip())


@contextmanager
def _terminating(process: subprocess.Popen[str]) -> Generator[None]:
    """Terminate the process after the block, and kill it if it does not exit."""
    with process:
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(_EXIT_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _lines_of(log: IO[bytes]) -> list[str]:
    log.seek(0)
    return log.read().decode(errors="replace").splitlines()


def _show_log(log: list[str]) -> None:
    """Show the server's log, for the author of the bot."""
    errors = [number for number, line in enumerate(log) if _ERROR.match(line)]
    shown = log[: min([_LOG_LINES, *errors[1:2]])]
    for line in shown:
        echo(line, err=True)
    if len(log) > len(shown):
        click.echo(f"(and {len(log) - len(shown)} more lines)", err=True)
