"""Redaction of evidence: no key reaches a report, however the server spells it and wherever its reads were cut."""

from __future__ import annotations

import re
import shlex
from base64 import b64encode

from poeproto_record.redaction import spellings_of

__all__ = ["EvidenceRedaction"]

# A variable that a shell replaces with the key: reports name it, so that the line can be run.
_KEY_VARIABLE = "POE_ACCESS_KEY"
# A shorter secret is an ordinary word. Replacing it everywhere would make evidence unreadable, so a shorter key is
# replaced in the header only that the check itself sends.
_SHORTEST_SECRET = 4
# Between two chunks, https://www.rfc-editor.org/rfc/rfc9112#section-7.1
_CHUNK_BOUNDARY = rb"(?:\r\n[0-9A-Fa-f]{1,8}(?:;[^\r\n]{0,80})?\r\n)?"


class EvidenceRedaction:
    """Replaces secrets in the evidence: the access key, the wrong keys that were made from it, the query of the URL.

    Args:
        access_key: the bot's key; None if there is none.
        url_query: the query of the URL, which may have a secret.
    """

    def __init__(self, access_key: str | None, url_query: str = "") -> None:
        self._shell: dict[str, str] = {}
        patterns: list[bytes] = []
        if access_key:
            # The wrong key of a probe is the right one without its last character, so it is a secret too.
            cut = access_key[:-1]
            self._shell[access_key] = f'"${_KEY_VARIABLE}"'
            if len(cut) >= _SHORTEST_SECRET:
                self._shell[cut] = f'"${{{_KEY_VARIABLE}%?}}"'
                spellings = {spelling for key in (access_key, cut) for spelling in _spellings(key.encode())}
                patterns += map(_pattern, sorted(spellings, key=len, reverse=True))
            else:
                patterns.append(rb"(?<=Bearer )" + re.escape(access_key.encode()))
        if len(url_query) >= _SHORTEST_SECRET:
            patterns.append(_pattern(url_query.encode()))
        self._pattern = re.compile(b"|".join(patterns), re.IGNORECASE) if patterns else None

    def text(self, text: str) -> str:
        """The text without the key."""
        return self.reads([text.encode("utf-8", "surrogatepass")])[0].decode("utf-8", "replace")

    def reads(self, reads: list[bytes]) -> list[bytes]:
        """The same reads of one stream without the key, also where two of them cut it."""
        if self._pattern is None:
            return reads
        whole = b"".join(reads)
        parts: list[bytes] = []
        cut = 0  # where the current read begins in the whole
        found = [(match.start(), match.end()) for match in self._pattern.finditer(whole)]
        for read in reads:
            end = cut + len(read)
            parts.append(_without(whole, cut, end, found))
            cut = end
        return parts

    def shell_word(self, text: str) -> str:
        """The text as one word of a shell, with the variable in the place of the key."""
        if not self._shell:
            return shlex.quote(text)
        pattern = "|".join(re.escape(key) for key in sorted(self._shell, key=len, reverse=True))
        words = re.split(f"({pattern})", text)
        return "".join(self._shell.get(word) or shlex.quote(word) for word in words if word) or "''"


def _pattern(secret: bytes) -> bytes:
    """A pattern that finds a secret, even where chunks of HTTP/1.1 cut it."""
    return _CHUNK_BOUNDARY.join(re.escape(secret[index : index + 1]) for index in range(len(secret)))


def _spellings(key: bytes) -> set[bytes]:
    return {*spellings_of(key), b64encode(key).rstrip(b"=")}


def _without(whole: bytes, start: int, end: int, found: list[tuple[int, int]]) -> bytes:
    """A range of bytes, in which each occurrence is replaced where it begins, and removed where it continues."""
    result = b""
    for first, last in found:
        if last <= start or first >= end:
            continue
        result += whole[start:first] if first > start else b""
        result += b"<hidden>" if first >= start else b""
        start = min(last, end)
    return result + whole[start:end]
