"""`python -m poeproto_cli` runs the `poeproto` command."""

from poeproto_cli import main

main()
