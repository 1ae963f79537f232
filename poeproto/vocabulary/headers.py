"""HTTP headers as values: names in lower case, names and values as bytes, in the order they arrived.

ASGI and h11 share this form. https://www.rfc-editor.org/rfc/rfc9110#section-5
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

__all__ = ["ACCEPT_IDENTITY", "HeaderPairs", "Headers", "normalise_headers"]

Headers = tuple[tuple[bytes, bytes], ...]
"""Headers as the exchanges hold them: pairs of name and value, names in lower case."""
HeaderPairs = Iterable[tuple[bytes | str, bytes | str]] | Mapping[str, str] | Mapping[bytes, bytes]
"""Headers as callers may give them: pairs, or a mapping, of str or bytes."""

# No compression: a compressed stream arrives late, and decompressing untrusted data needs bounds of its own.
ACCEPT_IDENTITY: tuple[str, str] = ("accept-encoding", "identity")
"""The header that asks for an uncompressed response."""


def normalise_headers(pairs: HeaderPairs) -> Headers:
    """Header pairs with names in lower case, names and values as bytes; strings are encoded as Latin-1 (RFC 9110, 5.5).

    Args:
        pairs: pairs of name and value, or a mapping, in which each name has one value.

    Raises:
        TypeError: for anything else.
        UnicodeEncodeError: for a string with other characters, which a header cannot hold.
    """
    # Each request has headers, and asking for an abstract class takes long, so other mappings are found below.
    listed = cast("Iterable[tuple[bytes | str, bytes | str]]", pairs.items() if isinstance(pairs, dict) else pairs)
    try:
        return tuple([_normal(pair) for pair in listed])
    except (TypeError, ValueError) as exc:
        if isinstance(exc, UnicodeError):
            raise
        if isinstance(pairs, Mapping) and listed is pairs:
            return normalise_headers(dict(cast("Mapping[str, str]", pairs)))
        raise TypeError("headers must be pairs of name and value, each str or bytes, or a mapping") from None


def _normal(pair: tuple[bytes | str, bytes | str]) -> tuple[bytes, bytes]:
    name, value = pair
    name, is_same = _header_bytes(name), type(name) is bytes and type(value) is bytes and type(pair) is tuple
    lower = name.lower()
    if name != lower:
        return lower, _header_bytes(value)
    # The same objects as the server's where possible, so that they are stored once.
    return cast("tuple[bytes, bytes]", pair) if is_same else (name, _header_bytes(value))


def _header_bytes(text: bytes | str) -> bytes:
    if type(text) is bytes:  # fast path: nearly all values are bytes
        return text
    if not isinstance(text, str):
        return bytes(memoryview(text))  # TypeError for an integer, of which bytes() would make as many zeros
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError as exc:
        # The repr of this exception shows the whole text, which may be a key.
        hidden = UnicodeEncodeError(exc.encoding, "?" * len(text), exc.start, exc.end, exc.reason)
    raise hidden


class HasHeaders:
    """A message with headers: the base class of all heads, requests and responses."""

    __slots__ = ()
    headers: Headers

    def get_all(self, name: str) -> list[bytes]:
        """Every value of a header, in order. The name is case-insensitive."""
        wanted = name.lower().encode("ascii")
        return [value for key, value in self.headers if key == wanted]

    def get(self, name: str) -> str | None:
        """The first value of a header, decoded as Latin-1, or None if there is none."""
        values = self.get_all(name)
        return values[0].decode("latin-1") if values else None

    @property
    def media_type(self) -> str:
        """The ``Content-Type`` in lower case without its parameters; empty if there is none (RFC 9110, 8.3.1)."""
        return (self.get("content-type") or "").partition(";")[0].strip().lower()

    @property
    def content_coding(self) -> str:
        """The ``Content-Encoding`` in lower case, of all headers; "identity" if there is none (RFC 9110, 8.4)."""
        listed = b",".join(self.get_all("content-encoding")).decode("latin-1").lower().split(",")
        return ", ".join(coding for name in listed if (coding := name.strip()) not in ("", "identity")) or "identity"
