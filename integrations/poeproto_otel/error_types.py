"""The values of `error.type`, and the names of methods: few, and none that a peer or a bot has made up."""

from __future__ import annotations

from poeproto_runtime import Outcome

# RFC 9110 and RFC 5789, and QUERY, as the HTTP conventions list them.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"})
# Error types of Poe's specification. A bot may send any other text.
_TYPES_OF_ERROR_EVENTS = frozenset(
    {"user_message_too_long", "insufficient_fund", "user_caused_error", "privacy_authorization_error"}
)


def known_method(method: str) -> str:
    """The method; `_OTHER` for one that HTTP does not know."""
    return method if method in _METHODS else "_OTHER"


def error_type_of(outcome: Outcome | None, error_event_type: str | None) -> str:
    """The `error.type` of a request or call that failed without another status than 200.

    Args:
        outcome: how it ended.
        error_event_type: the type of the `error` event that ended the reply, if it has one.
    """
    if error_event_type in _TYPES_OF_ERROR_EVENTS:
        return str(error_event_type)
    return "_OTHER" if outcome is None else outcome.value
