"""Redaction of evidence: no key reaches a report, however the server spells it and wherever its reads were cut."""

from __future__ import annotations

import re
import shlex

from poeproto.http import SearchedText, SecretSpellings, disjoint_spans

__all__ = ["EvidenceRedaction"]

# A variable that a shell replaces with the key: reports name it, so that the line can be run.
_KEY_VARIABLE = "POE_ACCESS_KEY"
# A shorter secret is an ordinary word. Replacing it everywhere would make evidence unreadable, so a shorter key is
# replaced in the header only that the check itself sends.
_SHORTEST_SECRET = 4
# Between two chunks, https://www.rfc-editor.org/rfc/rfc9112#section-7.1
_CHUNK_BOUNDARY = re.compile(rb"\r\n[0-9A-Fa-f]{1,8}(?:;[^\r\n]{0,80})?\r\n")


class EvidenceRedaction:
    """Replaces secrets in the evidence: the access key, the wrong keys that were made from it, the query of the URL.

    Args:
        access_key: the bot's key; None if there is none.
        url_query: the query of the URL, which may have a secret.
    """

    def __init__(self, access_key: str | None, url_query: str = "") -> None:
        self._shell: dict[str, str] = {}
        self._searched: list[SecretSpellings] = []
        self._header: re.Pattern[bytes] | None = None
        if access_key:
            # The wrong key of a probe is the right one without its last character, so it is a secret too.
            cut = access_key[:-1]
            self._shell[access_key] = f'"${_KEY_VARIABLE}"'
            if len(cut) >= _SHORTEST_SECRET:
                self._shell[cut] = f'"${{{_KEY_VARIABLE}%?}}"'
                self._searched += [SecretSpellings.of(key.encode()) for key in (access_key, cut)]
            else:
                self._header = re.compile(rb"(?<=Bearer )" + re.escape(access_key.encode()), re.IGNORECASE)
        if len(url_query) >= _SHORTEST_SECRET:
            self._searched.append(SecretSpellings.of(url_query.encode()))

    def text(self, text: str) -> str:
        """The text without the key."""
        return self.reads([text.encode("utf-8", "surrogatepass")])[0].decode("utf-8", "replace")

    def reads(self, reads: list[bytes]) -> list[bytes]:
        """The same reads of one stream without the key, also where two of them cut it."""
        whole = b"".join(reads)
        parts: list[bytes] = []
        cut = 0  # where the current read begins in the whole
        found = self._spans(whole)
        for read in reads:
            end = cut + len(read)
            parts.append(_without(whole, cut, end, found))
            cut = end
        return parts

    def _spans(self, whole: bytes) -> list[tuple[int, int]]:
        """Where the secrets are: in order, and disjoint."""
        found: list[tuple[int, int]] = []
        if self._searched:
            searched = SearchedText(whole, ignored=_CHUNK_BOUNDARY)
            found += [span for each in self._searched for span in each.find(searched)]
        if self._header:
            found += [match.span() for match in self._header.finditer(whole)]
        return disjoint_spans(found)

    def shell_word(self, text: str) -> str:
        """The text as one word of a shell, with the variable in the place of the key."""
        if not self._shell:
            return shlex.quote(text)
        pattern = "|".join(re.escape(key) for key in sorted(self._shell, key=len, reverse=True))
        words = re.split(f"({pattern})", text)
        return "".join(self._shell.get(word) or shlex.quote(word) for word in words if word) or "''"


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
