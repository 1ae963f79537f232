"""The content of a message: its text, and its images and files as attachments.

https://platform.openai.com/docs/api-reference/chat/create#chat-create-messages
"""

from __future__ import annotations

import mimetypes
import re
from os.path import splitext
from typing import Any
from urllib.parse import urlsplit

from poeproto import Attachment
from poeproto_openai.api_error import ApiError
from poeproto_runtime.data_url import DataUrl, is_data_url, read_data_url

__all__ = ["text_and_attachments"]

_SCHEMES = ("https", "http")
# Characters that a URL must not contain. Some readers remove line ends, so two readers would see two URLs.
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f]")
_LONGEST_NAME = 200


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
            if text := _string(wire, kind, place):
                texts.append(text)
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
    if not is_data_url(url):
        last = _last_segment(url, path)[-_LONGEST_NAME:]
        content_type = _guess(name or last) or default_type
        return Attachment(url, content_type, name or last or default_name)
    try:
        data = read_data_url(url)
    except ValueError as exc:
        raise ApiError(str(exc), param=path) from None
    suffix = mimetypes.guess_extension(data.content_type) or ""
    text = _text_of(data)
    return Attachment(url, data.content_type, name or f"{default_name}{suffix}", parsed_content=text)


def _last_segment(url: str, path: str) -> str:
    if url.partition(":")[0].lower() not in _SCHEMES:
        raise ApiError("expected a URL with the scheme https, http or data", param=path)
    try:
        parts = urlsplit(url)
    except ValueError as exc:
        raise ApiError(f"not a valid URL: {exc}", param=path) from None
    if not parts.hostname or _CONTROL_CHARACTERS.search(url):
        raise ApiError("not a valid URL: expected one with a host, and without control characters", param=path)
    return parts.path.rpartition("/")[2]


def _text_of(data: DataUrl) -> str | None:
    if not data.content_type.startswith("text/"):
        return None
    try:
        return data.content.decode()
    except UnicodeDecodeError:
        return None


def _guess(name: str) -> str | None:
    # The suffix alone: `guess_type` parses a name as a URL, which may be invalid.
    return mimetypes.guess_type(f"file{splitext(name)[1]}")[0]


def _string(wire: object, key: str, path: str) -> str:
    value: object = wire.get(key) if isinstance(wire, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    if not isinstance(value, str) or (not value and key not in ("text", "refusal")):
        raise ApiError("missing; expected a string", param=f"{path}.{key}")
    return value
