"""Options that several commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

from poeproto import Endpoints, LocalProtocolError
from poeproto.auth import access_key_set
from poeproto_h11 import split_url
from poeproto_h11.client.shortcuts import ClientOptions
from poeproto_runtime.client.extra_headers import checked_headers

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
        raise click.BadParameter("expected the URL of a server, as http://127.0.0.1:8000")
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


def bind_option(default: str, *, unix_socket: bool = True) -> Callable[[C], C]:
    """The option for the address to listen on. Each command has its own default, so that they can run side by side.

    Args:
        default: the address if none is given.
        unix_socket: whether the command can listen on a Unix socket.
    """
    at_path = "unix:PATH for a Unix socket (unix:PATH,mode=660 with these permissions), " if unix_socket else ""
    return click.option(
        "--bind",
        default=default,
        show_default=True,
        metavar="ADDRESS",
        help=f"The address to listen on: HOST:PORT, :PORT for all interfaces, PORT for loopback, {at_path}or "
        "fd://NUMBER for an inherited socket. Port 0 takes a free port.",
    )


unix_socket_option = click.option(
    "--unix-socket",
    metavar="PATH",
    help="Connect to the Unix socket at this path, whatever the host of the URL.",
)


def checked_headers_option(
    context: click.Context, parameter: click.Parameter, headers: tuple[str, ...]
) -> list[tuple[str, str]]:
    """The callback of an option for request headers, each written as in HTTP."""
    pairs: list[tuple[str, str]] = []
    for header in headers:
        name, colon, value = header.partition(":")
        if not colon:
            # The message does not repeat the header, which may hold a key.
            raise click.BadParameter("a header is written as 'NAME: VALUE'")
        pairs.append((name, value.strip()))
    try:
        checked_headers(pairs)
    except LocalProtocolError as exc:
        raise click.BadParameter(str(exc)) from None
    return pairs


header_option = click.option(
    "--header",
    "headers",
    multiple=True,
    callback=checked_headers_option,
    metavar="'NAME: VALUE'",
    help="Add this header to each request. May be repeated.",
)

proxy_option = click.option(
    "--proxy",
    metavar="URL",
    help="Connect through this HTTP proxy. By default the variables HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY "
    "decide; an empty URL ignores them.",
)


def client_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a command for how its client connects; the command is given them as `options`, for `Client`."""

    @functools.wraps(command)
    def with_options(
        *args: Any, headers: list[tuple[str, str]], proxy: str | None, unix_socket: str | None, **others: Any
    ) -> Any:
        if proxy and unix_socket:
            raise click.UsageError("--proxy and --unix-socket exclude each other: each says how to connect")
        # An empty variable means no proxy.
        options = ClientOptions(headers=headers, proxy=False if proxy == "" else proxy, unix_socket=unix_socket)
        return command(*args, options=options, **others)

    return header_option(proxy_option(unix_socket_option(with_options)))


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


def checked_endpoints(context: click.Context, parameter: click.Parameter, url: str | None) -> Endpoints | None:
    """The callback of an option for Poe or a simulator; None if it was not given."""
    root = checked_endpoint(context, parameter, url)
    if root is None:
        return None
    # Poe has two hosts, a simulator is both.
    return Endpoints() if origin_of(root) == origin_of(Endpoints().api) else Endpoints.at(root)


endpoint_option = click.option(
    "--endpoint",
    "endpoints",
    callback=checked_endpoints,
    metavar="URL",
    help="The address of a simulator, to call instead of Poe.",
)
