"""The `poeproto` command."""

import sys


def main() -> None:
    """Run the command. If its extra is not installed, say so and exit."""
    try:
        from poeproto_cli.commands import main as command
    except ModuleNotFoundError as exc:
        # The package installs the command, but only the extra installs its dependencies.
        sys.exit(f"the command needs {exc.name}, which is not installed: pip install 'poeproto[cli]'")
    from poeproto_cli.terminal import print_exception

    sys.excepthook = print_exception  # an unexpected exception may quote a peer
    command(prog_name="poeproto")


__all__ = ["main"]
