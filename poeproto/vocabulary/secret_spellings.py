r"""Search for a secret in a text, in any spelling: one implementation for all code that redacts and masks.

A peer that repeats a key may spell it otherwise than it was sent. These are found:

- in either case;
- with any of its characters escaped in JSON (``\u0041``, ``\/``), also in JSON within JSON, or as ``\x41``;
- with any of its characters percent-encoded, also twice, or written as an HTML entity;
- within base64, whatever precedes it there, as in ``Authorization: Basic``.

The plain spelling is searched for in the text itself. For the others, the escapes are decoded in a copy, with a map of
offsets (`SearchedText`), and the secret is searched for in the copy. Backslashes are dropped there: how deep the
strings of JSON are nested is unknown. All of this takes linear time.
"""

from __future__ import annotations

import re
from array import array
from base64 import b64encode
from bisect import bisect_right
from collections.abc import Iterable, Iterator

import attrs

__all__ = ["SearchedText", "SecretSpellings", "cut_occurrence", "disjoint_spans", "longest_spelling"]

# An escape that may decode to another escape: JSON escapes the ``&`` of an HTML entity.
_ROUNDS = 3
_ESCAPE = re.compile(
    rb"\\{1,16}(?:u(d[89ab][0-9a-f]{2})\\{1,16}u(d[c-f][0-9a-f]{2})|u([0-9a-f]{4})|x([0-9a-f]{2}))?"
    rb"|%(?:25){0,4}([0-9a-f]{2})"
    rb"|&(?:\#x([0-9a-f]{1,6})|\#([0-9]{1,7})|(amp|apos|gt|lt|quot));",
    re.IGNORECASE,
)
# An escape that the end of the text may have cut.
_OPEN_ESCAPE = re.compile(
    rb"(?:\\{1,16}(?:u(?:d[89ab][0-9a-f]{2}(?:\\{1,16}(?:u[0-9a-f]{0,3})?)?|[0-9a-f]{0,3})|x[0-9a-f]?)?"
    rb"|%(?:25){0,4}[0-9a-f]?|&\#?[0-9a-z]{0,7})\Z",
    re.IGNORECASE,
)
# No open escape is longer.
_LONGEST_OPEN = 48
_ENTITIES = {b"amp": b"&", b"apos": b"'", b"gt": b">", b"lt": b"<", b"quot": b'"'}
# The letters by which JSON escapes a control character.
_CONTROLS = bytes.maketrans(b"\b\f\n\r\t", b"bfnrt")
# JSON escapes these by a backslash that belongs to them.
_ESCAPED_BY_BACKSLASH = b'"/\\'
# ``\\\\u0041``: a character escaped in JSON within JSON within JSON.
_LONGEST_KEPT_ESCAPE = 9
# The base64 of a shorter secret is too short to be nothing else.
_SHORTEST_IN_BASE64 = 8


@attrs.frozen
class _Decoding:
    """One round of decoding: the text after it, and where each escape was.

    The offsets are in arrays, since a text may consist of escapes: a tuple for each would take fifty times its size.

    Attributes:
        text: the decoded text.
        starts: the offset in it at which the characters of each escape begin, in order.
        ends: the offset in it at which they end.
        escape_starts: the offset at which each escape begins before decoding.
        escape_ends: the offset at which it ends there.
    """

    text: bytes
    starts: array[int]
    ends: array[int]
    escape_starts: array[int]
    escape_ends: array[int]


class SearchedText:
    """A text in which secrets are searched for, with a copy of which the escapes are decoded.

    Args:
        text: the text.
        ignored: matches bytes that are not part of the text: the boundaries of HTTP chunks, for instance.

    Attributes:
        lowered: the text in lower case.
        decoded: the copy, in lower case.
        complete: the offset of an escape that the end of the text may cut; the length of the text if there is none.
        decoded_complete: the same, in the copy.
    """

    def __init__(self, text: bytes, *, ignored: re.Pattern[bytes] | None = None) -> None:
        self.lowered: bytes = text.lower()
        self._rounds: list[_Decoding] = []
        decoded, complete = text, len(text)
        if ignored is not None:
            decoded, complete = self._decode(decoded, complete, ignored)
        for _ in range(_ROUNDS):
            if not (b"\\" in decoded or b"%" in decoded or b"&" in decoded):
                break
            opened = _OPEN_ESCAPE.search(decoded, max(complete - _LONGEST_OPEN, 0), complete)
            decoded, complete = self._decode(decoded, opened.start() if opened else complete, _ESCAPE)
        self.decoded: bytes = decoded.lower()
        self.decoded_complete: int = complete
        self.complete: int = self.start(complete)

    def _decode(self, text: bytes, complete: int, escape: re.Pattern[bytes]) -> tuple[bytes, int]:
        """Decode the text up to an escape that may be cut; returns the result, and the offset of that escape in it."""
        decoded = bytearray()
        starts, ends, escape_starts, escape_ends = array("q"), array("q"), array("q"), array("q")
        end = 0
        for match in escape.finditer(text, 0, complete):
            start = match.start()
            decoded += text[end:start]
            starts.append(len(decoded))
            if escape is _ESCAPE and match.lastindex is not None:  # None: backslashes alone
                decoded += _character(match)
            end = match.end()
            ends.append(len(decoded))
            escape_starts.append(start)
            escape_ends.append(end)
        if not starts:
            return text, complete
        complete += len(decoded) - end
        decoded += text[end:]
        self._rounds.append(_Decoding(bytes(decoded), starts, ends, escape_starts, escape_ends))
        return self._rounds[-1].text, complete

    def start(self, position: int) -> int:
        """The offset in the text of a character of the decoded text, or of its escape if it was escaped.

        Args:
            position: the offset of the character in the decoded text.
        """
        for decoding in reversed(self._rounds):
            index = bisect_right(decoding.starts, position) - 1
            if index >= 0:
                end = decoding.ends[index]
                is_within = position < end
                character = decoding.text[position : position + 1]
                # A backslash without its character would escape what replaces the character.
                if decoding.starts[index] == end == position and character and character in _ESCAPED_BY_BACKSLASH:
                    is_within = True
                position = decoding.escape_starts[index] if is_within else decoding.escape_ends[index] + position - end
        return position

    def end(self, position: int) -> int:
        """The offset in the text of the end of a range of the decoded text.

        Args:
            position: the end of the range in the decoded text; not 0.
        """
        last_byte = position - 1
        for decoding in reversed(self._rounds):
            index = bisect_right(decoding.starts, last_byte) - 1
            if index >= 0:
                end, escape_end = decoding.ends[index], decoding.escape_ends[index]
                last_byte = escape_end - 1 if last_byte < end else escape_end + last_byte - end
        return last_byte + 1


