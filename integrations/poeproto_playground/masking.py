"""Masks keys in all data for the page: by as many asterisks, so that offsets and sizes stay.

A key is found however it is spelled; see `poeproto.http.SecretSpellings`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from poeproto.http import Headers, SearchedText, SecretSpellings, disjoint_spans

_SECRET_HEADERS = frozenset(
    {b"authorization", b"proxy-authorization", b"cookie", b"set-cookie", b"x-api-key", b"poe-access-key"}
)
_SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9-]*[ \t]+(?=\S)")
_KEY_IN_URL = re.compile(r"((?:update|fetch)_settings/[^/?]*/)([^/?]+)")
# A shorter key may be an ordinary word.
_SHORTEST = 6


class Masking:
    """Masks keys.

    Args:
        secrets: returns the keys that are known.
    """

    def __init__(self, secrets: Callable[[], Iterable[str | None]]) -> None:
        self._secrets = secrets
        self._spellings: dict[str, SecretSpellings] = {}

    def known(self) -> list[str]:
        """The keys that are masked wherever they are, the longest first."""
        return sorted({key for key in self._secrets() if key and len(key) >= _SHORTEST}, key=len, reverse=True)

    def data(self, data: bytes) -> bytes:
        """Bytes without the known keys, however they are spelled."""
        known = self.known()
        if not known:
            return data
        if self._spellings.keys() != set(known):
            self._spellings = {key: SecretSpellings.of(key.encode()) for key in known}
        searched = SearchedText(data)
        parts: list[bytes] = []
        end = 0
        for start, stop in disjoint_spans(span for each in self._spellings.values() for span in each.find(searched)):
            parts += [data[end:start], b"*" * (stop - start)]
            end = stop
        return b"".join([*parts, data[end:]]) if parts else data

    def text(self, text: str) -> str:
        """A text without the known keys, however they are spelled."""
        data = text.encode("utf-8", "surrogatepass")
        masked = self.data(data)
        return text if masked == data else masked.decode("utf-8", "surrogatepass")

    def url(self, url: str) -> str:
        """A URL without the known keys, and without that of a change of settings."""
        return self.text(_KEY_IN_URL.sub(lambda match: match[1] + "*" * len(match[2]), url))

    def headers(self, headers: Headers) -> list[list[str]]:
        """Headers as the page gets them: credentials are masked, their scheme stays."""
        return [[name.decode("latin-1"), self._value(name, value).decode("latin-1")] for name, value in headers]

    def _value(self, name: bytes, value: bytes) -> bytes:
        if name.lower() not in _SECRET_HEADERS:
            return self.data(value)
        scheme = _SCHEME.match(value)
        start = scheme.end() if scheme else 0
        return value[:start] + b"*" * (len(value) - start)
