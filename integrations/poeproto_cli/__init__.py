"""The `poeproto` command."""

import sys


def main() -> None:
    """Run the command; without its extra installed, say so."""
    try:
        from poeproto_cli.commands import main as command
    except ModuleNotFoundError as exc:
        # The command is installed with the package, what it needs only with the extra.
        sys.exit(f"{exc}; the command needs more than the core: pip install 'poeproto[cli]'")
    command(prog_name="poeproto")


__all__ = ["main"]
