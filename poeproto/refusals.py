"""The error that stands for an answer of another status than 200, or of another content type than promised."""

from __future__ import annotations

from typing import TypeVar

from poeproto.errors import RequestRefused
from poeproto.http import HttpResponse, ResponseHead
from poeproto.limits import Limits
from poeproto.rate_limits import rate_limit

E = TypeVar("E", bound=RequestRefused)

# Poe's keys have 32 characters. A shorter one may be a word, and hiding that would spoil what the server says.
_SHORTEST_SECRET = 16


def refusal(
    cls: type[E], message: str, head: ResponseHead | HttpResponse, body: bytes, key: bytes, limits: Limits
) -> E:
    """The error, with what its reader needs to decide on another try, and without the key.

    Args:
        cls: its class.
        message: what was refused, and by whom.
        head: the status and the headers.
        body: the body, or its start.
        key: what some servers repeat when they refuse it.
        limits: `Limits.refusal_body` says how much of the body is kept.
    """
    if len(key) >= _SHORTEST_SECRET:
        body = body.replace(key, b"<hidden>")
    return cls(
        message,
        status=head.status,
        retry_after=head.get("retry-after"),
        body_start=body[: limits.refusal_body],
        rate_limit=rate_limit(head),
    )
