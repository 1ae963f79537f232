"""Lets `python -m poeproto_cli` do what `poeproto` does."""

from poeproto_cli.main import main

main(prog_name="poeproto")
