"""What comes of a call of another bot that a script answers."""

# The arguments of both libraries, many of them wrong, in lambdas without annotations.
# pyright: basic, reportArgumentType=false, reportInvalidTypeForm=false

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from .bots import a_query
from .cases import Side
from .peer import DONE, ordered, record, response, stream

TEXT = record("text", {"text": "a"})
HELLO = stream(TEXT, record("text", {"text": "b"}), DONE)
RETRYABLE = stream(record("error", {"allow_retry": True, "text": "busy"}))
FINAL = stream(record("error", {"allow_retry": False, "text": "no"}))
REFUSED = response(500, "oh", "text/plain")
WITH_TEXT = stream(TEXT, record("error", {"allow_retry": True, "text": "late"}))

Run = Callable[..., Any]


async def streamed(side: Side, *responses: bytes, name: str = "stream_request", **options: Any) -> Any:
    """The results of a call: the messages, the error, the errors reported, the requests, the warnings."""
    base_url = side.serve(*responses)
    errors: list[str] = []

    def on_error(exc: Exception, message: str) -> None:
        errors.append(kind_of(side, exc))

    request = options.pop("request", None) or a_query(side)
    bot_name = options.pop("bot_name", "Cat")
    given = {"api_key": "k", "on_error": on_error, "retry_sleep_time": 0, "base_url": base_url, **options}
    given = {key: value for key, value in given.items() if value is not LEFT_OUT}
    messages: list[Any] = []
    error: Any = None
    try:
        async for message in getattr(side.client, name)(request, bot_name, **given):
            messages.append(of_message(message))
    except Exception as exc:  # noqa: BLE001  # any exception is an outcome
        error = kind_of(side, exc), said(exc)
    return {"messages": messages, "error": error, "reported": errors, "calls": queries(side)}


LEFT_OUT: Any = object()


def kind_of(side: Side, exc: Exception) -> str:
    """The type of an exception; those of the HTTP libraries are one."""
    home = type(exc).__module__.partition(".")[0]
    is_http = home in ("httpx", "httpx_sse", "poeproto") and not side.client.BotError.__subclasscheck__(type(exc))
    return "an HTTP error" if is_http else type(exc).__name__


def of_message(message: Any) -> Any:
    """A message with all its fields; the JSON in them decoded."""
    fields = {**message.__dict__}
    raw = fields["raw_response"]
    if isinstance(raw, dict) and isinstance(raw.get("text"), str):
        fields["raw_response"] = ordered({**raw, "text": json.loads(raw["text"])})
    elif isinstance(raw, dict):
        fields["raw_response"] = ordered(raw)
    fields["full_prompt"] = fields["full_prompt"] is not None
    return type(message).__name__, fields, sorted(message.model_fields_set)


def said(exc: Exception) -> Any:
    """The text of an error event; other errors differ in wording between the libraries."""
    try:
        return {"allow_retry": True, **json.loads(str(exc))}
    except ValueError:
        return None


def queries(side: Side) -> list[Any]:
    """The requests, except reports of errors."""
    found: list[Any] = []
    for (method, path, _, _), sent in zip(side.exchange.requests, side.exchange.bodies(), strict=True):
        if not (isinstance(sent, dict) and sent["type"] == "report_error"):
            found.append((method, path))
    return found


def reports(side: Side) -> list[Any]:
    return [sent["type"] for sent in side.exchange.bodies() if sent["type"] != "query"]


async def sent(side: Side, **options: Any) -> Any:
    """The body of the query that is sent, without the keys."""
    result = await streamed(side, HELLO, **options)
    bodies = [
        {key: value for key, value in sorted(body.items()) if key not in ("access_key", "api_key")}
        for body in side.exchange.bodies()
    ]
    return result["error"], [without_null(body) for body in bodies]


def without_null(value: Any) -> Any:
    """JSON without null keys, sorted."""
    if isinstance(value, dict):
        return {key: without_null(item) for key, item in sorted(value.items()) if item is not None}
    return [without_null(item) for item in value] if isinstance(value, list) else value


async def headers_sent(side: Side, *names: str, **options: Any) -> Any:
    await streamed(side, HELLO, **options)
    return side.exchange.headers(*names)
