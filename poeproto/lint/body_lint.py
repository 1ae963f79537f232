"""Lint of one JSON text: the body of a request, the settings of a bot, the data of an event.

https://creator.poe.com/docs/server-bots/poe-protocol-specification
"""

from __future__ import annotations

import re
from typing import Any, cast

import attrs

from poeproto.limits import Limits
from poeproto.lint.finding import Finding
from poeproto.lint.object_lint import load_strictly, object_findings
from poeproto.lint.stack_traces import has_stack_trace
from poeproto.vocabulary.controls import CONTROLS_API_VERSION
from poeproto.vocabulary.events import EVENT_CLASSES, Error, Json, is_index
from poeproto.vocabulary.field_types import as_integer
from poeproto.vocabulary.repr_redaction import SECRET_KEYS
from poeproto.vocabulary.requests import QueryRequest
from poeproto.vocabulary.settings import SettingsResponse
from poeproto.wire.codec import REQUEST_CLASSES
from poeproto.wire.json import json_type

__all__ = ["lint_event", "lint_request", "lint_settings"]

# Required by the specification; readers accept requests without them.
_EXPECTED = ("user_id", "conversation_id", "message_id")

# Fast path: nearly all events are a text without escapes, in which nothing can be wrong.
_PLAIN_TEXT = re.compile(r'\{"text": ?"[^"\\\x00-\x1f\ud800-\udfff]*"\}')


def lint_request(body: bytes | str, limits: Limits | None = None) -> list[Finding]:
    """The findings in the body of a request, in the order of their places."""
    limits = limits or Limits()
    wire, found = load_strictly(body, "request")
    if wire is None:
        return found
    kind = wire.pop("type", None)
    if not isinstance(kind, str):
        return [*found, Finding("type", "request.type", "missing, or not a string")]
    if "version" not in wire:
        found.append(Finding("version", "request.version", "missing"))
    for key in SECRET_KEYS:
        if wire.pop(key, None) is not None:
            message = "a key in the body; send it in the Authorization header"
            found.append(Finding(key, "request.key-in-body", message))
    cls = REQUEST_CLASSES.get(kind)
    if cls is None:
        return [*found, Finding("type", "request.known-type", f"unknown request type {kind!r}")]
    found += [
        Finding(name, "request.identifiers", "missing; the specification requires it")
        for name in _EXPECTED
        if name in attrs.fields_dict(cls) and name not in wire
    ]
    found += object_findings(wire, cls, "request")
    query = wire.get("query")
    if cls is QueryRequest and isinstance(query, list):
        number = len(cast("list[Any]", query))
        if number > limits.messages:
            message = f"{number} messages; Poe sends only the last {limits.messages}"
            found.append(Finding("query", "limits.messages", message))
        if not number:
            found.append(Finding("query", "request.empty-query", "no message to reply to"))
    return found


def lint_settings(body: bytes | str) -> list[Finding]:
    """The findings in the settings of a bot, as its server sends them, including the rules of parameter controls."""
    wire, found = load_strictly(body, "settings")
    if wire is None:
        return found
    if wire.pop("enable_multi_bot_chat_prompting", None) is not None:
        message = "deprecated; write enable_multi_entity_prompting"
        found.append(Finding("enable_multi_bot_chat_prompting", "settings.deprecated-fields", message))
    version = as_integer(wire.get("response_version"))
    if version is None or (type(version) is int and version < 2):
        if wire.get("parameter_controls"):
            message = "should be 2; Poe ignores parameter_controls otherwise"
            found.append(Finding("response_version", "controls.response-version", message))
        else:
            found.append(Finding("response_version", "settings.response-version", "should be 2"))
        wire.pop("response_version", None)
    controls = wire.get("parameter_controls")
    if isinstance(controls, dict):
        api_version = cast("dict[str, Any]", controls).get("api_version")
        if api_version is not None and api_version != CONTROLS_API_VERSION:
            message = f"expected {CONTROLS_API_VERSION!r}, got {api_version!r}"
            found.append(Finding("parameter_controls.api_version", "controls.api-version", message))
    return found + object_findings(wire, SettingsResponse, "settings")


def lint_event(event: str, data: str | bytes) -> list[Finding]:
    """The findings in one server-sent event by itself, whatever the order of events."""
    if event == "text" and isinstance(data, str) and _PLAIN_TEXT.fullmatch(data):
        return []
    cls = EVENT_CLASSES.get(event)
    if cls is None:
        return [Finding("", "event.names", f"unknown event {event!r}")]
    wire, found = load_strictly(data, "event")
    if wire is None:
        # Readers accept any data of `done`.
        return [attrs.evolve(each, rule="event.done-data") for each in found] if event == "done" else found
    index = as_integer(wire.get("index"))
    if index is not None and not is_index(index):
        del wire["index"]
        got = (
            f"{index} is outside ±(2^53 - 1)" if type(index) is int else f"expected an integer, got {json_type(index)}"
        )
        found.append(Finding("index", "event.index", got))
    if cls is Error and has_stack_trace(str(wire.get("text"))):
        found.append(Finding("text", "event.traceback", "a stack trace, which the user may see"))
    return found if cls is Json else found + object_findings(wire, cls, "event")
