"""Redaction of a recording: which secrets are replaced, by which placeholder, and how a secret that spans two reads is
found.

What is replaced:

- **Headers**: the value of every header that is not in `Redaction.headers`. The scheme of a credential stays.
- **Keys in bodies**: the values of `access_key`, `api_key` and the like in JSON, in JSON within JSON, and in forms.
- **URLs**: user and password; in a query, the values of names such as `signature`, and every value long enough to be a
  key; in the target of a request also the segment of a path that looks like a key.
- **Echoes**: a secret that was found, or is known beforehand, wherever it appears again, however it is spelled; see
  `poeproto.http.SecretSpellings`.
- **Patterns**: what the regular expressions of the caller match, within a line.

**Placeholders.** A secret becomes ``REDACTED-1``, the next one ``REDACTED-2``. Equal secrets of a file have equal
placeholders. The number says when the secret was found first, so nothing can be computed from it. The word is valid in
headers, URLs and JSON.

**Reads.** The body is recorded read by read, and a secret may be split between reads. So the end of a read is held back
while it may be the beginning of a secret (`StreamRedactor`). Then the placeholder stands in the read in which the
secret began, and the reads after it lack its bytes. No two reads are joined.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import unquote_to_bytes

import attrs

from poeproto.http import SECRET_KEYS, Headers, SearchedText, SecretSpellings, longest_spelling
from poeproto_record.secret_rules import LONGEST_OPEN, Found, SecretRules

__all__ = ["KEPT_HEADERS", "Redaction", "Redactor"]

KEPT_HEADERS = frozenset(
    {
        *("accept", "accept-charset", "accept-encoding", "accept-language", "accept-ranges", "age", "allow"),
        *("cache-control", "connection", "content-encoding", "content-language", "content-length", "content-type"),
        *("date", "expect", "expires", "host", "keep-alive", "last-modified", "pragma", "retry-after", "server"),
        *("te", "trailer", "transfer-encoding", "upgrade", "user-agent", "vary", "via", "www-authenticate"),
        *("x-accel-buffering", "x-content-type-options"),
    }
)
"""The names of the headers whose values are recorded. The value of any other may hold a key, or repeat one."""
_CREDENTIALS = frozenset({b"authorization", b"proxy-authorization"})
BODY_KEYS = frozenset({*SECRET_KEYS, "access_token", "api-key", "apikey", "authorization", "client_secret", "password"})
QUERY_KEYS = frozenset(
    {
        *("access_token", "auth", "code", "credential", "key", "key-pair-id", "pass", "passwd", "password", "policy"),
        *("secret", "se", "session", "sig", "signature", "sv", "token", "googleaccessid", "awsaccesskeyid"),
        *("x-amz-credential", "x-amz-security-token", "x-amz-signature", "x-goog-credential", "x-goog-signature"),
    }
)
# A shorter secret may be an ordinary word, so it is not replaced elsewhere.
_SHORTEST_ECHO = 8
_LONGEST_ECHO = 4 * 1024
# Of a secret that is known beforehand, as much is held back as its longest spelling may take.
_LONGEST_GIVEN = 64 * 1024
# A shorter part of a header's value is not searched for.
_LIKE_A_KEY = 16
# A beginning this short reveals nothing, and stands at the end of many a text by chance.
_SHORTEST_BEGINNING = 4
# How many secrets that were found are searched for, and how many have a number. The least recently seen are forgotten.
_KNOWN = 100
_NUMBERED = 10_000
# How many bytes of a line are held back for the patterns.
_LINE = 64 * 1024
# In a longer line, patterns find matches that span two reads if they are at most this long, in bytes.
_OVERLAP = 4 * 1024

_SCHEME = re.compile(rb"([A-Za-z][A-Za-z0-9-]*)[ \t]+(\S.*)", re.DOTALL)
_TOKEN = re.compile(rb"[^\s;,\"]{16,}")
_SEGMENT = re.compile(rb"(?<=/)(?=[^/?#]*[a-z])(?=[^/?#]*[A-Z])(?=[^/?#]*\d)([^/?#]{20,})")
_KEY_IN_PATH = re.compile(rb"(?:update|fetch)_settings/[^/?]*/([^?]+?)(?:/[^/?]*)?(?=\?|\Z)")


def _patterns(given: Iterable[str | re.Pattern[str]]) -> tuple[re.Pattern[bytes], ...]:
    return tuple(
        re.compile(each.encode()) if isinstance(each, str) else re.compile(each.pattern.encode(), each.flags & ~re.U)
        for each in given
    )


def _lower(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name.lower() for name in names)


def _as_bytes(secrets: Iterable[str | bytes]) -> tuple[bytes, ...]:
    given = tuple(each.encode() if isinstance(each, str) else each for each in secrets)
    for number, secret in enumerate(given):
        if len(secret) > _LONGEST_GIVEN:
            raise ValueError(
                f"secrets[{number}] has {len(secret)} bytes, and at most {_LONGEST_GIVEN} can be searched for: "
                "pass the part of it that gives access, or a pattern"
            )
    return given


@attrs.frozen(kw_only=True)
class Redaction:
    """The rules for secrets in a recording, which are replaced.

    Attributes:
        headers: the names of headers whose values are recorded.
        body_keys: keys of JSON and of forms, whose values are replaced.
        query_keys: names in the query of a URL, whose values are replaced however short they are.
        patterns: regular expressions, over UTF-8; what they match within a line is replaced.
        secrets: secrets that are known beforehand, such as the access key of the bot; each of up to 64 KiB.

    Raises:
        re.error: for a pattern that is not a regular expression.
        ValueError: for a secret that is longer.
    """

    headers: frozenset[str] = attrs.field(default=KEPT_HEADERS, converter=_lower)
    body_keys: frozenset[str] = attrs.field(default=BODY_KEYS, converter=_lower)
    query_keys: frozenset[str] = attrs.field(default=QUERY_KEYS, converter=_lower)
    patterns: tuple[re.Pattern[bytes], ...] = attrs.field(default=(), converter=_patterns, repr=False)
    secrets: tuple[bytes, ...] = attrs.field(default=(), converter=_as_bytes, repr=False)

    def summary(self) -> dict[str, Any]:
        """The redaction as the first line of a recording has it. A pattern may be a secret, so they are counted."""
        return {
            "headers_kept": sorted(self.headers),
            "body_keys": sorted(self.body_keys),
            "query_keys": sorted(self.query_keys),
            "patterns": len(self.patterns),
            "known_secrets": len(self.secrets),
        }


# Secrets that were found, each with how it is searched for; the most recently seen last.
FoundSecrets = OrderedDict[bytes, SecretSpellings]


@attrs.frozen
class Span:
    """A part of a text, and its replacement."""

    start: int
    end: int
    placeholder: bytes


class Redactor:
    """Redacts the parts of one recording, in which equal secrets have equal placeholders.

    Attributes:
        redaction: the rules to apply.
        of_exchange: the secrets that were found in the exchange whose parts are redacted. They are searched for besides
            those that were found last in all exchanges: while a reply goes on, a hundred other requests may begin.
    """

    def __init__(self, redaction: Redaction) -> None:
        self.redaction = redaction
        self._rules = SecretRules(redaction.body_keys, redaction.query_keys)
        self._numbers: dict[bytes, int] = {}
        # Those that the caller knows are never forgotten.
        self._given = {each: SecretSpellings.of(each) for each in redaction.secrets if each}
        self._known: FoundSecrets = OrderedDict()
        self.of_exchange: FoundSecrets = OrderedDict()

    @property
    def most_held(self) -> int:
        """How many bytes of a body may be held back."""
        given = max(map(longest_spelling, self._given), default=0)
        return max(_LINE if self.redaction.patterns else LONGEST_OPEN, given)

    def prepare(self, headers: Headers, url: str) -> None:
        """Learn the secrets of a request before any part of it is redacted: the URL may repeat a header."""
        self.headers(headers)
        self.url(url)

    def headers(self, headers: Headers) -> Headers:
        """Header pairs without secrets."""
        return tuple([(self.text(name), self._header(name, value)) for name, value in headers])

    def _header(self, name: bytes, value: bytes) -> bytes:
        if name.decode("latin-1") in self.redaction.headers or not value:
            return self.text(value)
        credential = _SCHEME.fullmatch(value) if name in _CREDENTIALS else None
        if credential is not None:
            self._learn_credential(credential[1], credential[2])
            return credential[1] + b" " + self.placeholder(credential[2])
        for token in _TOKEN.findall(value):
            if b"://" not in token:
                self._learn(token)
                self._learn(token.partition(b"=")[2], shortest=_LIKE_A_KEY)
        return self.placeholder(value)

    def _learn_credential(self, scheme: bytes, credential: bytes) -> None:
        self._learn(credential)
        if scheme.lower() == b"basic":
            try:
                password = base64.b64decode(credential, validate=True).partition(b":")[2]
            except (ValueError, binascii.Error):
                return
            self._learn(password)

    def url(self, url: str) -> str:
        """The URL or target of a request without secrets."""
        text = url.encode("utf-8", "surrogateescape")
        path = text.partition(b"?")[0]
        in_path = [*_KEY_IN_PATH.finditer(path)] or _SEGMENT.finditer(path)
        found = [Found(*match.span(1), unquote_to_bytes(match[1]), match.start(), may_echo=True) for match in in_path]
        found += self._rules.query_values(text, _SHORTEST_ECHO)
        return self._replace(text, found).decode("utf-8", "surrogateescape")

    def text(self, text: bytes) -> bytes:
        """A whole text without secrets."""
        return self._replace(text, []) if text else text

    def _replace(self, text: bytes, found: Iterable[Found]) -> bytes:
        parts: list[bytes] = []
        position = 0
        found = [*found, *self._found(text), *self._rules.cut(text)]
        for span in self._spans(SearchedText(text), found, is_end=True):
            parts += [text[position : span.start], span.placeholder]
            position = span.end
        return b"".join([*parts, text[position:]])

    def scan(self, text: bytes, *, is_end: bool) -> tuple[list[Span], int]:
        """The secrets in a text that has been received in part, and from where on it is undecided.

        A secret that is not yet complete is neither numbered nor known. With `is_end` nothing follows, and nothing is
        undecided.
        """
        if is_end:
            found = [*self._found(text), *self._rules.cut(text)]
            return self._spans(SearchedText(text), found, is_end=True), len(text)
        if self.redaction.patterns:
            line = text.rfind(b"\n") + 1
            if len(text) - line <= _LINE:  # a pattern may begin anywhere in the line
                text = text[:line]
        found = list(self._found(text))
        decided = min([self._rules.open_from(text), *(each.context for each in found if each.end == len(text))])
        if self.redaction.patterns and not text.endswith(b"\n"):
            decided = max(min(decided, len(text) - _OVERLAP), 0)
        decided = _outside(decided, found, [])
        searched = SearchedText(text)
        spans = self._spans(searched, [each for each in found if each.end <= decided], is_end=False)
        decided = min(decided, self._beginning(searched, 1))
        decided = _outside(decided, found, spans)
        return [span for span in spans if span.end <= decided], decided

    def _found(self, text: bytes) -> Iterator[Found]:
        yield from self._rules.found(text)
        for pattern in self.redaction.patterns:
            for match in pattern.finditer(text):
                if match[0]:
                    yield Found(*match.span(), match[0], match.start())

    def _spans(self, text: SearchedText, found: list[Found], *, is_end: bool) -> list[Span]:
        """The spans of the secrets that were found, and of those that are known; in order, and disjoint."""
        spans: list[Span] = []
        for each in sorted(found, key=lambda each: (each.start, -each.end)):
            if each.may_echo:
                self._learn(each.secret)
            placeholder = self.placeholder(each.secret)
            spans.append(Span(each.start, each.end, b'"%b"' % placeholder if each.is_number else placeholder))
        spans += self._echoes(text)
        if is_end:
            start, size = self._beginning(text, _SHORTEST_BEGINNING), len(text.lowered)
            spans += [Span(start, size, b"REDACTED")] if start < size else []
        return _disjoint(spans)

    def _echoes(self, text: SearchedText) -> Iterator[Span]:
        for secret, spellings in self._searched().items():
            for start, end in spellings.find(text):
                yield Span(start, end, self.placeholder(secret))

    def _beginning(self, text: SearchedText, shortest: int) -> int:
        """Where the end of a text is the beginning of a secret; the length of the text if it is not."""
        searched = self._searched().values()
        return min((each.beginning(text, shortest) for each in searched), default=len(text.lowered))

    def _searched(self) -> dict[bytes, SecretSpellings]:
        return {**self._given, **self.of_exchange, **self._known}

    def placeholder(self, secret: bytes) -> bytes:
        """The text that replaces a secret."""
        number = self._numbers.get(secret)
        if number is None:
            if len(self._numbers) >= _NUMBERED:
                return b"REDACTED"
            number = self._numbers[secret] = len(self._numbers) + 1
        return b"REDACTED-%d" % number

    def _learn(self, secret: bytes, *, shortest: int = _SHORTEST_ECHO) -> None:
        if not shortest <= len(secret) <= _LONGEST_ECHO or secret in self._given:
            return
        spellings = self.of_exchange.get(secret) or self._known.get(secret) or SecretSpellings.of(secret)
        for found in (self.of_exchange, self._known):
            found[secret] = spellings
            found.move_to_end(secret)
            while len(found) > _KNOWN:
                found.popitem(last=False)


def _outside(position: int, found: Iterable[Found], spans: Iterable[Span]) -> int:
    """The position, or that before it at which no secret is cut, nor that by which it was found."""
    parts = [(each.context, each.end) for each in found]
    parts += [(each.start, each.end) for each in spans]
    for start, end in sorted(parts, reverse=True):
        if start < position < end:
            position = start
    return position


def _disjoint(spans: Iterable[Span]) -> list[Span]:
    """The spans in order, those that overlap as one."""
    joined: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if joined and span.start < joined[-1].end:
            joined[-1] = attrs.evolve(joined[-1], end=max(span.end, joined[-1].end))
        else:
            joined.append(span)
    return joined
