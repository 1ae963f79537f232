"""`poeproto query` and `poeproto settings`: one question to a bot server, and its answer."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import anyio
import attrs
import click

from poeproto import Event, LocalProtocolError, PoeprotoError, SettingsResponse, encode_settings
from poeproto_cli.failures import as_failure
from poeproto_cli.options import access_key_option
from poeproto_cli.terminal import Terminal, echo, show_json
from poeproto_cli.urls import checked_url
from poeproto_h11 import Client

T = TypeVar("T")

# What shells report of a command that SIGINT ended.
_INTERRUPTED = 130

_backend = click.option(
    "--backend", type=click.Choice(["asyncio", "trio"]), default="asyncio", show_default=True, help="The event loop."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")


@click.command()
@click.argument("url")
@click.argument("text")
@access_key_option
@_backend
@_json
def query(url: str, text: str, access_key: str | None, backend: str, as_json: bool) -> None:
    """Send TEXT to a bot server, and print its answer as it arrives.

    A bot on Poe is at https://api.poe.com/bot/NAME, and takes an API key for its access key.

    Text that replaces what was printed begins on a new line; files and suggested replies follow on standard error. With
    --json, each event becomes a line as soon as it is there, in the wire's terms.
    """
    terminal = Terminal()
    show = show_json if as_json else terminal.show
    try:
        _run(partial(_query, checked_url(url), text, access_key, show), backend)
    finally:
        terminal.end()


@click.command()
@click.argument("url")
@access_key_option
@_backend
@_json
def settings(url: str, access_key: str | None, backend: str, as_json: bool) -> None:
    """Print the settings of a bot server, as JSON.

    With --json they are one line.
    """
    answer = _run(partial(_settings, checked_url(url), access_key), backend)
    # What this version does not know could not be sent, but it can be shown.
    wire = {**json.loads(encode_settings(attrs.evolve(answer, extra={}))), **answer.extra}
    echo(json.dumps(wire, ensure_ascii=False, indent=None if as_json else 2))


async def _query(url: str, text: str, access_key: str | None, show: Callable[[Event], None]) -> None:
    async with Client() as client, client.query(url, text, access_key=access_key) as reply:
        async for event in reply:
            show(event)
        await reply.text()


async def _settings(url: str, access_key: str | None) -> SettingsResponse:
    async with Client() as client:
        return await client.settings(url, access_key=access_key)


def _run(call: Callable[[], Awaitable[T]], backend: str) -> T:
    try:
        return anyio.run(call, backend=backend)
    except KeyboardInterrupt as exc:
        click.echo("Aborted!", err=True)
        raise click.exceptions.Exit(_INTERRUPTED) from exc
    except LocalProtocolError as exc:
        raise click.UsageError(str(exc)) from exc  # the URL cannot be used
    except PoeprotoError as exc:
        raise as_failure(exc) from exc
