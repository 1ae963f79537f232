"""A strict reading that reports departures from the protocol as data instead of raising: what a checker is built on.

Readers forgive much, so that a message can be sound to them and still not be what the protocol says. Each departure has
the path of its place, the name of the rule, which is stable, and a severity: an error is what Poe or a reader refuses
or drops, a warning what Poe frowns on, a note what is merely not as written in the specification.
"""

from __future__ import annotations

import json
import typing
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, cast

import attrs

from poeproto._json import join_paths, json_type, loads
from poeproto._states import EXCUSED, IGNORED, KINDS, ExchangeState, Kind, State
from poeproto._structure import CONTROL_CLASSES, options, structure
from poeproto._typecheck import fits, type_name
from poeproto.codec import REQUEST_CLASSES
from poeproto.controls import Control, LiteralValue, Operand, ParameterValue
from poeproto.errors import LimitExceeded, RemoteProtocolError
from poeproto.events import EVENT_CLASSES, Error, File, Json, ReplaceResponse, Text
from poeproto.http import ResponseHead
from poeproto.identifiers import is_identifier
from poeproto.limits import Limits
from poeproto.messages import Feedback, Message, Reaction
from poeproto.requests import QueryRequest, ReportFeedbackRequest, ReportReactionRequest
from poeproto.settings import SettingsResponse
from poeproto.sse import ServerSentEvent, SSEDecoder


