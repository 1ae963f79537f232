"""Redaction of reprs and logs: how they hide keys and conversations.

They show the scheme and host of a URL, a path without the key in it, the values of a few headers, and the size of a
body: enough to distinguish values, and never a secret.
"""

from __future__ import annotations

import re
from collections.abc import Sized

__all__ = ["SECRET_KEYS", "without_key", "without_path"]

# Keys of a JSON body that hold a secret. fastapi_poe's clients send them; a receiver neither keeps nor forwards them.
SECRET_KEYS = ("access_key", "api_key")
"""The names of fields and arguments whose values no repr shows."""

HIDDEN = b"<hidden>"

# A scheme, an optional user and password, and a host with its port (RFC 3986, 3.2).
_ORIGIN = re.compile(
    r"([A-Za-z][A-Za-z0-9+.-]*://)(?:[^/?#\\]*@)?([\w.-]+(?::\d+)?|\[[0-9A-Fa-f:.]+\](?::\d+)?)(?![^/?#])"
)

# Headers whose values may appear in a repr. Any other may hold a key, or repeat one.
_SAFE_TO_LOG = frozenset(
    {
        b"accept",
        b"accept-encoding",
        b"allow",
        b"cache-control",
        b"connection",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"date",
        b"host",
        b"retry-after",
        b"transfer-encoding",
    }
)
# No word in those headers is that long, and Poe's keys have 32 characters.
_LIKE_A_KEY = re.compile(rb"\w{16,}", re.ASCII)

# Poe's paths that end in a bot's name, its key and a version. A decoded key may contain slashes.
_KEY_IN_PATH = re.compile(r"((?:update|fetch)_settings/[^/?]*/)[^?]+")


def headers_without_secrets(headers: tuple[tuple[bytes, bytes], ...]) -> str:
    """The repr of header pairs, with every value hidden that may hold a key."""
    return repr(
        tuple((name, _LIKE_A_KEY.sub(HIDDEN, value) if name in _SAFE_TO_LOG else HIDDEN) for name, value in headers)
    )


def without_path(url: str) -> str:
    """The repr of a URL reduced to its scheme and host.

    Some of Poe's paths end in a key, and a URL from another party may contain one anywhere.
    """
    origin = _ORIGIN.match(url)
    return repr(f"{origin[1]}{origin[2]}{'' if origin.end() == len(url) else '/…'}" if origin else "…")


def without_key(path: str) -> str:
    """The path without the key that some of Poe's paths hold, so that it can be logged."""
    return _KEY_IN_PATH.sub(r"\1…", path)


def target_without_query(target: str) -> str:
    """The repr of a request target without its query, and without a key in its path."""
    path, question_mark, _ = without_key(target).partition("?")
    return repr(f"{path}?…" if question_mark else path)


def root_without_credentials(root: str) -> str:
    """The repr of a root URL, reduced to scheme and host where it holds a password or a query."""
    return without_path(root) if "@" in root or "?" in root else repr(root)


def body_size(body: Sized) -> str:
    """The repr of a body: its size, since bodies hold conversations, and some calls to Poe hold the key."""
    return f"<{len(body)} bytes>"
