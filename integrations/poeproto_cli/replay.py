"""`poeproto replay`: a server that answers with the responses of a recording."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from poeproto_asgi.server import WorkerClass
from poeproto_cli.failures import server_failures
from poeproto_cli.options import bind_option, json_option, worker_class_option
from poeproto_cli.recording_files import file_argument, recording_failures, report_cut
from poeproto_cli.server_process import run_server
from poeproto_cli.terminal import log_to_stderr
from poeproto_record import ReplayMatch, load_recording


@click.command()
@file_argument
@bind_option("127.0.0.1:8083")
@click.option(
    "--speed",
    type=click.FloatRange(min=0, max=1e6),
    default=1,
    show_default=True,
    help="How many times as fast as recorded. 0 does not wait.",
)
@click.option(
    "--match",
    type=click.Choice([each.value for each in ReplayMatch]),
    default=ReplayMatch.LAST_MESSAGE.value,
    show_default=True,
    help="Which recorded request must equal a request: in its path, type and last message; in its whole URL and body; "
    "or none, since requests come in the recorded order.",
)
@worker_class_option
@json_option
def replay(file: Path, bind: str, speed: float, match: str, worker_class: WorkerClass, as_json: bool) -> None:
    """Answer requests with the responses of a recording, read by read, until interrupted.

    A request that no recorded one matches is answered with 404; the body and the log say what differs from the nearest
    one. Connections that were reset are reset again.
    """
    from poeproto_record.server import replay as serve_replay  # here, so that the other commands start faster

    log_to_stderr()
    with server_failures():
        with recording_failures(file):
            recording = load_recording(file)
        report_cut(file, recording)
        serve = partial(serve_replay, recording, bind=bind, match=ReplayMatch(match), speed=speed)
        ready = {"replaying": str(file), "exchanges": len(recording.exchanges)} if as_json else f"replaying {file}"
        run_server(serve, ready, worker_class)
