"""Files for Poe to keep: uploaded as multipart/form-data (RFC 7578), or fetched by Poe from a URL."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

import attrs

from poeproto.auth import access_key_set
from poeproto.errors import FileTooLarge, InvalidValue, RemoteProtocolError, UploadRefused
from poeproto.exchange.refusals import refusal, refusal_reason
from poeproto.limits import Limits
from poeproto.vocabulary.events import File
from poeproto.vocabulary.http import ACCEPT_IDENTITY, Endpoints, HttpRequest, HttpResponse, StreamedBody
from poeproto.vocabulary.validation import checked
from poeproto.wire.json import loads

_POE = Endpoints()
# RFC 2046, 5.1.1, without the characters that would need quotes.
_BOUNDARY = re.compile(r"[A-Za-z0-9'+_.-]{1,70}", re.ASCII)
_TOKEN = r"[A-Za-z0-9!#$&^_.+-]+"
# RFC 9110, 5.6.4 and 5.6.6, in ASCII; without its controls, a quoted string cannot end the header.
_QUOTED = r'"(?:[\t !#-\[\]-~]|\\[\t -~])*"'
# What no header may hold (RFC 9110, 5.5), but for the ends of lines, which are escaped.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_MEDIA_TYPE = re.compile(rf"{_TOKEN}/{_TOKEN}(?:[ \t]*;[ \t]*{_TOKEN}=(?:{_TOKEN}|{_QUOTED}))*", re.ASCII)


@checked
@attrs.frozen
class UploadedFile:
    """A file that Poe keeps.

    Attributes:
        url: where it can be fetched.
        content_type: its media type, as Poe sees it.
        name: its file name.
        size: its size in bytes, where Poe tells.
    """

    url: str
    content_type: str
    name: str
    size: int | None = None

    def event(self, inline_ref: str | None = None) -> File:
        """The event that puts the file into a reply, under a label for references from the text if one is given."""
        return File(self.url, self.name, self.content_type, inline_ref or None)


def upload_request(
    source: Any,
    *,
    size: int,
    name: str,
    content_type: str,
    access_key: str,
    boundary: str,
    repeatable: bool = False,
    endpoints: Endpoints = _POE,
    limits: Limits | None = None,
) -> HttpRequest:
    """The request that uploads a file, whose body is written part by part.

    Args:
        source: where the integration reads the file.
        size: the file's size in bytes.
        name: its name.
        content_type: its media type.
        access_key: a bot's access key, or a user's API key.
        boundary: what separates the parts, and must not be in the file: ``secrets.token_hex(16)``, since there is no
            randomness in this library.
        repeatable: whether the integration can read the source a second time.
        endpoints: where Poe is.
        limits: `Limits.file_size` is kept.

    Raises:
        InvalidValue: for a boundary or a media type that is none, for an empty name or one with a lone surrogate or a
            control character (tabs and ends of lines can be sent), and for a size below zero.
        ValueError: when the key cannot travel in a header.
        FileTooLarge: when the file is.
    """
    largest = (limits or Limits()).file_size
    if size > largest:
        raise FileTooLarge(f"the file {name!r} has {size} bytes, and {largest} are allowed")
    if not _BOUNDARY.fullmatch(boundary):
        raise InvalidValue("not a boundary of letters, digits and any of '+_.-", path="boundary")
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
    url: str, *, access_key: str, name: str | None = None, endpoints: Endpoints = _POE
) -> HttpRequest:
    """The request that has Poe fetch a file from a URL.

    Raises:
        InvalidValue: when the URL is empty.
        ValueError: when the key cannot travel in a header, or a string holds a lone surrogate.
    """
    if not url:
        raise InvalidValue("empty", path="url")
    fields = {"download_url": url} | ({} if name is None else {"download_filename": name})
    headers = [_authorization(access_key), ACCEPT_IDENTITY, ("content-type", "application/x-www-form-urlencoded")]
    return HttpRequest("POST", endpoints.file_upload, headers, urlencode(fields).encode())


def read_upload(response: HttpResponse, *, name: str, access_key: str, limits: Limits | None = None) -> UploadedFile:
    """The file, as the answer to either request has it.

    Args:
        response: the answer.
        name: the name the file was given.
        access_key: the key, to be hidden where the answer repeats it.
        limits: the bounds of the error.

    Raises:
        UploadRefused: for another status than 200, and for an answer that was compressed.
        RemoteProtocolError: for an answer that is not what Poe's are; `path` names the field.
    """
    if message := refusal_reason(response, "the file service", "an upload"):
        raise refusal(UploadRefused, message, response, response.body, access_key.encode(), limits or Limits())
    wire = loads(response.body)
    for field in ("attachment_url", "mime_type"):
        if not isinstance(wire.get(field), str):
            raise RemoteProtocolError("missing, or not a string", path=field)
    size = wire.get("size")
    return UploadedFile(wire["attachment_url"], wire["mime_type"], name, size if type(size) is int else None)


def _authorization(access_key: str) -> tuple[str, str | bytes]:
    # Unlike everywhere else, there is no "Bearer" before it.
    (key,) = access_key_set(access_key)
    return "authorization", key


def _quoted(name: str) -> str:
    """The name as HTML has it: https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#multipart-form-data"""
    try:
        name.encode()
    except UnicodeEncodeError as exc:
        raise InvalidValue("holds a lone surrogate", path="name") from exc
    if not name:
        raise InvalidValue("empty", path="name")
    if control := _CONTROL.search(name):
        # HTML sends it as it is, and servers make of it what they like: a refusal, or another name.
        raise InvalidValue(f"holds the control character {control[0]!r}", path="name")
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
