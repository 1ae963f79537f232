"""Lets `python -m poeproto_cli` do what `poeproto` does."""

from poeproto_cli import main

main()
