"""The vocabulary to JSON and back: what of a body or a record depends on the kind of message it is.

https://creator.poe.com/docs/server-bots/poe-protocol-specification
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeVar, cast

import attrs

from poeproto.vocabulary.controls import CONTROLS_API_VERSION, UnknownControl
from poeproto.vocabulary.errors import LocalProtocolError, RemoteProtocolError
from poeproto.vocabulary.events import (
    EVENT_CLASSES,
    LARGEST_INDEX,
    Done,
    Event,
    Json,
    Text,
    UnknownEvent,
    is_index,
)
from poeproto.vocabulary.field_types import check_types
from poeproto.vocabulary.redaction import SECRET_KEYS
from poeproto.vocabulary.requests import (
    QueryRequest,
    ReportErrorRequest,
    ReportFeedbackRequest,
    ReportReactionRequest,
    Request,
    SettingsRequest,
    UnknownRequest,
)
from poeproto.vocabulary.settings import SettingsResponse
from poeproto.wire.fast_codec import filler, reader, writer
from poeproto.wire.json import dump_string, dumps, encode, encode_strings, join_paths, loads
from poeproto.wire.sse import encode_sse
from poeproto.wire.structure import CONTROL_CLASSES, structure, unstructure

__all__ = [
    "decode_event",
    "decode_object",
    "decode_request",
    "decode_settings",
    "encode_event",
    "encode_request",
    "encode_settings",
]

T = TypeVar("T")

REQUEST_CLASSES: dict[str, type[Request]] = {
    "query": QueryRequest,
    "settings": SettingsRequest,
    "report_feedback": ReportFeedbackRequest,
    "report_reaction": ReportReactionRequest,
    "report_error": ReportErrorRequest,
}
_REQUEST_TYPES = {cls: name for name, cls in REQUEST_CLASSES.items()}

_CONTROLS = frozenset(CONTROL_CLASSES.values())
_EVENT_NAMES = {cls: name for name, cls in EVENT_CLASSES.items()}

_TEXT_RECORD = b'event: text\ndata: {"text":%b}\n\n'
_TEXT_BEGIN, _TEXT_END = _TEXT_RECORD.split(b"%b")
_TEXT_NEXT = _TEXT_END + _TEXT_BEGIN

# The specification's own sample query has these names.
_OLD_QUERY_KEYS = {"user": "user_id", "conversation": "conversation_id"}


def _filled(wire: dict[str, Any], cls: type[T]) -> T:
    return filler(cls)(wire) or structure(wire, cls)


# --- requests


def decode_request(body: bytes | str) -> Request:
    """The request in the body of a POST.

    Raises:
        RemoteProtocolError: when it is not a JSON object, has no `type`, or a field is missing or of another type than
            the protocol says; `path` names the field.
    """
    return _query_reader()(body) or _decode_any_request(body)


@functools.cache
def _query_reader() -> Callable[[bytes | str], QueryRequest | None]:
    return reader(QueryRequest, ("type", Literal["query"]), *((key, str, "") for key in SECRET_KEYS))


def _decode_any_request(body: bytes | str) -> Request:
    wire = loads(body)
    kind = wire.pop("type", None)
    if not isinstance(kind, str):
        raise RemoteProtocolError("missing, or not a string", path="type")
    for key in SECRET_KEYS:
        wire.pop(key, None)
    cls = REQUEST_CLASSES.get(kind)
    if cls is None:
        return structure({"type": kind, **wire}, UnknownRequest)
    if cls is QueryRequest:
        for old, new in _OLD_QUERY_KEYS.items():
            if old in wire and new not in wire:
                wire[new] = wire.pop(old)
    return _filled(wire, cls)


def encode_request(request: Request) -> bytes:
    """The body of the POST that carries this request.

    Raises:
        LocalProtocolError: when it is no request, or a value in it has no form in JSON (NaN, for instance).
    """
    if type(request) not in _REQUEST_TYPES and not isinstance(request, UnknownRequest):
        raise LocalProtocolError(f"{type(request).__name__} is no request of the protocol")
    wire = unstructure(request)
    for key in SECRET_KEYS:
        wire.pop(key, None)
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
    return structure(wire, SettingsResponse)


def encode_settings(settings: SettingsResponse) -> bytes:
    """The settings as the body of an answer, without what is unset.

    Raises:
        LocalProtocolError: when there are keys or controls that this version does not know, which Poe refuses, or a
            value has no form in JSON. The message names the place.
    """
    controls = settings.parameter_controls
    if controls is not None and controls.api_version != CONTROLS_API_VERSION:
        raise LocalProtocolError(
            f"parameter_controls.api_version: {controls.api_version!r} is not {CONTROLS_API_VERSION!r}"
        )
    for path, control in controls.walk() if controls is not None else ():
        if isinstance(control, UnknownControl):
            raise LocalProtocolError(
                f"parameter_controls.{path}.control: Poe knows no control of the kind {control.control!r}"
            )
        if type(control) not in _CONTROLS:
            raise LocalProtocolError(f"parameter_controls.{path}: {type(control).__name__} is no control of Poe's")
    for path, value in walk_values(settings):
        if value.extra:
            where = f"{path}: " if path else ""
            raise LocalProtocolError(f"{where}Poe refuses settings with unknown keys: {', '.join(sorted(value.extra))}")
    return dumps(unstructure(settings))


def walk_values(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """This value and all within it that have fields of their own, each with its path."""
    yield path, value
    for name in attrs.fields_dict(cast("type[Any]", type(value))):
        inner = getattr(value, name)
        place = join_paths(path, name)
        many = isinstance(inner, list)
        for number, item in enumerate(cast("list[Any]", inner) if many else [inner]):
            if attrs.has(cast("type[Any]", type(item))):
                yield from walk_values(item, f"{place}[{number}]" if many else place)


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
        if cls is Json:
            return Json(loads(data))
        value = reader(cls)(data)
        if value is not None and (value.index is None or is_index(value.index)):
            return value
        return _decode_any_event(cls, data)
    except RemoteProtocolError as exc:
        if cls is Done:
            return Done()
        raise RemoteProtocolError(f"unacceptable {event!r} event: {exc.args[0]}", path=exc.path) from exc


def _decode_any_event(cls: type[Event], data: str | bytes) -> Event:
    wire = loads(data)
    if wire.get("index") is None or is_index(wire["index"]):
        return _filled(wire, cls)
    # Not an index, so it is kept like any key that says nothing to us.
    kept = {"index": wire.pop("index")}
    value = cast("Text", _filled(wire, cls))
    return attrs.evolve(value, extra={**value.extra, **kept})


def event_payload(event: Event) -> tuple[str, Any]:
    """One event in the wire's terms: its name, and the JSON object that is its data.

    An `UnknownEvent`'s data is the string that came, which need not be JSON.

    Raises:
        LocalProtocolError: when it is no event, a field has the wrong type, or an index is beyond 2**53 - 1.
    """
    name = event.event if isinstance(event, UnknownEvent) else _EVENT_NAMES.get(type(event))
    if name is None:
        raise LocalProtocolError(f"{type(event).__name__} is not an event")
    try:
        check_types(event)
    except TypeError as exc:
        raise LocalProtocolError(str(exc)) from exc
    # An integer of any class will do: JSON has it as a plain one.
    if event.index is not None and not -LARGEST_INDEX <= event.index <= LARGEST_INDEX:
        raise LocalProtocolError(f"{type(event).__name__}.index is beyond {LARGEST_INDEX}")
    if isinstance(event, UnknownEvent | Json):
        return name, event.data
    return name, unstructure(event)


def encode_event(event: Event) -> bytes:
    """One event as a server-sent record.

    Raises:
        LocalProtocolError: when it is no event, a field has the wrong type, or a value has no form in JSON.
    """
    write = _writers().get(type(event))
    if write is not None:
        try:
            record = write(event)
        except UnicodeEncodeError:  # a lone surrogate
            record = None
        if record is not None:
            return record
    return _encode_any_event(event)


@functools.cache
def _writers() -> dict[type[Event], Callable[[Event], bytes | None]]:
    return {
        cls: writer(cls, b"event: %b\ndata: %%b\n\n" % name.encode(), whole="data" if cls is Json else None)
        for name, cls in EVENT_CLASSES.items()
    }


def _encode_any_event(event: Event) -> bytes:
    name, payload = event_payload(event)
    if isinstance(event, UnknownEvent):
        return encode_sse(name, event.data)
    return b"event: %b\ndata: %b\n\n" % (name.encode(), dumps(payload))


def encode_text(text: str) -> bytes:
    """The record of a `Text` that has no index and no keys of its own, the event nearly all others are."""
    try:
        return _TEXT_RECORD % encode(text)
    except UnicodeEncodeError:  # a lone surrogate, which goes the longer way
        return _TEXT_RECORD % dump_string(text)


def encode_texts(texts: list[str]) -> bytes:
    """The records of several such texts, one after the other: two steps for all of them."""
    try:
        lines = encode_strings(texts)
    except UnicodeEncodeError:
        return b"".join(map(encode_text, texts))
    return b"%b%b%b" % (_TEXT_BEGIN, lines[:-1].replace(b"\n", _TEXT_NEXT), _TEXT_END) if lines else b""


# --- what has no class


def decode_object(data: bytes | str) -> dict[str, Any]:
    """Any JSON object, by the rules that requests and events are read by; its size is the caller's to bound.

    It is for what the vocabulary has no class for: the payload of an `UnknownEvent`, or a call about a cost as those
    receive it who stand in for Poe.

    Raises:
        RemoteProtocolError: when it is not JSON (RFC 8259), not UTF-8, not an object, nested more than 200 levels deep,
            or holds a number that is not finite, or an integer of more than 4,300 digits.
    """
    return loads(data)
