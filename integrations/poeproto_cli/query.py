"""`poeproto query`: a query to a bot server."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import click

from poeproto import Event
from poeproto_cli.failures import run_call
from poeproto_cli.options import access_key_option, backend_option, client_options, json_option
from poeproto_cli.terminal import Terminal, show_json
from poeproto_cli.urls import checked_url
from poeproto_h11 import Client
from poeproto_h11.client.shortcuts import ClientOptions


@click.command()
@click.argument("url")
@click.argument("text")
@access_key_option
@backend_option
@json_option
@client_options
def query(url: str, text: str, access_key: str | None, backend: str, as_json: bool, options: ClientOptions) -> None:
    """Send TEXT to a bot server, and stream its reply.

    The URL of a bot on Poe is https://api.poe.com/bot/NAME, with an API key as --access-key.

    The text of the reply is printed as it arrives. Text that replaces it begins on a new line. Files and suggested
    replies follow on standard error. With --json, each event is printed as one line when it arrives, with the names of
    the wire format.
    """
    terminal = Terminal()
    show = show_json if as_json else terminal.show
    try:
        run_call(partial(_query, checked_url(url), text, access_key, show, options), backend)
    finally:
        terminal.end()


async def _query(
    url: str, text: str, access_key: str | None, show: Callable[[Event], None], options: ClientOptions
) -> None:
    client = Client(**options)
    async with client, client.query(url, text, access_key=access_key) as reply:
        async for event in reply:
            show(event)
        await reply.text()
