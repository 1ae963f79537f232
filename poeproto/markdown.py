"""Pieces of the Markdown that Poe shows (CommonMark), safe for whatever stands in them."""

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
# What CommonMark would decode as a character reference (https://spec.commonmark.org/0.31.2/#entity-references).
_REFERENCE_START = re.compile(r"&(?=#?[A-Za-z0-9]+;)")
_WHITE = re.compile(r"\s+")
# What may stand in a URL (RFC 3986), parentheses apart, which would end a link.
_IN_URLS = "%:/?#[]@!$&'*+,;=-._~"
_REFERENCE = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


def markdown_link(url: str, text: str) -> str:
    """A link; characters that would end it early are escaped.

    Raises:
        InvalidValue: when the URL is empty or holds a lone surrogate.
    """
    return f"[{_text(text)}]({_url(url)})"


def markdown_image(url: str, alt: str = "") -> str:
    """An image at a URL, with a text for those who do not see it.

    Raises:
        InvalidValue: when the URL is empty or holds a lone surrogate.
    """
    return f"![{_text(alt)}]({_url(url)})"


def inline_reference(file: File | Attachment | str, alt: str = "") -> str:
    """The place in a text where a file of the same reply is shown.

    Args:
        file: the file with its `inline_ref`, or that label itself.
        alt: a text for those who do not see it; the file's name by default.

    Raises:
        InvalidValue: when the file has no label, or it holds other characters than letters, digits, "_" and "-".
    """
    reference = file if isinstance(file, str) else file.inline_ref
    if reference is None:
        raise InvalidValue("the file was made without a label to refer to it by", path="inline_ref")
    if not _REFERENCE.fullmatch(reference):
        raise InvalidValue(f"{reference!r} is not made of letters, digits, '_' and '-' alone", path="inline_ref")
    return f"![{_text(alt or ('' if isinstance(file, str) else file.name))}][{reference}]"


def make_inline_ref(random_bytes: bytes) -> str:
    """A label for a file, to be unique within a reply.

    Args:
        random_bytes: at least 5, from ``secrets.token_bytes(5)``: there is no randomness in this library.

    Raises:
        InvalidValue: for fewer bytes.
    """
    if len(random_bytes) < 5:
        raise InvalidValue(f"a label is made of 5 random bytes or more, got {len(random_bytes)}")
    return b32encode(random_bytes).decode().rstrip("=").lower()


def create_bot_url(*, prompt: str | None = None, base_bot: str | None = None) -> str:
    """The address of the form on which a user makes a prompt bot, with these fields filled in.

    Raises:
        InvalidValue: when one holds a lone surrogate.
    """
    fields = {key: value for key, value in (("prompt", prompt), ("base_bot", base_bot)) if value is not None}
    try:
        return f"{_CREATE_BOT}?{urlencode(fields, quote_via=quote)}" if fields else _CREATE_BOT
    except UnicodeEncodeError as exc:
        raise InvalidValue("a URL cannot hold a lone surrogate") from exc


def _text(text: str) -> str:
    return _without_references(_SPECIAL.sub(r"\\\1", _WHITE.sub(" ", text)))


def _url(url: str) -> str:
    if not url.strip():
        raise InvalidValue("the URL is empty", path="url")
    try:
        return _without_references(quote(url.strip(), safe=_IN_URLS))
    except UnicodeEncodeError as exc:
        raise InvalidValue("a URL cannot hold a lone surrogate", path="url") from exc


def _without_references(text: str) -> str:
    return _REFERENCE_START.sub(r"\\&", text)
