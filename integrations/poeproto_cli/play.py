"""`poeproto play`: a bot to talk to in a browser, with everything that it and Poe say to each other."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from poeproto_asgi import run
from poeproto_asgi.server import WorkerClass
from poeproto_asgi.targets import check_target_exists
from poeproto_cli.failures import server_failures
from poeproto_cli.options import bind_option, checked_key, worker_class_option
from poeproto_cli.terminal import log_to_stderr
from poeproto_cli.urls import is_target, refuse_address
from poeproto_h11 import split_url
from poeproto_record import RecordingError
from poeproto_runtime.listen import host_of

if TYPE_CHECKING:
    from poeproto_playground import PlayedBot

_KEY_VARIABLE = "POE_ACCESS_KEY"
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def _checked_keys(context: click.Context, parameter: click.Parameter, keys: tuple[str, ...]) -> tuple[str, ...]:
    for key in (*keys, os.environ.get(_KEY_VARIABLE)):
        checked_key(context, parameter, key or None)
    return keys


@click.command()
@click.argument("bots", nargs=-1, metavar="[TARGET_OR_URL]...")
@click.option(
    "--name",
    "names",
    multiple=True,
    help="The bot's name. By default what the bot says, or the name of its class. May be repeated: one for each bot, "
    "in their order.",
)
@click.option(
    "--access-key",
    "access_keys",
    multiple=True,
    callback=_checked_keys,
    metavar="KEY",
    help="The bot's access key; by default that in POE_ACCESS_KEY, which no process list shows. May be repeated: one "
    "for each bot, in their order.",
)
@bind_option("127.0.0.1:8084", unix_socket=False)
@click.option(
    "--expose-to-network",
    is_flag=True,
    help="Allow a --bind that other machines reach. Whoever has the token can then talk to the bot and read all of it; "
    "the connection is not encrypted.",
)
@click.option(
    "--allow-remote-media",
    is_flag=True,
    help="Let the page load images and media of replies from https addresses. Their servers then learn of it, and a "
    "reply can carry what the conversation says in such an address.",
)
@click.option(
    "--recording",
    "recordings",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Open this recording, with or without a bot. May be repeated.",
)
@click.option(
    "--balance",
    type=click.IntRange(min=0),
    default=1_000_000,
    show_default=True,
    help="The balance of the user, in thousandths of a US cent.",
)
@worker_class_option
def play(
    bots: tuple[str, ...],
    names: tuple[str, ...],
    access_keys: tuple[str, ...],
    bind: str,
    expose_to_network: bool,
    allow_remote_media: bool,
    recordings: tuple[Path, ...],
    balance: int,
    worker_class: WorkerClass,
) -> None:
    """Talk to a bot in a browser, until interrupted.

    TARGET_OR_URL is a TARGET as for serve, which is started here and again whenever its files change, or the URL of a
    running bot. There may be several: a message that begins with @NAME asks another than the first, and a bot can call
    the others. It may be left out with --recording.

    Once connections are accepted, one line on standard output says the address to open. It has a token in it, without
    which nobody can use the playground. Standard error has the error of a bot that does not start.
    """
    from poeproto_playground import Playground  # imported here, so that the other commands start faster

    if not bots and not recordings:
        raise click.UsageError("name a bot, as TARGET or URL, or open a recording with --recording FILE")
    log_to_stderr()
    with server_failures():
        _check_address(bind, expose_to_network)
        played = _played_bots(bots, names, access_keys)
        try:
            playground = Playground(
                played,
                recordings=recordings,
                exposed=expose_to_network,
                remote_media=allow_remote_media,
                balance=balance,
            )
        except RecordingError as exc:
            raise click.ClickException(str(exc)) from exc

        def on_ready(address: str) -> None:
            playground.open_at(address)
            click.echo(f"open {playground.page_address}")

        run(playground, bind=bind, worker_class=worker_class, on_ready=on_ready)


def _check_address(bind: str, expose_to_network: bool) -> None:
    """Refuse an address that no browser can open, and one that other machines reach unless that is allowed.

    Raises:
        click.UsageError: for such an address.
        ValueError: when it has none of the forms of an address.
        OSError: when no socket was inherited under the number.
    """
    host = host_of(bind)
    if host is None:
        raise click.UsageError(
            f"--bind {bind} is a Unix socket, which no browser can open; use a port, such as --bind 8084"
        )
    if host not in _LOOPBACK and not expose_to_network:
        raise click.UsageError(
            f"--bind {bind} may be reached from other machines; --expose-to-network allows it, and says what that means"
        )


def _played_bots(bots: Sequence[str], names: Sequence[str], access_keys: Sequence[str]) -> list[PlayedBot]:
    if len(names) > len(bots):
        raise click.UsageError(f"--name is given {len(names)} times, for {len(bots)} bots")
    if len(set(names)) < len(names):
        raise click.UsageError("--name: two bots cannot have the same name")
    if len(access_keys) not in (0, 1, len(bots)):
        raise click.UsageError(f"--access-key is given {len(access_keys)} times, for {len(bots)} bots")
    keys = access_keys if len(access_keys) == len(bots) else [*access_keys, None][:1] * len(bots)
    return [
        _played(each, name, key or os.environ.get(_KEY_VARIABLE))
        for each, name, key in zip(bots, [*names, *[None] * len(bots)], keys, strict=False)
    ]


def _played(target_or_url: str, name: str | None, access_key: str | None) -> PlayedBot:
    from poeproto_playground import PlayedBot

    if not is_target(target_or_url):
        split_url(target_or_url)  # raises for an invalid URL
        return PlayedBot(url=target_or_url, name=name or _name_in(target_or_url), access_key=access_key)
    refuse_address(target_or_url)
    check_target_exists(target_or_url)
    return PlayedBot(target=target_or_url, name=name, access_key=access_key)


def _name_in(url: str) -> str:
    """A name for the bot at a URL: the last part of its path."""
    return urlsplit(url).path.strip("/").rpartition("/")[2] or "Bot"