class Severity(Enum):
    """How much a departure matters."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@attrs.frozen
class Departure:
    """One departure from the protocol.

    Attributes:
        path: the place in the JSON, as in ``query[0].role``; in a reply, the number of the event before it, as in
            ``events[3].text``; empty for the whole.
        rule: the rule's name, in lower case with hyphens; stable, for machines.
        severity: how much it matters.
        message: what is wrong, for people.
    """

    path: str
    rule: str
    severity: Severity
    message: str


_REACTIONS = frozenset({"like", "dislike", "heart", "laughing", "surprised", "sad"})
_ERROR_TYPES = frozenset(
    {"user_message_too_long", "insufficient_fund", "user_caused_error", "privacy_authorization_error"}
)
# The sets that are open to readers. Others are kept, and a writer that uses them should know it.
_OPEN_SETS: Mapping[tuple[type, str], frozenset[str]] = {
    (Message, "role"): frozenset({"system", "user", "bot", "tool"}),
    (Message, "content_type"): frozenset({"text/markdown", "text/plain"}),
    (Message, "message_type"): frozenset({"function_call"}),
    (Feedback, "type"): frozenset({"like", "dislike"}),
    (Reaction, "reaction"): _REACTIONS,
    (ReportFeedbackRequest, "feedback_type"): frozenset({"like", "dislike"}),
    (ReportReactionRequest, "reaction"): _REACTIONS,
    (EVENT_CLASSES["meta"], "content_type"): frozenset({"text/markdown", "text/plain"}),
    (Error, "error_type"): _ERROR_TYPES,
}
# What the identifiers in fields of these names begin with.
_TAGS = {"user_id": "u", "conversation_id": "c", "message_id": "m"}
# The specification requires these, though readers do without.
_EXPECTED = ("user_id", "conversation_id", "message_id")
_DEPRECATED: Mapping[type, frozenset[str]] = {
    SettingsResponse: frozenset({"context_clear_window_secs", "allow_user_context_clear", "custom_rate_card"}),
    Message: frozenset({"sender_id"}),
    EVENT_CLASSES["meta"]: frozenset({"linkify"}),
}


def lint_request(body: bytes | str, limits: Limits | None = None) -> list[Departure]:
    """The departures in the body of a request, in the order of their places."""
    limits = limits or Limits()
    wire, found = _load(body)
    if wire is None:
        return found
    kind = wire.pop("type", None)
    if not isinstance(kind, str):
        return [*found, Departure("type", "missing-field", Severity.ERROR, "missing, or not a string")]
    if "version" not in wire:
        found.append(Departure("version", "missing-field", Severity.WARNING, "missing"))
    for key in ("access_key", "api_key"):
        if wire.pop(key, None) is not None:
            found.append(Departure(key, "key-in-body", Severity.ERROR, "keys do not belong into a body"))
    cls = REQUEST_CLASSES.get(kind)
    if cls is None:
        return [*found, Departure("type", "unknown-request", Severity.ERROR, f"requests of type {kind!r} are unknown")]
    found += [
        Departure(name, "missing-field", Severity.WARNING, "missing; the specification requires it")
        for name in _EXPECTED
        if name in attrs.fields_dict(cls) and name not in wire
    ]
    found += _object(wire, cls, "")
    query = wire.get("query")
    if cls is QueryRequest and isinstance(query, list):
        number = len(cast("list[Any]", query))
        if number > limits.messages:
            message = f"{number} messages; Poe cuts what is before the last {limits.messages}"
            found.append(Departure("query", "too-many-messages", Severity.WARNING, message))
        if not number:
            found.append(Departure("query", "empty-query", Severity.WARNING, "there is no message to answer"))
    return found


def lint_settings(body: bytes | str) -> list[Departure]:
    """The departures in the settings a bot server answers with, rules of the parameter controls included."""
    wire, found = _load(body)
    if wire is None:
        return found
    if wire.pop("enable_multi_bot_chat_prompting", None) is not None:
        message = "has become enable_multi_entity_prompting"
        found.append(Departure("enable_multi_bot_chat_prompting", "deprecated-field", Severity.WARNING, message))
    version = wire.get("response_version")
    if version is None or (type(version) is int and version < 2):
        dropped = "; Poe drops parameter_controls without it" if wire.get("parameter_controls") else ""
        severity = Severity.ERROR if dropped else Severity.WARNING
        found.append(Departure("response_version", "old-response-version", severity, f"should be 2{dropped}"))
        wire.pop("response_version", None)
    return found + _object(wire, SettingsResponse, "", unknown=Severity.ERROR, null=Severity.WARNING)


def lint_event(event: str, data: str | bytes) -> list[Departure]:
    """The departures in one server-sent record, taken by itself."""
    cls = EVENT_CLASSES.get(event)
    if cls is None:
        return [Departure("", "unknown-event", Severity.WARNING, f"events called {event!r} are unknown")]
    wire, found = _load(data)
    if wire is None:
        # Of `done`, readers take any data.
        return [attrs.evolve(each, severity=Severity.WARNING) for each in found] if event == "done" else found
    index = wire.get("index")
    if index is not None and type(index) is not int:
        del wire["index"]
        message = f"expected an integer, got {json_type(index)}"
        found.append(Departure("index", "field-type", Severity.WARNING, message))
    return found if cls is Json else found + _object(wire, cls, "")


class ReplyLint:
    """Reads the answer to a query as it comes, and reports what departs from the protocol in it.

    Args:
        limits: what counts as too much or too late.

    The methods take `at`, the seconds since the query was sent, where times are to be judged.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._state = ExchangeState()
        self._state.bot = State.OPENED
        self._decoder = SSEDecoder(max_event_size=self._limits.event_size, dispatch_without_data=frozenset({"done"}))
        self._events = 0
        self._files = 0
        self._lengths: dict[int | None, int] = {}

    def receive_head(self, head: ResponseHead) -> list[Departure]:
        """Departures in the status and the headers."""
        found: list[Departure] = []
        if head.status != 200:
            found.append(Departure("status", "status", Severity.ERROR, f"status {head.status} instead of 200"))
        content_type = head.media_type
        if content_type != "text/event-stream":
            message = f"{content_type!r} instead of text/event-stream"
            found.append(Departure("content-type", "content-type", Severity.ERROR, message))
        if "no-cache" not in (head.get("cache-control") or "").lower():
            found.append(
                Departure("cache-control", "cache-control", Severity.NOTE, "should say no-cache, no-transform")
            )
        return found

    def receive_data(self, data: bytes, at: float | None = None) -> list[Departure]:
        """Departures in the events that these bytes complete."""
        try:
            records = self._decoder.receive_data(data)
        except LimitExceeded:
            return []  # it was reported
        found = [each for record in records for each in self._record(record, at)]
        if self._decoder.error is not None:
            found.append(Departure(self._place, "event-size", Severity.ERROR, str(self._decoder.error)))
        return found

    def receive_eof(self, at: float | None = None) -> list[Departure]:
        """Departures in what is missing at the end."""
        found: list[Departure] = []
        if self._state.bot is not State.DONE:
            message = "the stream ended without done"
            severity = Severity.WARNING if self._state.bot is State.FAILED else Severity.ERROR
            found.append(Departure(self._place, "no-done", severity, message))
        if at is not None and at > self._limits.answer_seconds:
            message = f"the answer took {at:.1f} s; {self._limits.answer_seconds:g} s are allowed"
            found.append(Departure("", "late-end", Severity.ERROR, message))
        return found

    @property
    def _place(self) -> str:
        return f"events[{self._events}]"

    def _record(self, record: ServerSentEvent, at: float | None) -> list[Departure]:
        if record.event == "ping":
            return []
        place = self._place
        found = [
            attrs.evolve(each, path=join_paths(place, each.path)) for each in lint_event(record.event, record.data)
        ]
        sound = not any(each.severity is Severity.ERROR for each in found)
        if not self._events and at is not None and at > self._limits.first_answer_seconds:
            message = f"the first event came after {at:.1f} s; {self._limits.first_answer_seconds:g} s are allowed"
            found.append(Departure(place, "late-start", Severity.ERROR, message))
        self._events += 1
        if self._events == self._limits.events + 1:
            message = f"more than {self._limits.events} events"
            found.append(Departure(place, "too-many-events", Severity.ERROR, message))
        cls = EVENT_CLASSES.get(record.event)
        if cls is not None:
            found += self._order(KINDS[cls], record.event, place)
            if sound:
                found += self._amount(cls, record.data, place)
        return found

    def _order(self, kind: Kind, name: str, place: str) -> Iterator[Departure]:
        state = self._state.bot
        if self._state.bot_sends(kind):
            return
        if kind in IGNORED.get(state, ()):
            message = f"{name} is passed over here: {state.value}"
            yield Departure(place, "out-of-order", Severity.WARNING, message)
        else:
            self._state.bot = EXCUSED[state][kind]
            yield Departure(place, "no-answer", Severity.ERROR, "done came before any answer")

    def _amount(self, cls: type, data: str, place: str) -> Iterator[Departure]:
        if cls is File:
            self._files += 1
            if self._files == self._limits.files + 1:
                yield Departure(place, "too-many-files", Severity.ERROR, f"more than {self._limits.files} files")
        elif cls in (Text, ReplaceResponse):
            wire = loads(data)
            index = wire["index"] if type(wire.get("index")) is int else None
            before = self._lengths.get(index, 0) if cls is Text else 0
            length = self._lengths[index] = before + len(wire["text"])
            if before <= self._limits.text_length < length:
                message = f"the text is longer than {self._limits.text_length} characters"
                yield Departure(place, "text-too-long", Severity.ERROR, message)


