"""`poeproto bench`, run in this process."""

from __future__ import annotations

from click.testing import CliRunner, Result

from poeproto_cli.commands import main

from .bots import KEY


def bench(*arguments: str, key: str | None = KEY) -> Result:
    """Measure; `key` is the access key in the environment."""
    return CliRunner(env={"POE_ACCESS_KEY": key}).invoke(main, ["bench", *arguments], prog_name="poeproto")
