"""The vocabulary to JSON and back; the only place that knows msgspec.convert and cattrs.

Reading is two-phase. msgspec converts the parsed object straight into the class; if that succeeds and no key was
unknown (it drops those in silence), the value is ready. Otherwise the object is brought into the form it should have
had (a null where a default stands is dropped, unknown keys move to `extra`) and converted once more, so that both
paths share one set of type rules and one form of error. cattrs does the writing, from the same attrs classes.
"""

from __future__ import annotations

import functools
import re
import types
import typing
from collections.abc import Callable
from typing import Any, TypeVar, cast

import attrs
import cattrs
import msgspec
from cattrs.gen import make_dict_unstructure_fn, override

from poeproto._json import dump_string, dumps, loads
from poeproto._typecheck import check_types
from poeproto.errors import LocalProtocolError, RemoteProtocolError
from poeproto.events import EVENT_CLASSES, Done, Event, Json, ReplaceResponse, SuggestedReply, Text, UnknownEvent
from poeproto.requests import (
    QueryRequest,
    ReportErrorRequest,
    ReportFeedbackRequest,
    ReportReactionRequest,
    Request,
    SettingsRequest,
    UnknownRequest,
)
from poeproto.settings import SettingsResponse
from poeproto.sse import encode_sse

T = TypeVar("T")

_REQUEST_CLASSES: dict[str, type[Request]] = {
    "query": QueryRequest,
    "settings": SettingsRequest,
    "report_feedback": ReportFeedbackRequest,
    "report_reaction": ReportReactionRequest,
    "report_error": ReportErrorRequest,
}
_REQUEST_TYPES = {cls: name for name, cls in _REQUEST_CLASSES.items()}

_EVENT_NAMES = {cls: name for name, cls in EVENT_CLASSES.items()}

# Everything of a text record but the JSON string itself.
_TEXT_PREFIXES: dict[type[Event], bytes] = {
    cls: b'event: %b\ndata: {"text":' % _EVENT_NAMES[cls].encode() for cls in (Text, ReplaceResponse, SuggestedReply)
}

_TEXT_SUFFIX = b"}\n\n"

# fastapi_poe's clients put keys into bodies; they are neither kept nor passed on.
_SECRET_KEYS = ("access_key", "api_key")

# The specification's own sample query has these names.
_OLD_QUERY_KEYS = {"user": "user_id", "conversation": "conversation_id"}


# --- requests


def decode_request(body: bytes | str) -> Request:
    """The request in the body of a POST.

    Raises:
        RemoteProtocolError: when it is not a JSON object, has no `type`, or a field is missing or of another type than
            the protocol says; `path` names the field.
    """
    wire = loads(body)
    kind = wire.pop("type", None)
    if not isinstance(kind, str):
        raise RemoteProtocolError("missing, or not a string", path="type")
    for key in _SECRET_KEYS:
        wire.pop(key, None)
    cls = _REQUEST_CLASSES.get(kind)
    if cls is None:
        return _structure({"type": kind, **wire}, UnknownRequest)
    if cls is QueryRequest:
        for old, new in _OLD_QUERY_KEYS.items():
            if old in wire and new not in wire:
                wire[new] = wire.pop(old)
    return _structure(wire, cls)


def encode_request(request: Request) -> bytes:
    """The body of the POST that carries this request.

    Raises:
        LocalProtocolError: when a value in it has no form in JSON, a non-finite number for instance.
    """
    wire = _unstructure(request)
    if not isinstance(request, UnknownRequest):
        wire.pop("type", None)  # one in `extra` would make it another request
        wire = {"version": wire.pop("version"), "type": _REQUEST_TYPES[type(request)], **wire}
    return dumps(wire)


# --- settings


