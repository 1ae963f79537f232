"""Uploads to Poe's file service: as multipart/form-data (RFC 7578), or fetched by Poe from a URL."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterable, Iterable
from typing import IO, Any
from urllib.parse import urlencode

import attrs

from poeproto.auth import access_key_set
from poeproto.exchange.refusals import refusal, refusal_reason
from poeproto.limits import Limits
from poeproto.vocabulary.endpoints import POE, Endpoints
from poeproto.vocabulary.errors import FileTooLarge, InvalidValue, RemoteProtocolError, UploadRefused
from poeproto.vocabulary.events import File
from poeproto.vocabulary.field_types import as_integer, checked
from poeproto.vocabulary.headers import ACCEPT_IDENTITY
from poeproto.vocabulary.http import HttpResponse
from poeproto.vocabulary.http_request import HttpRequest
from poeproto.vocabulary.messages import Attachment
from poeproto.vocabulary.streamed_body import StreamedBody
from poeproto.wire.json import loads

__all__ = ["UploadSource", "UploadedFile", "read_upload", "upload_by_url_request", "upload_request"]

UploadSource = (
    str | bytes | bytearray | memoryview | os.PathLike[str] | IO[bytes] | Iterable[bytes] | AsyncIterable[bytes]
)
"""A source of an upload: text, bytes, a path, an open binary file (from its current position), or a stream of bytes."""

# RFC 2046, 5.1.1, without the characters that would need quotes.
_BOUNDARY = re.compile(r"[A-Za-z0-9'+_.-]{1,70}", re.ASCII)
_TOKEN = r"[A-Za-z0-9!#$&^_.+-]+"
# RFC 9110, 5.6.4 and 5.6.6, ASCII only; without control characters a quoted string cannot end the header.
_QUOTED = r'"(?:[\t !#-\[\]-~]|\\[\t -~])*"'
# Characters that a header must not contain (RFC 9110, 5.5), except line ends, which are escaped.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_MEDIA_TYPE = re.compile(rf"{_TOKEN}/{_TOKEN}(?:[ \t]*;[ \t]*{_TOKEN}=(?:{_TOKEN}|{_QUOTED}))*", re.ASCII)


@checked
@attrs.frozen
class UploadedFile:
    """An uploaded file.

    Attributes:
        url: the URL to fetch it from.
        content_type: its media type, as Poe determined it.
        name: its file name.
        size: its size in bytes, if Poe sent it.
    """

    url: str
    content_type: str
    name: str
    size: int | None = None

    def event(self, inline_ref: str | None = None) -> File:
        """The event that adds the file to a reply, with an optional label for references from the text."""
        return File(self.url, self.name, self.content_type, inline_ref or None)

    def attachment(self, inline_ref: str | None = None) -> Attachment:
        """The attachment that adds the file to a message of a query, with an optional label for references."""
        return Attachment(self.url, self.content_type, self.name, inline_ref or None)


def upload_request(
    source: Any,
    *,
    size: int,
    name: str,
    content_type: str,
    access_key: str,
    boundary: str,
    repeatable: bool = False,
    endpoints: Endpoints = POE,
    limits: Limits | None = None,
) -> HttpRequest:
    """The request that uploads a file. Its body is a `StreamedBody`.

    Args:
        source: the file, as the integration reads it.
        size: the file's size in bytes.
        name: its name.
        content_type: its media type.
        access_key: a bot's access key, or a user's API key.
        boundary: the separator of the parts, which must not occur in the file: ``secrets.token_hex(16)``. The core has
            no source of randomness.
        repeatable: whether the integration can read the source a second time.
        endpoints: where Poe is.
        limits: `Limits.file_size` applies.

    Raises:
        InvalidValue: for an invalid boundary or media type, for an empty name or one with a lone surrogate or a control
            character (tabs and line ends are allowed), and for a negative size.
        ValueError: for a key that a header cannot hold.
        FileTooLarge: for a file larger than `Limits.file_size`.
    """
    largest = (limits or Limits()).file_size
    if size > largest:
        raise FileTooLarge(f"the file {name!r} has {size} bytes; the limit is {largest}")
    if not _BOUNDARY.fullmatch(boundary):
        raise InvalidValue("expected 1 to 70 letters, digits and any of '+_.-", path="boundary")
    if not _MEDIA_TYPE.fullmatch(content_type):
        raise InvalidValue(f"{content_type!r} is not a media type", path="content_type")
    prefix = (
        f'--{boundary}\r\ncontent-disposition: form-data; name="file"; filename="{_quoted(name)}"\r\n'
        f"content-type: {content_type}\r\n\r\n"
    )
    body = StreamedBody(prefix.encode(), source, size, f"\r\n--{boundary}--\r\n".encode(), repeatable)
    headers = [
        _authorization(access_key),
        ACCEPT_IDENTITY,
        ("content-type", f"multipart/form-data; boundary={boundary}"),
    ]
    return HttpRequest("POST", endpoints.file_upload, headers, body)


def upload_by_url_request(
    url: str, *, access_key: str, name: str | None = None, endpoints: Endpoints = POE
) -> HttpRequest:
    """The request that asks Poe to fetch a file from a URL.

    Raises:
        InvalidValue: for an empty URL.
        ValueError: for a key that a header cannot hold, or a string with a lone surrogate.
    """
    if not url:
        raise InvalidValue("empty", path="url")
    fields = {"download_url": url} | ({} if name is None else {"download_filename": name})
    headers = [_authorization(access_key), ACCEPT_IDENTITY, ("content-type", "application/x-www-form-urlencoded")]
    return HttpRequest("POST", endpoints.file_upload, headers, urlencode(fields).encode())


def read_upload(response: HttpResponse, *, name: str, access_key: str, limits: Limits | None = None) -> UploadedFile:
    """The uploaded file in the response to an upload.

    Args:
        response: the response to `upload_request` or `upload_by_url_request`.
        name: the name of the file.
        access_key: the key, to be hidden in errors.
        limits: `Limits.refusal_body` bounds the part of the body that an error keeps.

    Raises:
        UploadRefused: for another status than 200, and for a compressed response.
        RemoteProtocolError: for a response of another form than Poe's; `path` names the field.
    """
    if message := refusal_reason(response, "the file service", "an upload"):
        raise refusal(UploadRefused, message, response, response.body, access_key.encode(), limits or Limits())
    wire = loads(response.body)
    for field in ("attachment_url", "mime_type"):
        if not isinstance(wire.get(field), str):
            raise RemoteProtocolError("missing, or not a string", path=field)
    size = as_integer(wire.get("size"))
    return UploadedFile(wire["attachment_url"], wire["mime_type"], name, size if type(size) is int else None)


def _authorization(access_key: str) -> tuple[str, str | bytes]:
    # Unlike other calls, without "Bearer".
    (key,) = access_key_set(access_key)
    return "authorization", key


def _quoted(name: str) -> str:
    """The name, escaped: https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#multipart-form-data"""
    try:
        name.encode()
    except UnicodeEncodeError as exc:
        raise InvalidValue("contains a lone surrogate", path="name") from exc
    if not name:
        raise InvalidValue("empty", path="name")
    if control := _CONTROL.search(name):
        # HTML sends it unescaped, and servers differ in how they parse it.
        raise InvalidValue(f"contains the control character {control[0]!r}", path="name")
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
