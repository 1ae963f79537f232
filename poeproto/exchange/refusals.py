"""Refusals: the error for an unexpected response (status or content type), made from that response.

In this library, a *refusal* is a `RequestRefused`, raised in the caller for another status than 200, another content
type, or a compressed body. A bot server sends an error response (`BotExchange`).

https://creator.poe.com/docs/server-bots/poe-protocol-specification
"""

from __future__ import annotations

from typing import TypeVar

from poeproto.exchange.echo_redaction import redact_body, redact_text
from poeproto.limits import Limits
from poeproto.vocabulary.errors import RemoteProtocolError, RequestRefused
from poeproto.vocabulary.http import HttpResponse, ResponseHead
from poeproto.vocabulary.rate_limits import rate_limit, retry_after_seconds
from poeproto.vocabulary.secret_spellings import longest_spelling
from poeproto.wire.json import loads

__all__ = ["refusal"]

E = TypeVar("E", bound=RequestRefused)

# How many characters of the peer's own reason go into the message.
_REASON_LENGTH = 200
# No media type and no content coding is longer.
_LONGEST_QUOTATION = 100


def refusal_body_size(limits: Limits, key: bytes) -> int:
    """How many bytes of the body to read for the error: a key that `Limits.refusal_body` cuts has to be whole."""
    return limits.refusal_body + longest_spelling(key)


def refusal_reason(head: ResponseHead | HttpResponse, by: str, call: str, content_type: str | None = None) -> str:
    """Why this response is a refusal, as the message of the error; empty if it is not one.

    Args:
        head: the status and the headers.
        by: who responded, for the message.
        call: the name of the call, for the message; may be empty.
        content_type: the media type that the call promises; None accepts any.
    """
    if head.status != 200:
        return f"{by} answered with status {head.status}{call and ' to '}{call}"
    if head.content_coding != "identity":
        return f"{by} encoded its answer as {_quoted(head.content_coding)}, which was not asked for"
    if content_type is not None and head.media_type != content_type:
        return f"{by} answered with content type {_quoted(head.media_type)} instead of {content_type}"
    return ""


def _quoted(value: str) -> str:
    """A header's value for a message: escaped, so that a terminal does not obey it; only its length if it is long."""
    return repr(value) if len(value) <= _LONGEST_QUOTATION else f"<{len(value)} characters>"


def refusal(
    cls: type[E], message: str, head: ResponseHead | HttpResponse, body: bytes, key: bytes, limits: Limits
) -> E:
    """The error, with the fields that decide on another attempt, and without the key.

    Args:
        cls: the class of the error.
        message: the refused call and the server; the reason in a JSON body is appended.
        head: the status and the headers.
        body: the body, or its first `refusal_body_size` bytes.
        key: the key that was sent; some servers repeat it when they refuse it.
        limits: `Limits.refusal_body` bounds the `body_start` of the error.
    """
    is_whole = head.get("content-length") == str(len(body))
    body_start = redact_body(body, key, limits, is_whole=is_whole)
    reason = _reason_in(body_start, key)
    message, retry_after = redact_text(message, key), head.get("retry-after")
    return cls(
        f"{message}: {reason}" if reason else message,
        status=head.status,
        retry_after=None if retry_after is None else redact_text(retry_after, key),
        retry_after_seconds=retry_after_seconds(head),
        body_start=body_start,
        rate_limit=rate_limit(head),
    )


def _reason_in(body: bytes, key: bytes) -> str:
    """The string under `error` in a JSON body, in one line; empty if there is none."""
    try:
        reason = loads(body).get("error")
    except RemoteProtocolError:
        return ""
    if not isinstance(reason, str):
        return ""
    # A message contains no control character, which a terminal would obey.
    line = "".join(character if character.isprintable() else "\ufffd" for character in " ".join(reason.split()))
    # Escapes in the JSON may have concealed the key until now. JSON that can be parsed was not cut.
    return redact_text(line, key)[:_REASON_LENGTH]
