"""`poeproto recording`: shows, checks, trims and converts recordings. Each verb is a module."""

from __future__ import annotations

import click

from poeproto_cli.recording_har import har
from poeproto_cli.recording_lint import lint
from poeproto_cli.recording_show import show
from poeproto_cli.recording_trim import trim


@click.group()
def recording() -> None:
    """Show, check, cut and export recordings.

    A recording is a file of JSON Lines: the bytes exchanged between a client and a bot server, read by read, with
    times.
    """


for _command in (show, lint, trim, har):
    recording.add_command(_command)