# --- objects


def _load(text: bytes | str) -> tuple[dict[str, Any] | None, list[Departure]]:
    try:
        wire = loads(text)
    except RemoteProtocolError as exc:
        return None, [Departure("", "json", Severity.ERROR, str(exc))]
    found: list[Departure] = []

    def note_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                message = f"the key {key!r} is there twice; the last one counts"
                found.append(Departure(key, "duplicate-key", Severity.WARNING, message))
            seen.add(key)
        return dict(pairs)

    json.loads(text, object_pairs_hook=note_duplicates)
    return wire, found


def _object(
    wire: dict[str, Any], cls: type, path: str, *, unknown: Severity = Severity.NOTE, null: Severity = Severity.NOTE
) -> list[Departure]:
    """Departures of an object that should be of that class, and of all within it."""
    found: list[Departure] = []
    hints = typing.get_type_hints(cls)
    fields = {name: field for name, field in attrs.fields_dict(cls).items() if name != "extra"}
    for name, field in fields.items():
        place = join_paths(path, name)
        if name not in wire:
            if field.default is attrs.NOTHING:
                found.append(Departure(place, "missing-field", Severity.ERROR, "missing"))
            continue
        value = wire[name]
        if value is None and field.default is not attrs.NOTHING:
            if not fits(None, hints[name]) or null is not Severity.NOTE:
                found.append(Departure(place, "null-for-absent", null, "null; leave the key out"))
            continue
        found += _value(value, hints[name], place, unknown, null)
        found += _word(value, cls, name, place)
    found += [
        Departure(join_paths(path, key), "unknown-field", unknown, "this version knows no such field")
        for key in wire
        if key not in fields
    ]
    return found or _rules(wire, cls, path)


