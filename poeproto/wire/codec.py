"""Codec: requests, settings and events to bytes and back, one value at a time and without state.

Here are the rules that depend on the kind of message: its `type` or event name, its old spellings, its secrets. Their
common parts are `wire.json` (bytes to dict) and `wire.structure` (dict to value). Most functions here first take the
fast path of `wire.fast_codec`, and the general path where it returns None.

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
from poeproto.vocabulary.field_types import as_integer, check_types
from poeproto.vocabulary.repr_redaction import SECRET_KEYS
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
from poeproto.wire.fast_codec import fast_decoder, fast_encoder, fast_structurer
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

# The sample query in the specification still has these names.
_OLD_QUERY_KEYS = {"user": "user_id", "conversation": "conversation_id"}


def _structured(wire: dict[str, Any], cls: type[T]) -> T:
    """The value in a parsed object: by the fast path where it handles the object, else by the general path."""
    return fast_structurer(cls)(wire) or structure(wire, cls)


# --- requests


def decode_request(body: bytes | str) -> Request:
    """The request in the body of a POST.

    Raises:
        RemoteProtocolError: if it is not a JSON object, has no `type`, or a field is missing or has the wrong type;
            `path` names the field.
    """
    return _query_decoder()(body) or _decode_any_request(body)


@functools.cache
def _query_decoder() -> Callable[[bytes | str], QueryRequest | None]:
    return fast_decoder(QueryRequest, ("type", Literal["query"]), *((key, str | None, None) for key in SECRET_KEYS))


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
    return _structured(wire, cls)


def encode_request(request: Request) -> bytes:
    """The body of the POST that carries this request.

    Raises:
        LocalProtocolError: if it is not a request, or a value in it cannot be encoded as JSON (NaN, for instance).
    """
    if type(request) not in _REQUEST_TYPES and not isinstance(request, UnknownRequest):
        raise LocalProtocolError(
            f"{type(request).__name__} is not a request of the protocol; use a class such as QueryRequest"
        )
    wire = unstructure(request)
    for key in SECRET_KEYS:
        wire.pop(key, None)
    if not isinstance(request, UnknownRequest):
        wire.pop("type", None)  # a `type` in `extra` would turn it into another request
        wire = {"version": wire.pop("version"), "type": _REQUEST_TYPES[type(request)], **wire}
    return dumps(wire)


# --- settings


def decode_settings(body: bytes | str) -> SettingsResponse:
    """The settings in the response of a bot server; old spellings are understood.

    Raises:
        RemoteProtocolError: if it is not a JSON object, or a field has the wrong type.
    """
    wire = loads(body)
    if wire.get("response_version") is None:
        wire["response_version"] = 0
    old = wire.pop("enable_multi_bot_chat_prompting", None)
    if wire.get("enable_multi_entity_prompting") is None and old is not None:
        wire["enable_multi_entity_prompting"] = old
    return structure(wire, SettingsResponse)


def encode_settings(settings: SettingsResponse) -> bytes:
    """The settings as the body of a response. Unset fields are left out.

    Settings that another server sent may hold more than can be sent; `settings_payload` shows and forwards those.

    Raises:
        LocalProtocolError: if there is a key or a control that this version does not know, since Poe refuses those; or
            if a value cannot be encoded as JSON. The message names the place.
    """
    controls = settings.parameter_controls
    if controls is not None and controls.api_version != CONTROLS_API_VERSION:
        raise LocalProtocolError(
            f"parameter_controls.api_version: {controls.api_version!r} is not {CONTROLS_API_VERSION!r}"
        )
    for path, control in controls.walk() if controls is not None else ():
        if isinstance(control, UnknownControl):
            raise LocalProtocolError(
                f"parameter_controls.{path}.control: Poe does not know the control {control.control!r}"
            )
        if type(control) not in _CONTROLS:
            raise LocalProtocolError(
                f"parameter_controls.{path}: {type(control).__name__} is not a control of the protocol"
            )
    for path, value in walk_values(settings):
        if value.extra:
            where = f"{path}: " if path else ""
            raise LocalProtocolError(f"{where}Poe refuses settings with unknown keys: {', '.join(sorted(value.extra))}")
    return dumps(unstructure(settings))


def settings_payload(settings: SettingsResponse) -> dict[str, Any]:
    """The settings as a JSON object, unknown fields included: for showing, storing and forwarding them.

    Unlike `encode_settings` it refuses nothing: unknown keys, unknown controls and another version of the controls are
    kept. `decode_settings` makes an equal value of it.
    """
    return unstructure(settings)


def walk_values(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """This value and every attrs value within it, each with its path."""
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
        event: the event name of the record.
        data: its payload. It is parsed only if this version knows the name. For `done` it may be anything, since the
            payload of `done` has no meaning.

    Raises:
        RemoteProtocolError: if the payload is not a JSON object, or a field is missing or has the wrong type.
    """
    cls = EVENT_CLASSES.get(event)
    if cls is None:
        return UnknownEvent(event, data if isinstance(data, str) else data.decode("utf-8", "replace"))
    try:
        if cls is Json:
            return Json(loads(data))
        value = fast_decoder(cls)(data)
        if value is not None and (value.index is None or is_index(value.index)):
            return value
        return _decode_any_event(cls, data)
    except RemoteProtocolError as exc:
        if cls is Done:
            return Done()
        raise RemoteProtocolError(f"invalid {event!r} event: {exc.args[0]}", path=exc.path) from exc


