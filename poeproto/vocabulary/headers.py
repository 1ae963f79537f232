"""HTTP headers as values: names in lower case, names and values as bytes, in the order they arrived.

ASGI and h11 share this form. https://www.rfc-editor.org/rfc/rfc9110#section-5
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["ACCEPT_IDENTITY", "HeaderPairs", "Headers", "normalise_headers"]

Headers = tuple[tuple[bytes, bytes], ...]
HeaderPairs = Iterable[tuple[bytes | str, bytes | str]]

# A compressed stream arrives late, and unpacking what a stranger packed needs bounds of its own.
ACCEPT_IDENTITY: tuple[str, str] = ("accept-encoding", "identity")


def normalise_headers(pairs: HeaderPairs) -> Headers:
    """Header pairs in the form this library keeps them; strings are taken as Latin-1 (RFC 9110, 5.5).

    Raises:
        UnicodeEncodeError: when a string holds other characters, so that it cannot travel in a header.
    """
    return tuple([(_lower(_header_bytes(name)), _header_bytes(value)) for name, value in pairs])


def _lower(name: bytes) -> bytes:
    lower = name.lower()
    return name if name == lower else lower  # servers keep theirs, too, so the same bytes are held once


def _header_bytes(text: bytes | str) -> bytes:
    if type(text) is bytes:  # nearly always
        return text
    if not isinstance(text, str):
        return bytes(memoryview(text))  # bytes(5) would be five zeros, so a number must not get there
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError as exc:
        # Its repr shows the whole text, which may be a key.
        hidden = UnicodeEncodeError(exc.encoding, "?" * len(text), exc.start, exc.end, exc.reason)
    raise hidden


class HasHeaders:
    """Reading headers, the same for all four."""

    __slots__ = ()
    headers: Headers

    def get_all(self, name: str) -> list[bytes]:
        """Every value of that header, in order; the name's case does not matter."""
        wanted = name.lower().encode("ascii")
        return [value for key, value in self.headers if key == wanted]

    def get(self, name: str) -> str | None:
        """The first value of that header, decoded as Latin-1, or None where there is none."""
        values = self.get_all(name)
        return values[0].decode("latin-1") if values else None

    @property
    def media_type(self) -> str:
        """The ``Content-Type`` in lower case without its parameters; empty where there is none (RFC 9110, 8.3.1)."""
        return (self.get("content-type") or "").partition(";")[0].strip().lower()

    @property
    def content_coding(self) -> str:
        """The ``Content-Encoding`` in lower case, over all headers; "identity" where there is none (RFC 9110, 8.4)."""
        listed = b",".join(self.get_all("content-encoding")).decode("latin-1").lower().split(",")
        return ", ".join(coding for name in listed if (coding := name.strip()) not in ("", "identity")) or "identity"
