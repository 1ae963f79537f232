"""The files of `poeproto query --file`, as attachments of the message.

A bot gets an attachment as a URL, which it fetches the file from. Where that URL comes from depends on the bot:

- A URL is attached as it is.
- For a bot on Poe or in a simulator, a file is uploaded there, as the apps of Poe do.
- For a bot server that is called directly, there is no server that could keep the file. It is attached as a ``data:``
  URL (RFC 2397), which contains the file. A text also becomes the attachment's `parsed_content`, as it does on Poe.
"""

from __future__ import annotations

import base64
import contextlib
import mimetypes
import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import attrs
import click

from poeproto import Attachment
from poeproto.flows import UploadedFile
from poeproto_cli.file_progress import file_with_progress
from poeproto_h11 import Client

_URL = re.compile(r"(?:https?://|data:)", re.IGNORECASE)
_UNKNOWN_TYPE = "application/octet-stream"
# Servers refuse large requests, those of poeproto above 16 MiB; base64 adds a third.
_LARGEST = 10 * 1024 * 1024


@attrs.frozen
class FileSource:
    """A file to attach.

    Attributes:
        where: its URL, or its path.
        name: its name.
        content_type: its media type, guessed from the name.
    """

    where: str | Path
    name: str
    content_type: str


def file_source(file: str) -> FileSource:
    """The file at a path or URL. It is not opened yet.

    Raises:
        click.UsageError: for a malformed URL, and when there is no file at the path.
    """
    if not _URL.match(file):
        path = Path(file)
        if not path.exists() or path.is_dir():
            raise click.UsageError(f"there is no file {file}; --file takes a path, or a URL as https://HOST/NAME")
        return FileSource(path, path.name, guessed_type(path.name))
    if file.lower().startswith("data:"):
        declared = file[5:].partition(",")[0].partition(";")[0]
        return FileSource(file, "file", declared or "text/plain")
    try:
        name = PurePosixPath(unquote(urlsplit(file).path)).name or "file"
    except ValueError:
        # urlsplit's message may quote credentials from before the host.
        raise click.UsageError("the URL of --file is malformed") from None
    return FileSource(file, name, guessed_type(name))


def guessed_type(name: str) -> str:
    """The media type of a file of that name."""
    return mimetypes.guess_type(name)[0] or _UNKNOWN_TYPE


async def uploaded(sources: Iterable[FileSource], client: Client) -> list[Attachment]:
    """The attachments. Files are uploaded to Poe or the simulator that the client calls, with its key."""
    return [
        Attachment(source.where, source.content_type, source.name)
        if isinstance(source.where, str)
        else (await upload_file(client, source)).attachment()
        for source in sources
    ]


async def upload_file(client: Client, source: FileSource) -> UploadedFile:
    """Upload a file with a progress bar, or have Poe fetch the one at a URL.

    Raises:
        click.UsageError: when the file cannot be read.
    """
    if isinstance(source.where, str):
        return await client.upload_by_url(source.where, name=source.name)
    with file_with_progress(source.where) as file:
        try:
            return await client.upload(file, name=source.name)
        except OSError as exc:
            raise click.UsageError(f"{source.where} cannot be read: {exc.strerror or exc}") from exc


def inlined(sources: Iterable[FileSource]) -> list[Attachment]:
    """The attachments, each file within its URL.

    Raises:
        click.UsageError: when the files are too large for that, or cannot be read.
    """
    attachments: list[Attachment] = []
    left = _LARGEST
    for source in sources:
        if isinstance(source.where, str):
            attachments.append(Attachment(source.where, source.content_type, source.name))
            continue
        with file_with_progress(source.where) as file:
            try:
                content = file.read(left + 1)
            except OSError as exc:
                raise click.UsageError(f"{source.where} cannot be read: {exc.strerror or exc}") from exc
        left -= len(content)
        if left < 0:
            raise click.UsageError(
                f"the files have more than {_LARGEST} bytes, too many for one query; give --endpoint to upload them to "
                "a simulator or to Poe, or the URLs of the files"
            )
        attachments.append(_inlined(source, content))
    return attachments


def _inlined(source: FileSource, content: bytes) -> Attachment:
    url = f"data:{source.content_type};base64,{base64.b64encode(content).decode()}"
    parsed = None
    if source.content_type.startswith("text/"):
        with contextlib.suppress(UnicodeDecodeError):  # of a text in another encoding
            parsed = content.decode()
    return Attachment(url, source.content_type, source.name, parsed_content=parsed)
