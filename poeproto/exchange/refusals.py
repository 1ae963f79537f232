"""The error that stands for an answer of another status than 200, or of another content type than promised; and how
the key that was sent is kept out of whatever a peer says of a failure.

https://creator.poe.com/docs/server-bots/poe-protocol-specification
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, TypeVar, cast
from urllib.parse import quote

import attrs

from poeproto.errors import RemoteProtocolError, RequestRefused
from poeproto.exchange.rate_limits import rate_limit, retry_after_seconds
from poeproto.limits import Limits
from poeproto.vocabulary.events import Error
from poeproto.vocabulary.http import HttpResponse, ResponseHead
from poeproto.wire.json import loads

E = TypeVar("E", bound=RequestRefused)

# Poe's keys have 32 characters. A shorter one may be a word, and hiding that would spoil what the server says.
_SHORTEST_SECRET = 16
# Fewer characters of a key tell nothing, and are at the end of many a text by chance.
_SHORTEST_PART = 4
_HIDDEN = b"<hidden>"
# How many characters of the peer's own reason a message holds.
_REASON_LENGTH = 200
# No media type and no content coding is longer.
_LONGEST_QUOTATION = 100


def refusal_body_size(limits: Limits, key: bytes) -> int:
    """How many bytes of a body to keep for the error: so many that a key which `Limits.refusal_body` cuts is whole."""
    return limits.refusal_body + len(_spellings(key)[0])


def _spellings(key: bytes) -> list[bytes]:
    """The key as it is, in a URL, and in JSON, as servers repeat what they were sent; the longest first."""
    text = key.decode("latin-1")
    spelt = {key, quote(key, safe="").encode(), json.dumps(text)[1:-1].encode()}
    return sorted(spelt, key=len, reverse=True)


def refusal_reason(head: ResponseHead | HttpResponse, by: str, call: str, content_type: str | None = None) -> str:
    """Why this is a refusal, as its error says it; empty where it is none.

    Args:
        head: the status and the headers.
        by: who answered.
        call: what was asked for; empty where that goes without saying.
        content_type: the media type that the call promises, where it matters.
    """
    if head.status != 200:
        return f"{by} answered with status {head.status}{call and ' to '}{call}"
    if head.content_coding != "identity":
        return f"{by} encoded its answer as {_quoted(head.content_coding)}, which was not asked for"
    if content_type is not None and head.media_type != content_type:
        return f"{by} answered with content type {_quoted(head.media_type)} instead of {content_type}"
    return ""


def _quoted(value: str) -> str:
    """For a message: escaped where a terminal would obey it, and not where it is as long as a header can be."""
    return repr(value) if len(value) <= _LONGEST_QUOTATION else f"<{len(value)} characters>"


def refusal(
    cls: type[E], message: str, head: ResponseHead | HttpResponse, body: bytes, key: bytes, limits: Limits
) -> E:
    """The error, with what its reader needs to decide on another try, and without the key.

    Args:
        cls: its class.
        message: what was refused, and by whom; the reason that a JSON body gives is added.
        head: the status and the headers.
        body: the body, or its first `refusal_body_size` bytes.
        key: what some servers repeat when they refuse it.
        limits: `Limits.refusal_body` says how much of the body is kept.
    """
    body_start = redact_body(body, key, limits)
    reason = _reason_in(body_start, key)
    message, retry_after = _shown(message, key), head.get("retry-after")
    return cls(
        f"{message}: {reason}" if reason else message,
        status=head.status,
        retry_after=None if retry_after is None else _shown(retry_after, key),
        retry_after_seconds=retry_after_seconds(head),
        body_start=body_start,
        rate_limit=rate_limit(head),
    )


def _reason_in(body: bytes, key: bytes) -> str:
    """What `error` says in a body of JSON, in one line; empty where there is no such text."""
    try:
        reason = loads(body).get("error")
    except RemoteProtocolError:
        return ""
    if not isinstance(reason, str):
        return ""
    # What a terminal would obey is not for a message.
    line = "".join(character if character.isprintable() else "\ufffd" for character in " ".join(reason.split()))
    # JSON may have held the key in escapes, in which it did not show.
    return _hidden(line.encode(), key).decode()[:_REASON_LENGTH]


def redact_body(body: bytes, key: bytes, limits: Limits) -> bytes:
    """The first `Limits.refusal_body` bytes of what a peer said, without the key in it."""
    end = size = limits.refusal_body
    lowered = body.lower()
    for spelt in _spellings(key):
        cut = lowered.find(spelt.lower(), max(size - len(spelt) + 1, 0), size + len(spelt) - 1)
        end = max(end, cut + len(spelt)) if cut >= 0 else end
    return _hidden(body[:end], key)[:size]


def redact_error(event: Error, key: bytes) -> Error:
    """What a bot says of its failure, without the key that it was asked with: users read that, and logs keep it."""
    if len(key) < _SHORTEST_SECRET:
        return event
    said: dict[str, Any] = {
        "text": event.text,
        "raw_response": event.raw_response,
        "error_type": event.error_type,
        "extra": event.extra,
    }
    shown = {name: _value_without_key(value, key) for name, value in said.items()}
    return event if shown == said else attrs.evolve(event, **shown)


def _value_without_key(value: Any, key: bytes) -> Any:
    if isinstance(value, str):
        return _shown(value, key)
    if isinstance(value, Mapping):
        items = cast("Mapping[str, Any]", value).items()
        return {_shown(name, key): _value_without_key(item, key) for name, item in items}
    if isinstance(value, list):
        return [_value_without_key(item, key) for item in cast("list[Any]", value)]
    return value


def _shown(text: str, key: bytes) -> str:
    # Half of a surrogate pair stays what it is.
    return _replaced(text.encode("utf-8", "surrogatepass"), key).decode("utf-8", "surrogatepass")


def _hidden(text: bytes, key: bytes) -> bytes:
    text = _replaced(text, key)
    for spelt in _spellings(key) if len(key) >= _SHORTEST_SECRET else ():
        text = _without_part(text, spelt)
    return text


def _replaced(text: bytes, key: bytes) -> bytes:
    if len(key) < _SHORTEST_SECRET:
        return text
    for spelt in _spellings(key):
        # Whatever the case: a media type, for one, is kept in lower case.
        text = re.sub(re.escape(spelt), _HIDDEN, text, flags=re.IGNORECASE)
    return text


def _without_part(body: bytes, key: bytes) -> bytes:
    """Without the first part of a key at its end, where a connection broke off."""
    lowered, key = body.lower(), key.lower()
    for length in range(len(key) - 1, _SHORTEST_PART - 1, -1):
        if lowered.endswith(key[:length]):
            return body[:-length] + _HIDDEN
    return body
