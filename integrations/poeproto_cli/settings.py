"""`poeproto settings`: the settings of a bot server."""

from __future__ import annotations

import json
from functools import partial

import click

from poeproto import SettingsResponse
from poeproto.schemas import settings_payload
from poeproto_cli.failures import run_call
from poeproto_cli.options import access_key_option, backend_option, client_options, json_option
from poeproto_cli.terminal import echo
from poeproto_cli.urls import checked_url
from poeproto_h11 import Client
from poeproto_h11.client.shortcuts import ClientOptions


@click.command()
@click.argument("url")
@access_key_option
@backend_option
@json_option
@client_options
def settings(url: str, access_key: str | None, backend: str, as_json: bool, options: ClientOptions) -> None:
    """Fetch the settings of a bot server, and print them as JSON.

    With --json, they are printed on one line.
    """
    response = run_call(partial(_settings, checked_url(url), access_key, options), backend)
    # Fields unknown to this version cannot be sent, but can be shown.
    echo(json.dumps(settings_payload(response), ensure_ascii=False, indent=None if as_json else 2))


async def _settings(url: str, access_key: str | None, options: ClientOptions) -> SettingsResponse:
    async with Client(**options) as client:
        return await client.settings(url, access_key=access_key)