def _word(value: Any, cls: type, name: str, place: str) -> Iterator[Departure]:
    known = _OPEN_SETS.get((cls, name))
    if known is not None and isinstance(value, str) and value not in known:
        yield Departure(place, "unknown-value", Severity.NOTE, f"{value!r} is none of {', '.join(sorted(known))}")
    if name in _DEPRECATED.get(cls, ()):
        yield Departure(place, "deprecated-field", Severity.WARNING, "is deprecated")
    # Simulators and other bots leave them empty, which readers are told to bear.
    if name in _TAGS and isinstance(value, str) and value and not is_identifier(value, _TAGS[name]):
        message = f"not {_TAGS[name]}- and 32 characters out of a-z, 0-9 and ="
        yield Departure(place, "identifier-form", Severity.NOTE, message)


def _value(value: Any, hint: Any, place: str, unknown: Severity, null: Severity) -> list[Departure]:
    for option in options(hint):
        many = typing.get_origin(option) is list
        inner = typing.get_args(option)[0] if many else option
        if attrs.has(inner) or inner in (Control, Operand):
            if not many:
                return _inner(value, inner, place, unknown, null)
            if isinstance(value, list):
                items = enumerate(cast("list[Any]", value))
                return [d for number, item in items for d in _inner(item, inner, f"{place}[{number}]", unknown, null)]
    if fits(value, hint):
        return []
    return [Departure(place, "field-type", Severity.ERROR, f"expected {type_name(hint)}, got {json_type(value)}")]


def _inner(value: Any, cls: type, place: str, unknown: Severity, null: Severity) -> list[Departure]:
    if not isinstance(value, dict):
        return [Departure(place, "field-type", Severity.ERROR, f"expected an object, got {json_type(value)}")]
    wire = cast("dict[str, Any]", value)
    if cls is Control:
        kind = wire.get("control")
        if not isinstance(kind, str) or kind not in CONTROL_CLASSES:
            return [Departure(f"{place}.control", "unknown-control", Severity.ERROR, f"no control is called {kind!r}")]
        wire, cls = {key: item for key, item in wire.items() if key != "control"}, CONTROL_CLASSES[kind]
    elif cls is Operand:
        cls = ParameterValue if "parameter_name" in wire else LiteralValue
    return _object(wire, cls, place, unknown=unknown, null=null)


def _rules(wire: dict[str, Any], cls: type, path: str) -> list[Departure]:
    """The rules of the class itself, where all else is in order."""
    try:
        structure(wire, cls)
    except RemoteProtocolError as exc:
        return [Departure(join_paths(path, exc.path), "value", Severity.ERROR, exc.args[0])]
    return []
