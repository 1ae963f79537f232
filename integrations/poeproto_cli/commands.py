"""The `poeproto` command with its verbs.

Exit codes: 0 for success, 1 when the bot or the peer failed (one line on standard error), `migrate --check` found
something to rewrite or `check` found a broken rule, 2 for wrong usage, 3 when `check` itself failed, 130 for an
interrupted query.
"""

from __future__ import annotations

import sys
from typing import Any

import click

from poeproto_cli.bench import bench
from poeproto_cli.check import check_command
from poeproto_cli.migrate import migrate
from poeproto_cli.new import new
from poeproto_cli.openai import openai
from poeproto_cli.play import play
from poeproto_cli.query import query
from poeproto_cli.record import record
from poeproto_cli.recording import recording
from poeproto_cli.replay import replay
from poeproto_cli.serve import serve
from poeproto_cli.settings import settings
from poeproto_cli.simulate import simulate
from poeproto_cli.sync import sync
from poeproto_cli.terminal import encodable
from poeproto_cli.upload import upload
from poeproto_runtime.printable import printable_text


class Command(click.Group):
    """The command. Its error messages are printable, whatever they quote: a peer, an argument or a file."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.ClickException as exc:
            message = exc.format_message()
            shown = encodable(printable_text(message), getattr(sys.stderr, "encoding", None))
            if shown == message:
                raise
            if isinstance(exc, click.UsageError):
                raise click.UsageError(shown, exc.ctx) from exc
            failure = click.ClickException(shown)
            failure.exit_code = exc.exit_code  # pyright: ignore[reportAttributeAccessIssue] - declared for classes
            raise failure from exc


@click.group(cls=Command)
@click.version_option(package_name="poeproto")
def main() -> None:
    """Begin, serve, query, play with, check, measure, record and simulate bots, and move bots of fastapi_poe here.

    Exit codes: 0 for success, 1 when a bot or peer failed, 2 for wrong usage.
    """


_COMMANDS = (
    new, serve, query, settings, sync, upload, simulate, play, bench, check_command, record, replay, recording,
    openai, migrate,
)  # fmt: skip
for _command in _COMMANDS:
    main.add_command(_command)
