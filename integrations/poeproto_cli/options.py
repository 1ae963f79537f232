"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from poeproto import LocalProtocolError
from poeproto.auth import access_key_set
from poeproto_h11 import split_url

C = TypeVar("C", bound=Callable[..., Any])


def checked_key(context: click.Context, parameter: click.Parameter, key: str | None) -> str | None:
    """The callback of an option for a key, which refuses an invalid key."""
    if key is not None:
        try:
            access_key_set(key)
        except ValueError:
            raise click.BadParameter("a key is a string of visible ASCII characters") from None
    return key


def checked_endpoint(context: click.Context, parameter: click.Parameter, url: str | None) -> str | None:
    """The callback of an option for the address of Poe or a simulator, without a slash at its end."""
    if url is None:
        return None
    try:
        origin_of(url)
        valid = "?" not in url and "#" not in url  # Poe's paths are appended to it
    except LocalProtocolError:
        valid = False
    if not valid:
        # The message does not repeat the URL, which may contain a password.
        raise click.BadParameter("this is not the address of a server; expected a URL as http://127.0.0.1:8000")
    return url.rstrip("/")


def origin_of(url: str) -> str:
    """The origin of a URL: its scheme, host and port."""
    return str(split_url(url)[0])


access_key_option = click.option(
    "--access-key",
    callback=checked_key,
    envvar="POE_ACCESS_KEY",
    metavar="KEY",
    help="The bot's access key. Prefer the variable POE_ACCESS_KEY: no process list shows it.",
)


def bind_option(default: str) -> Callable[[C], C]:
    """The option for the address to listen on. Each command has its own default, so that they can run side by side."""
    return click.option(
        "--bind",
        default=default,
        show_default=True,
        metavar="ADDRESS",
        help="The address to listen on: HOST:PORT, :PORT for all interfaces, PORT for loopback, unix:PATH for a Unix "
        "socket (unix:PATH,mode=660 with these permissions), or fd://NUMBER for an inherited socket. Port 0 takes a "
        "free port.",
    )


unix_socket_option = click.option(
    "--unix-socket",
    metavar="PATH",
    help="Connect to the Unix socket at this path, whatever the host of the URL.",
)


worker_class_option = click.option(
    "--worker-class",
    type=click.Choice(["asyncio", "uvloop", "trio"]),
    default="asyncio",
    show_default=True,
    help="The event loop of the server.",
)

backend_option = click.option(
    "--backend",
    type=click.Choice(["asyncio", "trio"]),
    default="asyncio",
    show_default=True,
    help="The event loop of the client.",
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
