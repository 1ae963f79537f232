"""Redaction of an echo: removes the key that was sent to a peer from the peer's message about a failure.

Some servers repeat the key in the body that refuses it, in a header, or in an `error` event. Users read those, and logs
keep them. So `PoeExchange` and the readers of Poe's responses pass them through here, and the key is replaced by
``<hidden>``. Four cases need care:

- **Spellings.** A server may repeat the key as it is, percent-encoded in a URL, or escaped in JSON; see
  `SecretSpellings`.
- **Cuts.** A body is kept up to `Limits.refusal_body` bytes. A key that the limit cuts must not leave its first half.
  So a few more bytes are kept (`longest_spelling`), the whole key is replaced, and then the limit is applied. A
  connection can also break off within the key, so the beginning of a key at the very end is replaced too.
- **Words.** A key may begin with a word that ends a sentence: "the access key is missing or wrong". So the beginning
  of a key is replaced only where the text may have been cut. Where this is not known, a short word is not replaced.
- **Short keys.** A key of fewer than 16 characters may be an ordinary word, and is not replaced: that would garble the
  server's message. Poe's keys have 32 characters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import attrs

from poeproto.limits import Limits
from poeproto.vocabulary.events import Error
from poeproto.vocabulary.secret_spellings import SearchedText, SecretSpellings, disjoint_spans

_SHORTEST_SECRET = 16
# A shorter beginning of a key reveals nothing, and stands at the end of many a text by chance.
_SHORTEST_BEGINNING = 4
_HIDDEN = b"<hidden>"


def redact(text: bytes, key: bytes) -> bytes:
    """A text that may have been cut, without the key, and without the beginning of one at its end."""
    if len(key) < _SHORTEST_SECRET:
        return text
    spellings = SecretSpellings.of(key)
    text = _replace(text, spellings)
    searched = SearchedText(text)
    complete = searched.decoded[: searched.decoded_complete]
    starts = [_beginning(searched.lowered, spellings.plain)]
    for form in spellings.decoded:
        start = _beginning(complete, form)
        starts += [start if start is None else searched.start(start)]
    start = min((start for start in starts if start is not None), default=None)
    return text if start is None else text[:start] + _HIDDEN


def redact_body(body: bytes, key: bytes, limits: Limits, *, is_whole: bool = False) -> bytes:
    """The first `Limits.refusal_body` bytes of a body, without the key.

    Args:
        body: that many bytes and `longest_spelling` more, or all there are.
        key: the key that was sent.
        limits: says how many bytes are shown.
        is_whole: whether the body was certainly received to its end, so that no key in it is cut.
    """
    end = size = limits.refusal_body
    if len(key) >= _SHORTEST_SECRET:
        spans = SecretSpellings.of(key).find(SearchedText(body))
        end = max([size, *(span_end for start, span_end in spans if start < size)])
    shown = body[:end]
    return (redact_bytes(shown, key) if is_whole else redact(shown, key))[:size]


def redact_bytes(data: bytes, key: bytes) -> bytes:
    """Bytes that were not cut, without the key."""
    return data if len(key) < _SHORTEST_SECRET else _replace(data, SecretSpellings.of(key))


def redact_text(text: str, key: bytes) -> str:
    """The text without the key."""
    return text if len(key) < _SHORTEST_SECRET else _redact_string(text, SecretSpellings.of(key))


def redact_error(event: Error, key: bytes) -> Error:
    """The `error` event of a bot without the key that the bot was called with."""
    if len(key) < _SHORTEST_SECRET:
        return event
    spellings = SecretSpellings.of(key)
    received: dict[str, Any] = {
        "text": event.text,
        "raw_response": event.raw_response,
        "error_type": event.error_type,
        "extra": event.extra,
    }
    redacted = {name: _redact_value(value, spellings) for name, value in received.items()}
    return event if redacted == received else attrs.evolve(event, **redacted)


def _redact_value(value: Any, spellings: SecretSpellings) -> Any:
    if isinstance(value, str):
        return _redact_string(value, spellings)
    if isinstance(value, Mapping):
        items = cast("Mapping[str, Any]", value).items()
        return {_redact_string(name, spellings): _redact_value(item, spellings) for name, item in items}
    if isinstance(value, list):
        return [_redact_value(item, spellings) for item in cast("list[Any]", value)]
    return value


def _redact_string(text: str, spellings: SecretSpellings) -> str:
    data = text.encode("utf-8", "surrogatepass")  # a lone surrogate stays as it is
    # Most strings of a JSON object are too short, and an object may have a million of them.
    return text if len(data) < spellings.shortest else _replace(data, spellings).decode("utf-8", "surrogatepass")


def _replace(text: bytes, spellings: SecretSpellings) -> bytes:
    parts: list[bytes] = []
    end = 0
    for start, span_end in disjoint_spans(spellings.find(SearchedText(text))):
        parts += [text[end:start], _HIDDEN]
        end = span_end
    return b"".join([*parts, text[end:]])


def _beginning(text: bytes, key: bytes) -> int | None:
    """Where the end of a text is the beginning of the key and not a word of its own; None if it is not."""
    for length in range(min(len(key), len(text) + 1) - 1, _SHORTEST_BEGINNING - 1, -1):
        if text.endswith(key[:length]) and not _is_word(text, length, len(key)):
            return len(text) - length
    return None


def _is_word(text: bytes, length: int, key_length: int) -> bool:
    """Whether the end of the text is a word of its own that reveals at most half of the key."""
    before, word = text[:-length], text[-length:]
    return word.isalpha() and length <= key_length // 2 and not before[-1:].isalnum()