def decode_settings(body: bytes | str) -> SettingsResponse:
    """The settings in a bot server's answer; old spellings are understood.

    Raises:
        RemoteProtocolError: when it is not a JSON object or a field has another type than the protocol says.
    """
    wire = loads(body)
    if wire.get("response_version") is None:
        wire["response_version"] = 0
    old = wire.pop("enable_multi_bot_chat_prompting", None)
    if wire.get("enable_multi_entity_prompting") is None and old is not None:
        wire["enable_multi_entity_prompting"] = old
    return _structure(wire, SettingsResponse)


def encode_settings(settings: SettingsResponse) -> bytes:
    """The settings as the body of an answer, without what is unset.

    Raises:
        LocalProtocolError: when there are extra keys, which Poe refuses, or a value has no form in JSON.
    """
    if settings.extra:
        raise LocalProtocolError(f"Poe refuses settings with unknown keys: {', '.join(sorted(settings.extra))}")
    return dumps(_unstructure(settings))


# --- events


def decode_event(event: str, data: str | bytes) -> Event:
    """The event in one server-sent record.

    Args:
        event: the record's event name.
        data: its payload. It is parsed only for the names this version knows, and must be sound but for `done`, whose
            payload says nothing.

    Raises:
        RemoteProtocolError: when the payload is not a JSON object, or a field is missing or of the wrong type.
    """
    cls = EVENT_CLASSES.get(event)
    if cls is None:
        return UnknownEvent(event, data if isinstance(data, str) else data.decode("utf-8", "replace"))
    try:
        wire = loads(data)
        if cls is Text and len(wire) == 1 and type(text := wire.get("text")) is str:
            return Text(text)  # nearly every event there is
        if cls is Json:
            return Json(wire)
        if wire.get("index") is None or type(wire["index"]) is int:
            return _structure(wire, cls)
        # Not an index, so it is kept like any key that says nothing to us.
        kept = {"index": wire.pop("index")}
        value = cast("Text", _structure(wire, cls))
        return attrs.evolve(value, extra={**value.extra, **kept})
    except RemoteProtocolError as exc:
        if cls is Done:
            return Done()
        raise RemoteProtocolError(f"unacceptable {event!r} event: {exc.args[0]}", path=exc.path) from exc


def event_payload(event: Event) -> tuple[str, Any]:
    """One event in the wire's terms: its name, and the JSON object that is its data.

    An `UnknownEvent`'s data is the string that came, which need not be JSON.

    Raises:
        LocalProtocolError: when it is no event, or a field has the wrong type.
    """
    try:
        check_types(event)
    except (TypeError, attrs.exceptions.NotAnAttrsClassError) as exc:
        raise LocalProtocolError(str(exc)) from exc
    if isinstance(event, UnknownEvent):
        return event.event, event.data
    name = _EVENT_NAMES.get(type(event))
    if name is None:
        raise LocalProtocolError(f"{type(event).__name__} is not an event")
    return name, event.data if isinstance(event, Json) else _unstructure(event)


def encode_event(event: Event) -> bytes:
    """One event as a server-sent record.

    Raises:
        LocalProtocolError: when it is no event, a field has the wrong type, or a value has no form in JSON.
    """
    cls = type(event)
    prefix = _TEXT_PREFIXES.get(cls)
    if prefix is not None:
        plain: Any = event
        if plain.index is None and not plain.extra and type(plain.text) is str:
            return prefix + dump_string(plain.text) + _TEXT_SUFFIX
    name, payload = event_payload(event)
    if isinstance(event, UnknownEvent):
        return encode_sse(name, event.data)
    return b"event: %b\ndata: %b\n\n" % (name.encode(), dumps(payload))


# --- between JSON objects and classes


@attrs.frozen
class _Shape:
    """What the tolerant path must know of a class."""

    known: frozenset[str]
    defaulted: frozenset[str]
    nested: tuple[tuple[str, type, bool], ...]  # field, class of its values, whether it is a list of them


