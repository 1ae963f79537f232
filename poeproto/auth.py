"""Bearer keys (RFC 6750): validated when a server is configured, compared in constant time for each request."""

from __future__ import annotations

from collections.abc import Iterable
from hmac import compare_digest

__all__ = ["access_key_set", "bearer_key", "key_matches"]

_WHITE_SPACE = b" \t"


def access_key_set(keys: str | bytes | Iterable[str | bytes]) -> frozenset[bytes]:
    """The keys that a server accepts, as bytes.

    Args:
        keys: one key, or several, all of them valid, while a key is being rotated.

    Raises:
        TypeError: for a key that is neither str nor bytes, for instance None from an unset environment variable.
        ValueError: for no key, an empty one, or one that is not visible ASCII. No message shows a key.
    """
    given = [keys] if isinstance(keys, str | bytes) else keys
    accepted: set[bytes] = set()
    for number, key in enumerate(given, 1):
        if not isinstance(key, str | bytes):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(
                f"access key number {number} must be str or bytes, got a value of type {type(key).__name__}"
            )
        text = key if isinstance(key, str) else key.decode("latin-1")
        # An empty key would match an empty header, and a header cannot hold other characters (RFC 9110, 5.5).
        if not text or not text.isascii() or not text.isprintable() or " " in text:
            raise ValueError(f"access key number {number} is not a string of visible ASCII characters")
        accepted.add(text.encode("ascii"))
    if not accepted:
        raise ValueError("no access key was given; pass at least one, or allow requests without a key explicitly")
    return frozenset(accepted)


def bearer_key(authorization: bytes) -> bytes | None:
    """The key in the value of ``Authorization: Bearer <key>``, or None for another scheme (RFC 6750, 2.1).

    The scheme is case-insensitive (RFC 9110, 11.1). Only spaces and tabs are white space (5.6.3).
    """
    scheme, _, key = authorization.strip(_WHITE_SPACE).partition(b" ")
    return key.strip(_WHITE_SPACE) if scheme.lower() == b"bearer" else None


def key_matches(candidate: bytes, accepted: frozenset[bytes]) -> bool:
    """Whether the key is accepted. The comparison takes constant time, so its duration reveals nothing."""
    found = False
    for key in accepted:
        found |= compare_digest(candidate, key)
    return found
