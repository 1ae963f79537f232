"""Bearer keys (RFC 6750): checked when a server is set up, compared in constant time when a request arrives."""

from __future__ import annotations

from collections.abc import Iterable
from hmac import compare_digest


def access_key_set(keys: str | bytes | Iterable[str | bytes]) -> frozenset[bytes]:
    """The keys a server accepts, as the bytes that would stand in a header.

    Args:
        keys: one key, or several that are valid at once while a key is being rotated.

    Raises:
        ValueError: when there is no key, or one is empty or not visible ASCII. The message does not show the key.
    """
    given = [keys] if isinstance(keys, str | bytes) else keys
    listed = [key if isinstance(key, str) else key.decode("latin-1") for key in given]
    if not listed:
        raise ValueError("no access key was given; pass at least one, or allow requests without a key explicitly")
    for number, key in enumerate(listed):
        # An empty key would match an empty header, and other characters cannot travel in one (RFC 9110, 5.5).
        if not key or not key.isascii() or not key.isprintable() or " " in key:
            raise ValueError(f"access key number {number + 1} is not a string of visible ASCII characters")
    return frozenset(key.encode("ascii") for key in listed)


def bearer_key(authorization: bytes) -> bytes | None:
    """The key of an ``Authorization: Bearer <key>`` value, or None when it is something else (RFC 6750, 2.1).

    The scheme is case-insensitive (RFC 9110, 11.1).
    """
    scheme, _, key = authorization.strip().partition(b" ")
    return key.strip() if scheme.lower() == b"bearer" else None


def key_matches(candidate: bytes, accepted: frozenset[bytes]) -> bool:
    """Whether the key is one of the accepted, in a time that does not depend on which or on how much of it fits."""
    found = False
    for key in accepted:
        found |= compare_digest(candidate, key)
    return found
