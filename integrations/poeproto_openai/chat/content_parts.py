"""The content of a message: its text, and its images and files as attachments.

https://platform.openai.com/docs/api-reference/chat/create#chat-create-messages
"""

from __future__ import annotations

import binascii
import mimetypes
from base64 import b64decode
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

import attrs

from poeproto import Attachment
from poeproto_openai.api_error import ApiError

__all__ = ["DataUrl", "read_data_url", "text_and_attachments"]

_SCHEMES = ("https", "http", "data")
_LONGEST_NAME = 200


@attrs.frozen
class DataUrl:
    """The content of a ``data:`` URL (RFC 2397)."""

    content_type: str
    content: bytes


def read_data_url(url: str) -> DataUrl:
    """The content of a ``data:`` URL.

    Raises:
        ValueError: when it is none, or not what it says.
    """
    scheme, _, rest = url.partition(":")
    head, comma, data = rest.partition(",")
    if scheme.lower() != "data" or not comma:
        raise ValueError("not a data: URL")
    content_type, *options = head.split(";")
    raw = unquote_to_bytes(data)
    if "base64" in options:
        try:
            raw = b64decode(raw, validate=True)
        except binascii.Error:
            raise ValueError("the data is not base64") from None
    return DataUrl(content_type.strip().lower() or "text/plain", raw)


def text_and_attachments(content: object, path: str) -> tuple[str, list[Attachment]]:
    """The text of a content, a string or parts, and the attachments in it.

    Raises:
        ApiError: for a part that has no equivalent.
    """
    if content is None or isinstance(content, str):
        return content or "", []
    if not isinstance(content, list):
        raise ApiError("expected a string or an array of parts", param=path)
    texts: list[str] = []
    attachments: list[Attachment] = []
    parts: list[Any] = content  # pyright: ignore[reportUnknownVariableType]
    for number, part in enumerate(parts):
        place = f"{path}[{number}]"
        if not isinstance(part, dict):
            raise ApiError("expected an object", param=place)
        wire: dict[str, Any] = part  # pyright: ignore[reportUnknownVariableType]
        kind = wire.get("type")
        if kind in ("text", "refusal"):
            texts.append(_string(wire, kind, place))
        elif kind == "image_url":
            attachments.append(_image(wire.get("image_url"), f"{place}.image_url", len(attachments)))
        elif kind == "file":
            attachments.append(_file(wire.get("file"), f"{place}.file", len(attachments)))
        else:
            raise ApiError(
                f"parts of the type {kind!r} are not supported; expected text, image_url or file",
                param=f"{place}.type",
                code="unsupported_value",
            )
    return "\n".join(texts), attachments


def _image(image: object, path: str, number: int) -> Attachment:
    url = image if isinstance(image, str) else _string(image, "url", path)
    return _attachment(url, f"{path}.url", None, f"image-{number + 1}", "image/png")


def _file(file: object, path: str, number: int) -> Attachment:
    wire: dict[str, Any] = file if isinstance(file, dict) else {}  # pyright: ignore[reportUnknownVariableType]
    if wire.get("file_id") is not None:
        message = "not supported: there is no Files API here; send the content as file_data"
        raise ApiError(message, param=f"{path}.file_id", code="unsupported_parameter")
    name = wire.get("filename")
    if name is not None and not isinstance(name, str):
        raise ApiError("expected a string", param=f"{path}.filename")
    data = _string(wire, "file_data", path)
    if ":" not in data[:100]:  # base64 alone, which OpenAI accepts, too
        data = f"data:{_guess(name or '') or 'application/octet-stream'};base64,{data}"
    return _attachment(data, f"{path}.file_data", name, f"file-{number + 1}", "application/octet-stream")


def _attachment(url: str, path: str, name: str | None, default_name: str, default_type: str) -> Attachment:
    scheme = url.partition(":")[0].lower()
    if scheme not in _SCHEMES:
        raise ApiError("expected a URL with the scheme https, http or data", param=path)
    if scheme != "data":
        last = urlsplit(url).path.rpartition("/")[2][-_LONGEST_NAME:]
        content_type = _guess(name or last) or default_type
        return Attachment(url, content_type, name or last or default_name)
    try:
        data = read_data_url(url)
    except ValueError as exc:
        raise ApiError(str(exc), param=path) from None
    suffix = mimetypes.guess_extension(data.content_type) or ""
    text = _text_of(data)
    return Attachment(url, data.content_type, name or f"{default_name}{suffix}", parsed_content=text)


def _text_of(data: DataUrl) -> str | None:
    if not data.content_type.startswith("text/"):
        return None
    try:
        return data.content.decode()
    except UnicodeDecodeError:
        return None


def _guess(name: str) -> str | None:
    return mimetypes.guess_type(name)[0]


def _string(wire: object, key: str, path: str) -> str:
    value: object = wire.get(key) if isinstance(wire, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    if not isinstance(value, str) or (not value and key not in ("text", "refusal")):
        raise ApiError("missing; expected a string", param=f"{path}.{key}")
    return value
