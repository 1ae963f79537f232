"""When a call that failed is made again."""

from __future__ import annotations

import math

import attrs

from poeproto.vocabulary.errors import (
    BotError,
    ConnectFailed,
    IncompleteReply,
    PoeprotoError,
    RequestRefused,
    TransportError,
)
from poeproto.vocabulary.field_types import check_types

__all__ = ["RetryPolicy"]

# Nothing can have been done, so that a second try cannot cost twice (RFC 9110, 15.5.21 and 15.6.4; RFC 6585, 4).
_SAFE_TO_RETRY = frozenset({429, 503})


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """When a call is made again. A call costs money, so by default only where nothing can have been done.

    That is: no connection came about, or the status was 429 or 503. A deadline that passed while connecting is not
    among them, since the caller has waited as long as it wanted to.

    Attributes:
        attempts: how often the call is made at most, the first time included.
        delay: seconds between two attempts, where the peer asks for no other time.
        longest_wait: seconds; where ``Retry-After`` asks for more, or for a time that cannot be told, the refusal is
            raised instead.
        failures: try again after lost connections, deadlines, cut replies and other statuses of 500 and above, too.
        error_events: try again after an `error` event with `allow_retry`, too.
        restart: try again even after output of the call was delivered. A `ReplaceResponse` then goes back to the text
            before that call; after a `File`, `Data`, `Json` or `SuggestedReply` of it, which cannot be taken back,
            there is no other try all the same.

    Raises:
        TypeError: for a field of another type.
        ValueError: for no attempt at all, and for a time below zero.
    """

    attempts: int = 2
    delay: float = 0.5
    longest_wait: float = 60.0
    failures: bool = False
    error_events: bool = False
    restart: bool = False

    def __attrs_post_init__(self) -> None:
        check_types(self)
        if self.attempts < 1:
            raise ValueError(f"RetryPolicy.attempts must be at least 1, got {self.attempts!r}")
        if not 0 <= self.delay < math.inf:
            raise ValueError(f"RetryPolicy.delay must be a time of at least 0 seconds, got {self.delay!r}")
        if not self.longest_wait >= 0:  # infinity is for those who wait as long as they are asked to
            raise ValueError(f"RetryPolicy.longest_wait must be at least 0, got {self.longest_wait!r}")

    def wait_before_retry(self, error: PoeprotoError, attempt: int) -> float | None:
        """Seconds to wait after that failure of the attempt of that number, counted from 1; None to give up."""
        if attempt >= self.attempts or not self._covers(error):
            return None
        if not isinstance(error, RequestRefused) or error.retry_after is None:
            return self.delay
        asked = error.retry_after_seconds
        return asked if asked is not None and asked <= self.longest_wait else None

    def _covers(self, error: PoeprotoError) -> bool:
        match error:
            case ConnectFailed():
                return True
            case RequestRefused():
                return error.status in _SAFE_TO_RETRY or (self.failures and error.status >= 500)
            case TransportError() | IncompleteReply():
                return self.failures
            case BotError():
                return self.error_events and error.event.allow_retry
            case _:
                return False
