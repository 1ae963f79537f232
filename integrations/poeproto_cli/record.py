"""`poeproto record`: a proxy that records all traffic between clients and a bot server."""

from __future__ import annotations

import os
import re
import stat
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

import click

from poeproto_asgi.server import WorkerClass
from poeproto_cli.failures import server_failures
from poeproto_cli.options import bind_option, json_option, unix_socket_option, worker_class_option
from poeproto_cli.recording_files import private_file, recording_failures
from poeproto_cli.server_process import run_server
from poeproto_cli.terminal import log_to_stderr
from poeproto_cli.urls import checked_url
from poeproto_record import Redaction


def _checked_patterns(context: click.Context, parameter: click.Parameter, patterns: tuple[str, ...]) -> Redaction:
    try:
        return Redaction(patterns=patterns)
    except re.error as exc:
        # The message does not repeat the pattern, which may be a secret.
        raise click.BadParameter(f"not a regular expression: {exc.msg}") from None


@click.command()
@click.argument("url")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="The recording. A file that exists is replaced.",
)
@bind_option("127.0.0.1:8082")
@click.option(
    "--redact",
    "redaction",
    multiple=True,
    callback=_checked_patterns,
    metavar="REGEX",
    help="Replace what this matches within a line, besides keys. May be repeated.",
)
@unix_socket_option
@click.option(
    "--keep-host", is_flag=True, help="Forward the Host header unchanged. By default it names the host of URL."
)
@worker_class_option
@json_option
def record(
    url: str,
    output: Path,
    bind: str,
    redaction: Redaction,
    unix_socket: str | None,
    keep_host: bool,
    worker_class: WorkerClass,
    as_json: bool,
) -> None:
    """Record the traffic between clients and the server at URL, until interrupted.

    Clients, or Poe, use the printed address in place of URL. All bytes pass as they arrive. Keys are replaced in the
    recording; the texts of messages are not.
    """
    from poeproto_record.server import record as serve_recording  # here, so that the other commands start faster

    log_to_stderr()
    checked_url(url)
    with server_failures(), recording_failures(output), private_file(output, empty=False) as file:
        serve = partial(
            serve_recording,
            url,
            cast("BinaryIO", _ReplacedFile(file)),
            bind=bind,
            unix_socket=unix_socket,
            keep_host=keep_host,
            redaction=redaction,
        )
        ready = {"recording": str(output)} if as_json else f"recording to {output}"
        run_server(serve, ready, worker_class)


class _ReplacedFile:
    """A file that its first write empties: a command that fails before, for a port in use, leaves it as it was.

    Args:
        file: the file, open for writing at its beginning.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._is_emptied = not stat.S_ISREG(os.fstat(file.fileno()).st_mode)  # a pipe or device has nothing to empty
        self.name = file.name

    def write(self, line: bytes) -> None:
        """Write a line."""
        if not self._is_emptied:
            self._file.truncate()
            self._is_emptied = True
        self._file.write(line)

    def flush(self) -> None:
        """Write the buffered lines."""
        self._file.flush()
