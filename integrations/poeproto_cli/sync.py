"""`poeproto sync`: brings a bot's settings to Poe."""

from __future__ import annotations

import json
from functools import partial
from typing import BinaryIO

import click

from poeproto import Endpoints, ProtocolError, SettingsResponse, decode_settings
from poeproto.schemas import settings_payload
from poeproto_cli.failures import run_call
from poeproto_cli.options import access_key_option, backend_option, client_options, endpoint_option, json_option
from poeproto_cli.terminal import echo
from poeproto_h11 import Client
from poeproto_h11.client.shortcuts import ClientOptions


@click.command()
@click.argument("bot")
@access_key_option
@click.option(
    "--settings",
    "settings_file",
    type=click.File("rb"),
    metavar="FILE",
    help="Send the settings in this file, as `poeproto settings` prints them; - is standard input.",
)
@endpoint_option
@backend_option
@json_option
@client_options
def sync(
    bot: str,
    access_key: str | None,
    settings_file: BinaryIO | None,
    endpoints: Endpoints | None,
    backend: str,
    as_json: bool,
    options: ClientOptions,
) -> None:
    """Have Poe fetch the settings of BOT, or send them to Poe.

    BOT is the bot's name on Poe, and --access-key its key. By default Poe fetches the settings from the bot's server.
    With --settings, they are sent. The settings in Poe's answer, if there are any, are printed as JSON; with --json, on
    one line.
    """
    if access_key is None:
        raise click.UsageError("Poe wants the bot's access key; give it with --access-key or in POE_ACCESS_KEY")
    settings = None if settings_file is None else _read(settings_file)
    client_settings: ClientOptions = {**options, "endpoints": endpoints, "access_key": access_key}
    answer = run_call(partial(_sync, bot, settings, client_settings), backend)
    done = "has fetched its settings" if settings is None else "has received its settings"
    echo(f"{bot}: {'Poe' if endpoints is None else endpoints.api} {done}", err=True)
    if answer is not None:
        echo(json.dumps(settings_payload(answer), ensure_ascii=False, indent=None if as_json else 2))


def _read(file: BinaryIO) -> SettingsResponse:
    try:
        return decode_settings(file.read())
    except ProtocolError as exc:
        raise click.UsageError(f"the file of --settings holds no settings: {exc}") from exc
    except OSError as exc:
        raise click.UsageError(f"the file of --settings cannot be read: {exc.strerror or exc}") from exc


async def _sync(bot: str, settings: SettingsResponse | None, options: ClientOptions) -> SettingsResponse | None:
    async with Client(**options) as client:
        return await client.sync_settings(bot, settings)
