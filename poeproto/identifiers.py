"""Poe's identifiers: a tag of one to three letters, a hyphen, and 32 characters, as in ``m-`` for a message.

Readers accept any string, since peers send other identifiers and empty ones. These functions are for senders.

https://creator.poe.com/docs/server-bots/poe-protocol-specification
"""

from __future__ import annotations

import re
from base64 import b32encode

from poeproto.vocabulary.errors import InvalidValue

__all__ = ["check_identifier", "is_identifier", "make_identifier"]

_IDENTIFIER = re.compile(r"([a-z]{1,3})-[a-z0-9=]{32}", re.ASCII)
_TAG = re.compile(r"[a-z]{1,3}", re.ASCII)
_RANDOM_BYTES = 20  # 32 characters of base32 encode 20 bytes


def is_identifier(text: str, tag: str | None = None) -> bool:
    """Whether the text has the form of an identifier, with that tag if one is given.

    Args:
        text: the text.
        tag: "m" for a message, "u" for a user, "c" for a conversation, "d" for metadata; others exist.
    """
    found = _IDENTIFIER.fullmatch(text)
    return found is not None and tag in (None, found[1])


def check_identifier(text: str, tag: str | None = None) -> str:
    """The text, if it is an identifier with that tag.

    Raises:
        InvalidValue: if it is not valid; the message says why.
    """
    found = _IDENTIFIER.fullmatch(text)
    if found is None:
        raise InvalidValue(
            f"{text[:80]!r} is not an identifier: expected one to three lower-case letters, a hyphen, and 32 "
            "characters from a-z, 0-9 and ="
        )
    if tag not in (None, found[1]):
        raise InvalidValue(f"the identifier {text!r} has the tag {found[1]!r}, expected {tag!r}")
    return text


def make_identifier(tag: str, random_bytes: bytes) -> str:
    """A new identifier.

    Args:
        tag: one to three lower-case letters.
        random_bytes: 20 bytes, from ``secrets.token_bytes(20)``; the core has no source of randomness.

    Raises:
        InvalidValue: for another tag, or another number of bytes.
    """
    if not _TAG.fullmatch(tag):
        raise InvalidValue(f"the tag {tag!r} is not one to three lower-case letters")
    if len(random_bytes) != _RANDOM_BYTES:
        raise InvalidValue(f"expected {_RANDOM_BYTES} random bytes, got {len(random_bytes)}")
    return f"{tag}-{b32encode(random_bytes).decode().lower()}"
