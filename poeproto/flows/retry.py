"""The retry policy: when a failed call is made again, and after how long."""

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

# Statuses that are safe to retry: the peer has done nothing, so a retry cannot cost twice (RFC 9110, 15.6.4; RFC 6585,
# 4).
_SAFE_TO_RETRY = frozenset({429, 503})


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """When a call is retried. A call may cost money, so by default only if the peer cannot have done anything.

    That is: no connection was made, or the status is 429 or 503. A timeout while connecting is not retried, since the
    caller has already waited as long as it wanted to.

    Attributes:
        attempts: the maximum number of attempts, including the first.
        delay: seconds between two attempts, unless the peer sends ``Retry-After``.
        longest_wait: seconds; if ``Retry-After`` is longer or cannot be read, the error is raised instead.
        failures: also retry after lost connections, timeouts, incomplete replies, and other statuses from 500.
        error_events: also retry after an `error` event with `allow_retry`.
        restart: also retry after events of the call were delivered. A `ReplaceResponse` then restores the text before
            the call. After a `File`, `Data`, `Json` or `SuggestedReply`, which cannot be undone, nothing is retried.

    Raises:
        TypeError: for a field of another type.
        ValueError: for less than one attempt, and for a negative time.
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
        if not self.longest_wait >= 0:  # infinity is allowed
            raise ValueError(f"RetryPolicy.longest_wait must be at least 0, got {self.longest_wait!r}")

    def wait_before_retry(self, error: PoeprotoError, attempt: int) -> float | None:
        """Seconds to wait after a failed attempt, numbered from 1; None if the call is not retried."""
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