def _length_of_shortest(spellings: SecretSpellings) -> int:
    return min(map(len, (spellings.plain, *spellings.decoded)))


@attrs.frozen(repr=False)
class SecretSpellings:
    """A secret in the forms in which a text is searched for it.

    Attributes:
        plain: the form to be found in the text itself, in lower case.
        decoded: the forms to be found in the decoded text, in lower case: the secret, and its base64.
        shortest: the length of the shortest text that can contain the secret, in bytes: no escape is shorter than its
            character.
    """

    plain: bytes
    decoded: tuple[bytes, ...]
    shortest: int = attrs.field(init=False, default=attrs.Factory(_length_of_shortest, takes_self=True))

    @classmethod
    def of(cls, secret: bytes) -> SecretSpellings:
        """The spellings of a secret.

        Raises:
            ValueError: for an empty secret, which would be found everywhere.
        """
        if not secret:
            raise ValueError("a secret that is searched for cannot be empty")
        forms = {_decoded(secret): None, _decoded(secret.translate(_CONTROLS)): None}
        if len(secret) >= _SHORTEST_IN_BASE64:
            for preceding in range(3):
                form = _in_base64(secret, preceding)
                forms |= {form: None, form.translate(bytes.maketrans(b"+/", b"-_")): None}
        return cls(secret.lower(), tuple(form for form in forms if form))

    def find(self, text: SearchedText) -> Iterator[tuple[int, int]]:
        """The spans of the secret in a text, in any order. They may overlap."""
        yield from _occurrences(text.lowered, self.plain)
        for form in self.decoded:
            for start, end in _occurrences(text.decoded, form):
                yield text.start(start), text.end(end)

    def beginning(self, text: SearchedText, shortest: int = 1) -> int:
        """The offset at which the end of a text is the beginning of the secret; the length of the text if it is not.

        Args:
            text: the text. An escape that its end cuts may belong to the secret.
            shortest: how much of the secret has to be there.
        """
        start = cut_occurrence(text.lowered, self.plain, shortest)
        complete = text.decoded[: text.decoded_complete]
        for form in self.decoded:
            decoded = cut_occurrence(complete, form, shortest)
            if decoded < len(complete):
                start = min(start, text.start(decoded))
        return min(start, text.complete) if shortest == 1 else start


def longest_spelling(secret: bytes) -> int:
    """The length of a secret in the longest spelling of which a reader of parts keeps the beginning, in bytes.

    A longer spelling is found too, but one that the end of a part cuts is replaced only as far as the text shows it.

    Args:
        secret: the secret.
    """
    return _LONGEST_KEPT_ESCAPE * len(secret)


def disjoint_spans(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The spans in order, and those that overlap as one.

    Args:
        spans: the offsets of the start and the end of each occurrence, in any order.
    """
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def cut_occurrence(text: bytes, whole: bytes, shortest: int = 1) -> int:
    """The offset of an occurrence that the end of the text cuts; the length of the text if there is none.

    Args:
        text: a text, in either case.
        whole: the text to search for, in lower case.
        shortest: how many bytes of it must be there.
    """
    size = len(text)
    tail = text[max(size - len(whole) + 1, 0) :].lower()
    start = tail.find(whole[:shortest])
    while start >= 0:
        if whole.startswith(tail[start:]):
            return size - len(tail) + start
        start = tail.find(whole[:shortest], start + 1)
    return size


def _occurrences(text: bytes, searched: bytes) -> Iterator[tuple[int, int]]:
    start = text.find(searched)
    while start >= 0:
        yield start, start + len(searched)
        start = text.find(searched, start + len(searched))


def _decoded(secret: bytes) -> bytes:
    """The secret as a decoded text has it: its own characters may look like an escape, and its last ones like a cut."""
    text = SearchedText(secret + b" ")
    return text.decoded[:-1]


def _in_base64(secret: bytes, preceding: int) -> bytes:
    """The base64 characters that depend on the secret alone, after `preceding` bytes of another text; in lower case."""
    encoded = b64encode(b"\0" * preceding + secret)
    return encoded[-(-preceding * 4 // 3) : (preceding + len(secret)) * 4 // 3].lower()


def _character(match: re.Match[bytes]) -> bytes:
    """The bytes that an escape stands for."""
    high, low, unit, byte, percent, hexadecimal, decimal, name = match.groups()
    if high:
        return chr(0x10000 + (int(high, 16) - 0xD800) * 0x400 + int(low, 16) - 0xDC00).encode()
    if byte or percent:
        return bytes([int(byte or percent, 16)])
    if name:
        return _ENTITIES[name.lower()]
    code = int(decimal) if decimal else int(unit or hexadecimal, 16)
    return chr(code).encode("utf-8", "surrogatepass") if code < 0x110000 else match[0]
