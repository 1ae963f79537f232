"""The `poeproto` command with its verbs.

Exit codes: 0 for success, 1 when the bot or the peer failed (one line on standard error), 2 for wrong usage, 130 for an
interrupted query.
"""

from __future__ import annotations

import click

from poeproto_cli.bench import bench
from poeproto_cli.query import query
from poeproto_cli.serve import serve
from poeproto_cli.settings import settings
from poeproto_cli.simulate import simulate


@click.group()
@click.version_option(package_name="poeproto")
def main() -> None:
    """Serve, query, measure and simulate Poe server bots.

    Exit codes: 0 for success, 1 when a bot or peer failed, 2 for wrong usage.
    """


for _command in (serve, query, settings, simulate, bench):
    main.add_command(_command)