def _decode_any_event(cls: type[Event], data: str | bytes) -> Event:
    wire = loads(data)
    if wire.get("index") is None or is_index(as_integer(wire["index"])):
        return _structured(wire, cls)
    # An invalid index is kept in `extra`, like an unknown key.
    kept = {"index": wire.pop("index")}
    value = cast("Text", _structured(wire, cls))
    return attrs.evolve(value, extra={**value.extra, **kept})


def event_payload(event: Event) -> tuple[str, Any]:
    """One event as it is on the wire: its name, and the JSON object that is its data.

    The data of an `UnknownEvent` is the string that was received, which need not be JSON.

    Raises:
        LocalProtocolError: if it is not an event, a field has the wrong type, or an index is beyond 2**53 - 1.
    """
    name = event.event if isinstance(event, UnknownEvent) else _EVENT_NAMES.get(type(event))
    if name is None:
        raise LocalProtocolError(f"{type(event).__name__} is not an event")
    try:
        check_types(event)
    except TypeError as exc:
        raise LocalProtocolError(str(exc)) from exc
    # A subclass of int is fine: it is encoded as a plain integer.
    if event.index is not None and not -LARGEST_INDEX <= event.index <= LARGEST_INDEX:
        raise LocalProtocolError(f"{type(event).__name__}.index is beyond {LARGEST_INDEX}")
    if isinstance(event, UnknownEvent | Json):
        return name, event.data
    return name, unstructure(event)


def encode_event(event: Event) -> bytes:
    """One event as a server-sent record.

    Raises:
        LocalProtocolError: if it is not an event, a field has the wrong type, or a value cannot be encoded as JSON.
    """
    fast_encode = _encoders().get(type(event))
    if fast_encode is not None:
        try:
            record = fast_encode(event)
        except UnicodeEncodeError:  # a lone surrogate, which the general path escapes
            record = None
        if record is not None:
            return record
    return _encode_any_event(event)


@functools.cache
def _encoders() -> dict[type[Event], Callable[[Event], bytes | None]]:
    return {
        cls: fast_encoder(cls, b"event: %b\ndata: %%b\n\n" % name.encode(), whole="data" if cls is Json else None)
        for name, cls in EVENT_CLASSES.items()
    }


def _encode_any_event(event: Event) -> bytes:
    name, payload = event_payload(event)
    if isinstance(event, UnknownEvent):
        return encode_sse(name, event.data)
    return b"event: %b\ndata: %b\n\n" % (name.encode(), dumps(payload))


def encode_text(text: str) -> bytes:
    """The record of a `Text` without an index and without unknown keys: nearly every event is one."""
    try:
        return _TEXT_RECORD % encode(text)
    except UnicodeEncodeError:  # a lone surrogate, which has to be escaped
        return _TEXT_RECORD % dump_string(text)


def encode_texts(texts: list[str]) -> bytes:
    """The records of several such texts in their order, encoded in one call."""
    try:
        lines = encode_strings(texts)
    except UnicodeEncodeError:
        return b"".join(map(encode_text, texts))
    return b"%b%b%b" % (_TEXT_BEGIN, lines[:-1].replace(b"\n", _TEXT_NEXT), _TEXT_END) if lines else b""


# --- objects without a class in the vocabulary


def decode_object(data: bytes | str) -> dict[str, Any]:
    """Decode any JSON object by the rules that hold for requests and events. The caller bounds its size.

    Use it where the vocabulary has no class: for the payload of an `UnknownEvent`, or in a stand-in for Poe that
    receives calls about costs.

    Raises:
        RemoteProtocolError: if it is not JSON (RFC 8259), not UTF-8 or not an object; if it is nested more than 200
            levels deep; or if it contains a number that is not finite or an integer of more than 4,300 digits.
    """
    return loads(data)
