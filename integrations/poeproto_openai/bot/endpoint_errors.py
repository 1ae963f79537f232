"""Errors of an endpoint, in the shapes that endpoints give them, as `error` events of the reply.

OpenAI's shape is ``{"error": {"message", "type", "code", "param"}}``. Others send a string, an object without the
``error`` around it, or a status in the stream. The event's `raw_response` has the fields, and the data by which its
reader decides about a retry: the status, and ``Retry-After``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

import attrs

from poeproto import Error, RequestRefused

# Whether the same request may succeed later. Any other status of a client's error is about the request or the key.
_TEMPORARY = frozenset({408, 409, 425, 429})
_TOO_LONG = frozenset({"context_length_exceeded", "string_above_max_length", "request_too_large"})
_TOO_LONG_WORDS = ("context length", "context window", "prompt is too long", "maximum context")
_NO_RETRY = frozenset({"insufficient_quota", "invalid_api_key", "model_not_found"})
_FILTERED = frozenset({"content_filter", "content_policy_violation", "responsibleaipolicyviolation"})
_KEY_REFUSED = frozenset({401, 403})
# Texts for the user about statuses that only the operator of the bot can act on.
_FOR_OPERATOR = {
    401: "The model's endpoint refused the bot's API key (status 401). The operator of this bot has to correct it.",
    402: "The bot's account at the model's endpoint has no credit left (status 402).",
    403: "The model's endpoint does not allow the bot's API key this request (status 403).",
    404: "The model's endpoint has no such model or path (status 404). The operator of this bot has to correct it.",
}
_SHOWN_CHARACTERS = 500
_STATUS = re.compile("[45][0-9]{2}")


@attrs.frozen
class EndpointError:
    """The failure that an endpoint reports.

    Attributes:
        message: for people.
        type: the kind of the error, as OpenAI names it.
        code: the error itself, as OpenAI names it; some endpoints give a status here.
        param: which parameter of the request it is about.
    """

    message: str
    type: str | None = None
    code: str | None = None
    param: str | None = None


def read_error(body: Mapping[str, Any]) -> EndpointError | None:
    """The error in an object of an endpoint, in whichever shape; None if the object reports none."""
    error = body.get("error")
    if isinstance(error, Mapping) and error:
        return _from_fields(cast("Mapping[str, Any]", error))
    if isinstance(error, str) and error:
        return EndpointError(error, _string(body, "type"), _string(body, "code"))
    if error and not isinstance(error, Mapping):  # some send true, a number or a list
        return EndpointError(_string(body, "message") or str(error)[:_SHOWN_CHARACTERS])
    if "choices" in body:
        return None
    if body.get("object") == "error" or body.get("type") == "error" or ("message" in body and "code" in body):
        return _from_fields(body)
    if "detail" in body:  # FastAPI's form
        return EndpointError(_string(body, "detail") or str(body["detail"])[:_SHOWN_CHARACTERS])
    errors = body.get("errors")
    return EndpointError(str(errors)[:_SHOWN_CHARACTERS]) if errors else None


def _from_fields(fields: Mapping[str, Any]) -> EndpointError:
    message = _string(fields, "message") or _string(fields, "detail") or _string(fields, "msg")
    kind = _string(fields, "type") or _string(fields, "status")
    return EndpointError(message or "without a message", kind, _string(fields, "code"), _string(fields, "param"))


def _string(fields: Mapping[str, Any], key: str) -> str | None:
    value = fields.get(key)
    if isinstance(value, str):
        return value or None
    return str(value) if type(value) is int else None


def failure(text: str, *, allow_retry: bool = True, **details: object) -> Error:
    """The `error` event for a failure that the endpoint does not describe itself.

    Args:
        text: for the user.
        allow_retry: whether the same request may succeed later.
        details: the fields of `raw_response`; those that are None are left out.
    """
    raw = {name: value for name, value in details.items() if value is not None}
    return Error(allow_retry=allow_retry, text=text, raw_response=raw or None)


def error_event(error: EndpointError, status: int | None = None) -> Error:
    """The `error` event for an error that the endpoint reports.

    Args:
        error: the error as received.
        status: the status of the response; None within a stream, where a `code` of three digits counts as one.
    """
    if status is None and error.code is not None and _STATUS.fullmatch(error.code):
        status = int(error.code)
    names = {name.lower() for name in (error.code, error.type) if name is not None}
    error_type = None
    if names & _TOO_LONG or status == 413 or any(words in error.message.lower() for words in _TOO_LONG_WORDS):
        error_type = "user_message_too_long"
    elif names & _FILTERED:
        error_type = "user_caused_error"
    allow_retry = error_type is None and not names & _NO_RETRY and _is_temporary(status)
    fields = {name: value for name, value in attrs.asdict(error).items() if value is not None}
    text = f"The model's endpoint reported an error: {error.message[:_SHOWN_CHARACTERS]}"
    if status in _KEY_REFUSED or "invalid_api_key" in names:
        # The messages of some endpoints quote a part of the key.
        fields.pop("message")
        text = _FOR_OPERATOR.get(status or 401, _FOR_OPERATOR[401])
    elif status in _FOR_OPERATOR:
        text = _FOR_OPERATOR[status]
    raw = {"error": fields} if status is None else {"status": status, "error": fields}
    return Error(allow_retry=allow_retry, text=text, raw_response=raw, error_type=error_type)


def _is_temporary(status: int | None) -> bool:
    return status is None or status >= 500 or status in _TEMPORARY


def refusal_event(refused: RequestRefused, error: EndpointError | None) -> Error:
    """The `error` event for a response with another status than 200.

    Args:
        refused: the status, and ``Retry-After``.
        error: the error in the body, if that can be read.
    """
    status = refused.status
    if error is None:
        text = _FOR_OPERATOR.get(status, f"The model's endpoint answered with status {status}.")
        kind = "user_message_too_long" if status == 413 else None
        event = Error(allow_retry=_is_temporary(status), text=text, raw_response={"status": status}, error_type=kind)
    else:
        event = error_event(error, status)
    raw = dict(event.raw_response)
    if refused.retry_after is not None:
        raw["retry_after"] = refused.retry_after
        seconds = refused.retry_after_seconds
        if seconds is not None:
            raw["retry_after_seconds"] = seconds
            text = f"{event.text} It asks to wait {seconds:g} seconds before a retry."
            event = attrs.evolve(event, text=text) if event.allow_retry else event
    return attrs.evolve(event, raw_response=raw)
