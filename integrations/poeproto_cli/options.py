"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from poeproto.auth import access_key_set

C = TypeVar("C", bound=Callable[..., Any])


def checked_key(context: click.Context, parameter: click.Parameter, key: str | None) -> str | None:
    """A key that can be sent, for the callback of an option."""
    if key is not None:
        try:
            access_key_set(key)
        except ValueError:
            raise click.BadParameter("a key is a string of visible ASCII characters") from None
    return key


access_key_option = click.option(
    "--access-key",
    callback=checked_key,
    envvar="POE_ACCESS_KEY",
    help="The bot's access key. The variable POE_ACCESS_KEY stands in for it, and keeps it out of process lists.",
)


def bind_option(default: str) -> Callable[[C], C]:
    """The option for the address, which each command has a default of its own for: they are used side by side."""
    return click.option(
        "--bind", default=default, show_default=True, metavar="HOST:PORT", help="Port 0 takes a free one."
    )


worker_class_option = click.option(
    "--worker-class",
    type=click.Choice(["asyncio", "uvloop", "trio"]),
    default="asyncio",
    show_default=True,
    help="The event loop.",
)
