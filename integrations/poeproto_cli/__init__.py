"""The `poeproto` command."""

from poeproto_cli.main import main

__all__ = ["main"]