@functools.cache
def _shape(cls: type) -> _Shape:
    fields = [field for field in attrs.fields(cls) if field.name != "extra"]
    hints = typing.get_type_hints(cls)
    nested: list[tuple[str, type, bool]] = []
    for field in fields:
        for option in _options(hints[field.name]):
            many = typing.get_origin(option) is list
            inner = typing.get_args(option)[0] if many else option
            if attrs.has(inner):
                nested.append((field.name, inner, many))
    return _Shape(
        known=frozenset(field.name for field in fields),
        defaulted=frozenset(field.name for field in fields if field.default is not attrs.NOTHING),
        nested=tuple(nested),
    )


def _options(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)


def _structure(wire: dict[str, Any], cls: type[T]) -> T:
    try:
        return _convert(wire, cls)
    except RecursionError as exc:
        # Messages refer to messages, and walking them takes more of the stack than parsing them took.
        raise RemoteProtocolError("nested too deeply") from exc


def _convert(wire: dict[str, Any], cls: type[T]) -> T:
    try:
        value = msgspec.convert(wire, cls)
        if _all_known(wire, cls):
            return value
    except (msgspec.ValidationError, UnicodeEncodeError):
        pass  # a null, a key with a lone surrogate, or a fault: the second phase tells which
    try:
        return msgspec.convert(_normalised(wire, cls), cls)
    except msgspec.ValidationError as exc:
        message, path = _message_and_path(str(exc))
        raise RemoteProtocolError(message, path=path) from exc


def _all_known(wire: dict[str, Any], cls: type) -> bool:
    shape = _shape(cls)
    if not wire.keys() <= shape.known:
        return False
    for name, inner, many in shape.nested:
        value = wire.get(name)
        if value and not all(_all_known(item, inner) for item in (value if many else (value,))):
            return False
    return True


def _normalised(wire: dict[str, Any], cls: type) -> dict[str, Any]:
    """The object as msgspec takes it: nulls that mean a default left out, unknown keys under `extra`."""
    shape = _shape(cls)
    known = {
        key: value
        for key, value in wire.items()
        if key in shape.known and not (value is None and key in shape.defaulted)
    }
    for name, inner, many in shape.nested:
        value = known.get(name)
        if many and isinstance(value, list):
            known[name] = [_normalised_item(item, inner) for item in cast("list[Any]", value)]
        elif not many and name in known:
            known[name] = _normalised_item(value, inner)
    extra = {key: value for key, value in wire.items() if key not in shape.known}
    return {**known, "extra": extra} if extra else known


def _normalised_item(item: Any, cls: type) -> Any:
    return _normalised(cast("dict[str, Any]", item), cls) if isinstance(item, dict) else item


# msgspec puts the place at the end: "Expected `str`, got `int` - at `$.query[0].role`".
_PLACE = re.compile(r" - at `(?:key in )?\$\.?(.*)`$", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(\w+)`")


def _message_and_path(text: str) -> tuple[str, str]:
    place = _PLACE.search(text)
    path = place[1] if place else ""
    message = _PLACE.sub("", text).replace("`", "")
    if missing := _MISSING.match(text):
        path = f"{path}.{missing[1]}" if path else missing[1]
        message = "missing"
    return message[:1].lower() + message[1:], path


_converter = cattrs.Converter()


def _unstructure_factory(cls: type[Any]) -> Callable[[Any], dict[str, Any]]:
    # A field that is None by default says "unset", and the protocol wants the unset left out.
    unset: dict[str, Any] = {
        field.name: override(omit_if_default=True) for field in attrs.fields(cls) if field.default is None
    }
    known = make_dict_unstructure_fn(cls, _converter, **unset, extra=override(omit=True))

    def unstructure(value: Any) -> dict[str, Any]:
        wire = known(value)
        for key, item in value.extra.items():
            wire.setdefault(key, item)
        return wire

    return unstructure


_converter.register_unstructure_hook_factory(attrs.has, _unstructure_factory)


def _unstructure(value: Any) -> dict[str, Any]:
    try:
        return _converter.unstructure(value)
    except RecursionError as exc:
        raise LocalProtocolError("cannot be written as JSON: nested too deeply") from exc
