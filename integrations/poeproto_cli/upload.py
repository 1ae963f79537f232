"""`poeproto upload`: uploads files to Poe."""

from __future__ import annotations

import json
from functools import partial

import click

from poeproto import Attachment, Endpoints
from poeproto_cli.attachments import FileSource, file_source, upload_file
from poeproto_cli.failures import run_call
from poeproto_cli.options import access_key_option, backend_option, client_options, endpoint_option, json_option
from poeproto_cli.terminal import echo, echo_line
from poeproto_h11 import Client
from poeproto_h11.client.shortcuts import ClientOptions


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE_OR_URL...")
@access_key_option
@endpoint_option
@backend_option
@json_option
@client_options
def upload(
    files: tuple[str, ...],
    access_key: str | None,
    endpoints: Endpoints | None,
    backend: str,
    as_json: bool,
    options: ClientOptions,
) -> None:
    """Upload files to Poe, and print their URLs.

    Poe itself fetches the file at a URL. The --access-key is a bot's key, or a user's API key. With --json, each file
    is printed as an attachment of a message: an object with url, content_type and name.
    """
    if access_key is None:
        raise click.UsageError("an upload needs a key; give it with --access-key or in POE_ACCESS_KEY")
    client_settings: ClientOptions = {**options, "endpoints": endpoints, "access_key": access_key}
    run_call(partial(_upload, [file_source(file) for file in files], as_json, client_settings), backend)


async def _upload(sources: list[FileSource], as_json: bool, options: ClientOptions) -> None:
    async with Client(**options) as client:
        for source in sources:
            attachment = (await upload_file(client, source)).attachment()
            if as_json:
                echo(_json_line(attachment))
            else:
                echo_line(attachment.url)


def _json_line(attachment: Attachment) -> str:
    shown = {"url": attachment.url, "content_type": attachment.content_type, "name": attachment.name}
    return json.dumps(shown, ensure_ascii=False)
