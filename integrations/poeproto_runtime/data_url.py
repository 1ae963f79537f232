"""``data:`` URLs (RFC 2397), which hold a small file themselves."""

from __future__ import annotations

import binascii
from base64 import b64decode
from urllib.parse import unquote_to_bytes

import attrs

from poeproto import LimitExceeded

__all__ = ["DataUrl", "is_data_url", "read_data_url"]

_SCHEME = "data:"
_DEFAULT_TYPE = "text/plain"
_WHITE_SPACE = b" \t\r\n\f"


@attrs.frozen
class DataUrl:
    """The content of a ``data:`` URL.

    Attributes:
        content_type: its media type without parameters, in lower case.
        content: the file.
    """

    content_type: str
    content: bytes


def is_data_url(url: str) -> bool:
    """Whether a URL has the scheme ``data``."""
    return url[: len(_SCHEME)].lower() == _SCHEME


def read_data_url(url: str, max_size: int | None = None) -> DataUrl:
    """The content of a ``data:`` URL.

    Base64 may be broken into lines and may lack its padding, as in browsers.

    Args:
        url: the URL.
        max_size: of the content, in bytes; None for any.

    Raises:
        ValueError: for another URL, or data that is not in base64 though the URL says so.
        LimitExceeded: if the content is larger.
    """
    head, comma, data = url[len(_SCHEME) :].partition(",")
    if not is_data_url(url) or not comma:
        raise ValueError("not a data: URL")
    content_type, *options = (part.strip().lower() for part in head.split(";"))
    content = unquote_to_bytes(data)
    if "base64" in options:
        content = _decoded(content.translate(None, _WHITE_SPACE))
    if max_size is not None and len(content) > max_size:
        raise _too_large(max_size)
    return DataUrl(content_type or _DEFAULT_TYPE, content)


def _decoded(data: bytes) -> bytes:
    try:
        return b64decode(data + b"=" * (-len(data) % 4), validate=True)
    except binascii.Error:
        raise ValueError("the data is not base64") from None


def _too_large(max_size: int) -> LimitExceeded:
    return LimitExceeded(f"the file in the data: URL is larger than the {max_size} bytes allowed", limit="file_size")
