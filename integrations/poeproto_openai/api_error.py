"""Errors in OpenAI's shape: an HTTP status and an ``{"error": ...}`` body, or the same object within a stream.

OpenAI's clients make an exception class of the status: 400 BadRequestError, 401 AuthenticationError,
403 PermissionDeniedError, 404 NotFoundError, 429 RateLimitError, from 500 InternalServerError, else APIStatusError.
They repeat a request after 408, 409, 429 and from 500 by themselves, unless ``x-should-retry: false`` says that the
request had an effect. A query costs money, so that is said of every error but those where nothing was done.

https://platform.openai.com/docs/guides/error-codes
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, TypeGuard, cast

from poeproto import (
    BotError,
    ConnectFailed,
    DeadlineExceeded,
    Error,
    HttpResponse,
    InsufficientFunds,
    LimitExceeded,
    LocalProtocolError,
    PoeprotoError,
    RequestRefused,
)
from poeproto_openai.json_bytes import json_bytes

__all__ = [
    "ApiError",
    "error_of_event",
    "error_of_exception",
    "server_stopping",
    "time_limit_passed",
    "without_secrets",
]

INVALID_REQUEST = "invalid_request_error"

# Seconds, or a date (RFC 9110, 10.2.3).
_RETRY_AFTER = re.compile("[A-Za-z0-9,.: +-]{1,64}")
_NOTHING_WAS_DONE = frozenset({429, 503, 529})
# The types of Poe's `error` events, as the status, type and code of OpenAI's.
_EVENT_TYPES = {
    "user_message_too_long": (400, INVALID_REQUEST, "context_length_exceeded"),
    "user_caused_error": (400, INVALID_REQUEST, "user_caused_error"),
    "insufficient_fund": (402, "insufficient_quota", "insufficient_quota"),
    "privacy_authorization_error": (403, "permission_error", "privacy_authorization_error"),
}
# The status sent for a bot's refusal. Any other status means that the gateway and the bot do not agree: 502.
_REFUSALS = {
    402: (402, "insufficient_quota", "insufficient_quota"),
    408: (504, "server_error", "upstream_timeout"),
    413: (413, INVALID_REQUEST, "request_too_large"),
    429: (429, "rate_limit_error", "rate_limit_exceeded"),
    503: (503, "server_error", "overloaded"),
    504: (504, "server_error", "upstream_timeout"),
    529: (503, "server_error", "overloaded"),
}
# The same for a bot on Poe, which is called with the caller's key.
_REFUSALS_OF_POE = {
    401: (401, "authentication_error", "invalid_api_key"),
    403: (403, "permission_error", "permission_denied"),
    404: (404, INVALID_REQUEST, "model_not_found"),
}


class ApiError(PoeprotoError):
    """An error that the caller of an API of OpenAI's gets.

    Attributes:
        status: the HTTP status.
        message: the problem, for people to read.
        type: OpenAI's class of the error, such as "invalid_request_error".
        code: OpenAI's name of the error, if it has one.
        param: the path of the field of the request that is wrong, if one is.
        headers: further headers of the response, such as ``Retry-After``.
        nothing_done: whether the request had no effect, so that a client may repeat it by itself.
        allow_retry: whether Poe would let the user retry; None if that is not known.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        type: str = INVALID_REQUEST,
        code: str | None = None,
        param: str | None = None,
        headers: Iterable[tuple[str, str]] = (),
        nothing_done: bool = False,
        allow_retry: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.type = type
        self.code = code
        self.param = param
        self.headers = list(headers)
        self.nothing_done = nothing_done
        self.allow_retry = allow_retry

    def as_dict(self) -> dict[str, Any]:
        """The object under the key ``error``."""
        wire: dict[str, Any] = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        if self.allow_retry is not None:
            wire["poe"] = {"allow_retry": self.allow_retry}
        return wire

    def response(self, headers: Iterable[tuple[str, str]] = ()) -> HttpResponse:
        """The response, with these headers and its own."""
        sent = [*headers, *self.headers]
        if not self.nothing_done:
            sent.append(("x-should-retry", "false"))
        return HttpResponse.of(self.status, "application/json", json_bytes({"error": self.as_dict()}), sent)


