r"""Masks keys in all data for the page: by as many asterisks, so that offsets and sizes stay.

A key is found however it is spelled: JSON may escape any character (``\u0041``, ``\/``), also twice, and a URL may
percent-encode it. Escapes of the characters of keys are rare, so only the text around them is searched for them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from poeproto.http import Headers

_SECRET_HEADERS = frozenset(
    {b"authorization", b"proxy-authorization", b"cookie", b"set-cookie", b"x-api-key", b"poe-access-key"}
)
_SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9-]*[ \t]+(?=\S)")
_KEY_IN_URL = re.compile(r"((?:update|fetch)_settings/[^/?]*/)([^/?]+)")
# A shorter key may be an ordinary word.
_SHORTEST = 6
# ``\\u0041`` within JSON that is three times within JSON: each time doubles the backslashes.
_LONGEST_ESCAPE = 13
# JSON may escape these with a backslash alone.
_ESCAPABLE = b'"/\\'


class Masking:
    """Masks keys.

    Args:
        secrets: returns the keys that are known.
    """

    def __init__(self, secrets: Callable[[], Iterable[str | None]]) -> None:
        self._secrets = secrets
        self._spellings: _Spellings | None = None

    def known(self) -> list[str]:
        """The keys that are masked wherever they are, the longest first."""
        return sorted({key for key in self._secrets() if key and len(key) >= _SHORTEST}, key=len, reverse=True)

    def data(self, data: bytes) -> bytes:
        """Bytes without the known keys, however they are spelled."""
        known = self.known()
        for key in known:
            secret = key.encode()
            data = data.replace(secret, b"*" * len(secret))
        return self._without_escaped(known, data)

    def escaped(self, data: bytes) -> bytes:
        """Bytes without the known keys that are spelled with escapes."""
        return self._without_escaped(self.known(), data)

    def _without_escaped(self, known: list[str], data: bytes) -> bytes:
        if not known:
            return data
        if self._spellings is None or self._spellings.keys != known:
            self._spellings = _Spellings(known)
        return self._spellings.mask(data)

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


class _Spellings:
    """Finds keys in which characters are escaped.

    Args:
        keys: the keys, the longest first.
    """

    def __init__(self, keys: list[str]) -> None:
        self.keys = keys
        characters = sorted({character for key in keys for character in key.encode()})
        codes = b"|".join([_code_of(character) for character in characters])
        plain = b"|".join([_escaped(character) for character in characters if character in _ESCAPABLE]) or b"(?!)"
        # The set in front makes the expression skip ordinary characters fast.
        self._escape = re.compile(rb"[\\%%](?:(?<=%%)(?:%b)|(?<=\\)\\{0,7}(?:u00(?:%b)|%b))" % (codes, codes, plain))
        self._keys = re.compile(b"|".join([_pattern_of(key.encode()) for key in keys]))
        self._reach = len(keys[0]) * _LONGEST_ESCAPE

    def mask(self, data: bytes) -> bytes:
        """The bytes without these keys; takes linear time."""
        parts: list[bytes] = []
        end = 0
        for start, stop in self._around_escapes(data):
            parts += [data[end:start], self._keys.sub(_asterisks, data[start:stop])]
            end = stop
        return b"".join([*parts, data[end:]]) if parts else data

    def _around_escapes(self, data: bytes) -> Iterator[tuple[int, int]]:
        """The parts of the bytes in which an escaped key can be; disjoint, and in order."""
        start = stop = 0
        for match in self._escape.finditer(data):
            begin = max(match.start() - self._reach, stop)
            if begin > stop:
                yield start, stop
                start = begin
            stop = min(match.end() + self._reach, len(data))
        if stop:
            yield start, stop


def _pattern_of(key: bytes) -> bytes:
    """An expression for a key of which any character may be escaped: by JSON, also within its strings, or by a URL."""
    return b"".join([_spellings_of(character) for character in key])


def _spellings_of(character: int) -> bytes:
    escapes = rb"\\{1,8}u00%b|%%%b" % (_code_of(character), _code_of(character))
    backslashes = rb"\\{0,8}" if character in _ESCAPABLE else b""
    return b"(?:%b%b|%b)" % (backslashes, _escaped(character), escapes)


def _code_of(character: int) -> bytes:
    """The character's number in hexadecimal, in either case."""
    digits = f"{character:02x}"
    return "".join([f"[{each}{each.upper()}]" if each.isalpha() else each for each in digits]).encode()


def _escaped(character: int) -> bytes:
    return re.escape(bytes([character]))


def _asterisks(match: re.Match[bytes]) -> bytes:
    return b"*" * len(match[0])
