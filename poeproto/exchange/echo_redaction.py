"""Redaction of an echo: keeps the key that was sent to a peer out of what the peer says about a failure.

Some servers repeat the key in the body that refuses it, in a header, or in an `error` event. Users read those, and logs
keep them. So `PoeExchange` and the readers of Poe's responses pass them through here, and the key is replaced by
``<hidden>``. Four cases need care:

- **Spellings.** A server may repeat the key as it is, percent-encoded in a URL, or escaped in JSON, in either case.
- **Cuts.** A body is kept up to `Limits.refusal_body` bytes. A key that the limit cuts must not leave its first half.
  So a few more bytes are kept (`longest_spelling`), the whole key is replaced, and then the limit is applied. A
  connection can also break off within the key, so the beginning of a key at the very end is replaced too.
- **Words.** A key may begin with a word that ends a sentence: "the access key is missing or wrong". So the beginning
  of a key is replaced only where the text may have been cut. Where this is not known, a short word is not replaced.
- **Short keys.** A key of fewer than 16 characters may be an ordinary word, and is not replaced: that would garble what
  the server says. Poe's keys have 32 characters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import quote

import attrs

from poeproto.limits import Limits
from poeproto.vocabulary.events import Error

_SHORTEST_SECRET = 16
# A shorter beginning of a key reveals nothing, and stands at the end of many a text by chance.
_SHORTEST_BEGINNING = 4
_HIDDEN = b"<hidden>"


def longest_spelling(key: bytes) -> int:
    """The length of the key in its longest spelling."""
    return len(_spellings(key)[0])


def redact(text: bytes, key: bytes) -> bytes:
    """A text that may have been cut, without the key, and without the beginning of one at its end."""
    text = _replace(text, key)
    for spelling in _spellings(key) if len(key) >= _SHORTEST_SECRET else ():
        text = _replace_beginning(text, spelling)
    return text


def redact_body(body: bytes, key: bytes, limits: Limits, *, is_whole: bool = False) -> bytes:
    """The first `Limits.refusal_body` bytes of a body, without the key.

    Args:
        body: that many bytes and `longest_spelling` more, or all there are.
        key: the key that was sent.
        limits: says how many bytes are shown.
        is_whole: whether the body was certainly received to its end, so that no key in it is cut.
    """
    end = size = limits.refusal_body
    lowered = body.lower()
    for spelling in _spellings(key):
        cut = lowered.find(spelling.lower(), max(size - len(spelling) + 1, 0), size + len(spelling) - 1)
        end = max(end, cut + len(spelling)) if cut >= 0 else end
    return (_replace if is_whole else redact)(body[:end], key)[:size]


def redact_text(text: str, key: bytes) -> str:
    """The text without the key."""
    # A lone surrogate stays as it is.
    return _replace(text.encode("utf-8", "surrogatepass"), key).decode("utf-8", "surrogatepass")


def redact_error(event: Error, key: bytes) -> Error:
    """The `error` event of a bot without the key that the bot was called with."""
    if len(key) < _SHORTEST_SECRET:
        return event
    received: dict[str, Any] = {
        "text": event.text,
        "raw_response": event.raw_response,
        "error_type": event.error_type,
        "extra": event.extra,
    }
    redacted = {name: _redact_value(value, key) for name, value in received.items()}
    return event if redacted == received else attrs.evolve(event, **redacted)


def _redact_value(value: Any, key: bytes) -> Any:
    if isinstance(value, str):
        return redact_text(value, key)
    if isinstance(value, Mapping):
        items = cast("Mapping[str, Any]", value).items()
        return {redact_text(name, key): _redact_value(item, key) for name, item in items}
    if isinstance(value, list):
        return [_redact_value(item, key) for item in cast("list[Any]", value)]
    return value


def _spellings(key: bytes) -> list[bytes]:
    """The key as it is, in a URL, and in JSON; the longest first."""
    text = key.decode("latin-1")
    spellings = {key, quote(key, safe="").encode(), json.dumps(text)[1:-1].encode()}
    return sorted(spellings, key=len, reverse=True)


def _replace(text: bytes, key: bytes) -> bytes:
    if len(key) < _SHORTEST_SECRET:
        return text
    for spelling in _spellings(key):
        # In either case: a media type, for one, is stored in lower case.
        text = re.sub(re.escape(spelling), _HIDDEN, text, flags=re.IGNORECASE)
    return text


def _replace_beginning(text: bytes, key: bytes) -> bytes:
    lowered, key = text.lower(), key.lower()
    for length in range(len(key) - 1, _SHORTEST_BEGINNING - 1, -1):
        if lowered.endswith(key[:length]) and not _is_word(lowered, length, len(key)):
            return text[:-length] + _HIDDEN
    return text


def _is_word(text: bytes, length: int, key_length: int) -> bool:
    """Whether the end of the text is a word of its own that reveals at most half of the key."""
    before, word = text[:-length], text[-length:]
    return word.isalpha() and length <= key_length // 2 and not before[-1:].isalnum()
