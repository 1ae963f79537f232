"""The rules that find secrets by the text around them: in JSON, in forms and in URLs.

They work on bytes, of which the end may not have been received: `open_from` returns the position from which on a text
may be the beginning of a secret. All of them take linear time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

import attrs

from poeproto.http import cut_occurrence

# A query value of this length may be a key: Poe's have 32 characters.
_LIKE_A_KEY = 16
# An open secret that is longer than this is found by the secret itself, not by the text before it.
LONGEST_OPEN = 8 * 1024

_USERINFO = re.compile(rb":\\?/\\?/([^/?#\s\"'<>\\]+)@")
_USERINFO_OPEN = re.compile(rb":\\?/\\?/[^/?#\s\"'<>\\]*\Z")
_QUERY = re.compile(rb"(?:[?&;]|\\u0026)([\w.~%+\[\]-]{1,64})=([^?&;\s\"'<>\\#]+)")
_QUERY_OPEN = re.compile(rb"(?:[?&;]|\\u0026)[\w.~%+\[\]-]{0,64}(?:=[^?&;\s\"'<>\\#]*)?\Z")
_BEARER = re.compile(rb"(?:bearer|basic)[ \t]{1,8}([\w.~+/=-]{16,})", re.IGNORECASE)
_BEARER_OPEN = re.compile(rb"(?:bearer|basic)[ \t]{1,8}[\w.~+/=-]*\Z", re.IGNORECASE)
_DELIMITERS = tuple(b"\"'<>\\ \t\r\n")
# The number of bytes by which a rule may begin before the word in which it ends: with ``\\u0026`` or ``:\\/\\/``.
_BEFORE_WORD = 6
# Texts that a rule may begin with, besides the names of keys.
_STARTERS = (rb":\/\/", b"://", rb"\u0026", b"bearer ", b"basic ")


@attrs.frozen
class Found:
    """A secret that was found.

    Attributes:
        start: where it begins in the text.
        end: where it ends.
        secret: the secret itself, without escapes.
        context: where that begins by which it was found.
        may_echo: whether it is searched for elsewhere, too.
        is_number: whether it is a number of JSON, which a placeholder is not.
    """

    start: int
    end: int
    secret: bytes
    context: int
    may_echo: bool = False
    is_number: bool = False


class SecretRules:
    """Finds secrets in bodies and URLs.

    Args:
        body_keys: keys of JSON and of forms, in lower case.
        query_keys: names in the query of a URL, in lower case.
    """

    def __init__(self, body_keys: frozenset[str], query_keys: frozenset[str]) -> None:
        self._query_keys = query_keys | body_keys
        self._names = sorted(name.encode() for name in body_keys)
        self._starters = [*_STARTERS, *(name.encode() + b'"' for name in body_keys)]
        names = rb"(?:" + (b"|".join(re.escape(name.encode()) for name in sorted(body_keys)) or rb"(?!)") + rb")"
        # The last group of quotes is escaped where the JSON is within a string of JSON.
        self._member = re.compile(
            names + rb"\\*\"\s*:\s*"
            rb"(?:\"(?P<plain>(?:[^\"\\\n]|\\.)*+)(?:\"|(?=\n))"
            rb"|(?P<escape>\\+)\"(?P<escaped>[^\n]{0,512}?)(?:(?<!\\)(?P=escape)\"|(?=\n))"
            rb"|(?P<number>-?\d[\d.eE+-]*))",
            re.IGNORECASE | re.DOTALL,
        )
        self._member_start = re.compile(names + rb"\\*(?:\Z|\"\s*(?:\Z|:\s*(?:\\*\Z|\\*\"|-?\d)))", re.IGNORECASE)
        self._form = re.compile(names + rb"=([^?&;\s\"'<>\\]+)", re.IGNORECASE)
        self._form_open = re.compile(names + rb"(?:=[^?&;\s\"'<>\\]*)?\Z", re.IGNORECASE)

    def found(self, text: bytes) -> Iterator[Found]:
        """The secrets in a text, in any order. They may overlap."""
        yield from self._members(text)
        for match in _USERINFO.finditer(text):
            yield Found(*match.span(1), match[1], match.start())
            start = match.start(1) + match[1].find(b":") + 1
            password = unquote_to_bytes(text[start : match.end(1)])
            yield Found(start, match.end(1), password, match.start(), may_echo=True)
        yield from self.query_values(text)
        for match in self._form.finditer(text) if self._has_name(text) else ():
            yield Found(*match.span(1), unquote_to_bytes(match[1].replace(b"+", b" ")), match.start(), may_echo=True)
        for match in _BEARER.finditer(text):
            yield Found(*match.span(1), match[1], match.start())

    def _has_name(self, text: bytes) -> bool:
        """Whether the name of a key is in a text. The expressions that need one are slow."""
        lowered = text.lower()
        return any(name in lowered for name in self._names)

    def _member_starts(self, text: bytes) -> Iterator[re.Match[bytes]]:
        return self._member_start.finditer(text) if self._has_name(text) else iter(())

    def _members(self, text: bytes) -> Iterator[Found]:
        for start in self._member_starts(text):
            match = self._member.match(text, start.start())
            if match is None:
                continue
            if match["number"]:
                yield Found(*match.span("number"), match["number"], match.start(), is_number=True)
            else:
                group = "escaped" if match["escape"] else "plain"
                if match[group]:
                    secret = _unescaped(match[group], match["escape"])
                    yield Found(*match.span(group), secret, match.start(), may_echo=True)

    def query_values(self, text: bytes, shortest: int = _LIKE_A_KEY) -> Iterator[Found]:
        """Values in the query of a URL: of certain names, and all that are so long."""
        for match in _QUERY.finditer(text):
            is_key = unquote_to_bytes(match[1]).decode("latin-1").lower() in self._query_keys
            if is_key or len(match[2]) >= shortest:
                may_echo = is_key or shortest < _LIKE_A_KEY
                yield Found(*match.span(2), unquote_to_bytes(match[2]), match.start(), may_echo)

    def open_from(self, text: bytes) -> int:
        """The offset from which a text may be the beginning of a secret; its length if there is none."""
        size = len(text)
        starts = [size, *(cut_occurrence(text, each) for each in self._starters)]
        starts += [start.start() for start in self._member_starts(text) if self._is_open(start, text)]
        # The other rules end with the word. To search a longer text could take quadratic time.
        word = max(text.rfind(delimiter) for delimiter in _DELIMITERS) + 1
        least = max(size - LONGEST_OPEN, 0)
        for rule in (_USERINFO_OPEN, _QUERY_OPEN, self._form_open):
            opened = rule.search(text, max(word - _BEFORE_WORD, least))
            starts += [opened.start()] if opened else []
        opened = _BEARER_OPEN.search(text, least)
        starts += [opened.start()] if opened else []
        return min(starts)

    def _is_open(self, start: re.Match[bytes], text: bytes) -> bool:
        match = self._member.match(text, start.start())
        return match is None or (match["number"] is not None and match.end() == len(text))

    def cut(self, text: bytes) -> Iterator[Found]:
        """The secrets that the end of a text cuts off, where the text ends."""
        size = len(text)
        for start in self._member_starts(text):
            end = start.end()
            if end < size and start[0].endswith(b'"') and self._is_open(start, text):
                yield Found(end, size, text[end:], end)
        opened = _USERINFO_OPEN.search(text, max(size - LONGEST_OPEN, 0))
        password = opened[0].rpartition(b"/")[2].partition(b":")[2] if opened else b""
        if password and not password.isdigit():
            yield Found(size - len(password), size, password, size - len(password))


def _unescaped(value: bytes, escape: bytes | None) -> bytes:
    """The string that JSON spells so; within a string of JSON it is spelled twice."""
    for _ in range(2 if escape else 1):
        try:
            value = json.loads(b'"' + value + b'"').encode("utf-8", "surrogatepass")
        except (ValueError, RecursionError):
            break
    return value