def error_of_event(event: Error) -> ApiError:
    """The OpenAI error for an `error` event.

    A bot whose own model refused the request, as `OpenAIBot` says it in `raw_response`, keeps status and Retry-After.
    """
    response: object = event.raw_response
    raw = cast("dict[str, Any]", response) if isinstance(response, dict) else {}
    refused = raw.get("status")
    if event.error_type is None and event.allow_retry and type(refused) is int and refused in _NOTHING_WAS_DONE:
        status, kind, code = _REFUSALS[refused]
        retry_after = raw.get("retry_after")
        return ApiError(
            event.text or "The bot's model refused the request.",
            status=status,
            type=kind,
            code=code,
            headers=_retry_after(retry_after),
            nothing_done=True,
            allow_retry=True,
        )
    status, kind, code = _EVENT_TYPES.get(
        event.error_type or "", (500, "server_error", event.error_type or "bot_error")
    )
    message = event.text or "The bot ended its reply with an error, without a text."
    return ApiError(message, status=status, type=kind, code=code, allow_retry=event.allow_retry)


def server_stopping(message: str) -> ApiError:
    """The error of a reply that ends because the gateway itself stops. Another process may answer the same request."""
    return ApiError(
        message, status=503, type="server_error", code="server_stopping", nothing_done=True, allow_retry=True
    )


def time_limit_passed(message: str) -> ApiError:
    """The error for a reply that takes longer than its time limit."""
    return ApiError(message, status=504, type="server_error", code="reply_timeout", allow_retry=True)


def _is_header_value(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and _RETRY_AFTER.fullmatch(value) is not None


def _retry_after(value: object) -> list[tuple[str, str]]:
    """The header, unless the value of the bot server must not be repeated."""
    return [("retry-after", value)] if _is_header_value(value) else []


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """The text, should a peer have quoted a key in it."""
    for secret in secrets:
        text = text.replace(secret, "[key]")
    return text


def error_of_exception(exc: PoeprotoError, *, on_poe: bool, secrets: Iterable[str] = ()) -> ApiError:
    """The OpenAI error for a failed call to a bot.

    Args:
        exc: the failure.
        on_poe: whether the call went to Poe with the caller's key, so that a refusal is the caller's.
        secrets: keys that must not be repeated, should the peer have quoted them.
    """
    if isinstance(exc, ApiError):
        return exc
    if isinstance(exc, BotError):
        return error_of_event(exc.event)
    message = without_secrets(str(exc), secrets)
    if isinstance(exc, RequestRefused):
        known = (_REFUSALS | _REFUSALS_OF_POE) if on_poe else _REFUSALS
        status, kind, code = known.get(exc.status, (502, "server_error", "upstream_refused"))
        return ApiError(
            f"the bot refused the query: {message}",
            status=status,
            type=kind,
            code=code,
            headers=_retry_after(exc.retry_after),
            nothing_done=exc.status in _NOTHING_WAS_DONE,
        )
    if isinstance(exc, InsufficientFunds):
        return ApiError(message, status=402, type="insufficient_quota", code="insufficient_quota")
    if isinstance(exc, ConnectFailed):
        code, status = "upstream_unreachable", 502
        return ApiError(
            f"the bot cannot be reached: {message}", status=status, type="server_error", code=code, nothing_done=True
        )
    if isinstance(exc, DeadlineExceeded):
        return ApiError(f"the bot took too long: {message}", status=504, type="server_error", code="upstream_timeout")
    if isinstance(exc, LimitExceeded):
        code = "upstream_too_large"
    else:
        code = "upstream_failed" if isinstance(exc, LocalProtocolError) else "upstream_incomplete"
    return ApiError(f"the bot's reply failed: {message}", status=502, type="server_error", code=code)
