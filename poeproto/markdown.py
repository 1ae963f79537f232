"""Links, images and references in Poe's Markdown (CommonMark), with any text in them escaped."""

from __future__ import annotations

import re
from base64 import b32encode
from urllib.parse import quote, urlencode

from poeproto.vocabulary.errors import InvalidValue
from poeproto.vocabulary.events import File
from poeproto.vocabulary.messages import Attachment

__all__ = ["create_bot_url", "inline_reference", "make_inline_ref", "markdown_image", "markdown_link"]

_CREATE_BOT = "https://poe.com/create_bot"
_SPECIAL = re.compile(r"([\\\[\]`*_<>!])")
# Texts that CommonMark would decode as a character reference (https://spec.commonmark.org/0.31.2/#entity-references).
_REFERENCE_START = re.compile(r"&(?=#?[A-Za-z0-9]+;)")
_WHITE = re.compile(r"\s+")
# Characters allowed in a URL (RFC 3986), except parentheses, which would end a link.
_IN_URLS = "%:/?#[]@!$&'*+,;=-._~"
_REFERENCE = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


def markdown_link(url: str, text: str) -> str:
    """A link. Special characters in the text and the URL are escaped.

    Raises:
        InvalidValue: for a URL that is empty or contains a lone surrogate.
    """
    return f"[{_text(text)}]({_url(url)})"


def markdown_image(url: str, alt: str = "") -> str:
    """An image at a URL, with an alternative text.

    Raises:
        InvalidValue: for a URL that is empty or contains a lone surrogate.
    """
    return f"![{_text(alt)}]({_url(url)})"


def inline_reference(file: File | Attachment | str, alt: str = "") -> str:
    """A reference that renders a file of the same reply inline in the text.

    Args:
        file: the file with its `inline_ref`, or that label.
        alt: the alternative text; by default the file's name.

    Raises:
        InvalidValue: for a file without a label, or a label with other characters than letters, digits, "_" and "-".
    """
    reference = file if isinstance(file, str) else file.inline_ref
    if reference is None:
        raise InvalidValue("None; the file has no label to refer to it by: post it with inline=True", path="inline_ref")
    if not _REFERENCE.fullmatch(reference):
        raise InvalidValue(f"{reference!r} may only contain letters, digits, '_' and '-'", path="inline_ref")
    return f"![{_text(alt or ('' if isinstance(file, str) else file.name))}][{reference}]"


def make_inline_ref(random_bytes: bytes) -> str:
    """A label for a file, unique within a reply.

    Args:
        random_bytes: at least 5 bytes, from ``secrets.token_bytes(5)``; the core has no source of randomness.

    Raises:
        InvalidValue: for fewer bytes.
    """
    if len(random_bytes) < 5:
        raise InvalidValue(f"expected at least 5 random bytes, got {len(random_bytes)}")
    return b32encode(random_bytes).decode().rstrip("=").lower()


def create_bot_url(*, prompt: str | None = None, base_bot: str | None = None) -> str:
    """The URL of Poe's form for a new prompt bot, with these fields filled in.

    Raises:
        InvalidValue: for a field with a lone surrogate.
    """
    fields = {key: value for key, value in (("prompt", prompt), ("base_bot", base_bot)) if value is not None}
    try:
        return f"{_CREATE_BOT}?{urlencode(fields, quote_via=quote)}" if fields else _CREATE_BOT
    except UnicodeEncodeError as exc:
        raise InvalidValue("a URL cannot contain a lone surrogate") from exc


def _text(text: str) -> str:
    return _without_references(_SPECIAL.sub(r"\\\1", _WHITE.sub(" ", text)))


def _url(url: str) -> str:
    if not url.strip():
        raise InvalidValue("the URL is empty", path="url")
    try:
        return _without_references(quote(url.strip(), safe=_IN_URLS))
    except UnicodeEncodeError as exc:
        raise InvalidValue("a URL cannot contain a lone surrogate", path="url") from exc


def _without_references(text: str) -> str:
    return _REFERENCE_START.sub(r"\\&", text)
