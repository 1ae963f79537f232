"""A strict reading that reports departures from the protocol as data instead of raising: what a checker is built on.

Readers forgive much, so that a message can be sound to them and still not be what the protocol says. Each departure has
the path of its place, the name of the rule, which is stable, and a severity: an error is what Poe or a reader refuses
or drops, a warning what Poe frowns on, a note what is merely not as written in the specification.

https://creator.poe.com/docs/server-bots/poe-protocol-specification
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import Any, cast

import attrs

from poeproto.errors import LimitExceeded
from poeproto.exchange.reply_quota import ReplyQuota
from poeproto.exchange.states import EXCUSED, IGNORED, KINDS, ExchangeState, Kind, State
from poeproto.limits import Limits
from poeproto.lint.rules import Finding, Severity, load_strictly, object_departures
from poeproto.vocabulary.events import EVENT_CLASSES, Json, UnknownEvent
from poeproto.vocabulary.http import ResponseHead
from poeproto.vocabulary.parameter_controls import CONTROLS_API_VERSION
from poeproto.vocabulary.requests import QueryRequest
from poeproto.vocabulary.settings import SettingsResponse
from poeproto.wire.codec import REQUEST_CLASSES, decode_event
from poeproto.wire.json import join_paths, json_type
from poeproto.wire.sse import ServerSentEvent, SSEDecoder

# The specification requires these, though readers do without.
_EXPECTED = ("user_id", "conversation_id", "message_id")

# The rule that a reply breaks when it exceeds this field of `Limits`.
_QUOTA_RULES = {"events": "too-many-events", "text_length": "text-too-long", "files": "too-many-files"}


def lint_request(body: bytes | str, limits: Limits | None = None) -> list[Finding]:
    """The departures in the body of a request, in the order of their places."""
    limits = limits or Limits()
    wire, found = load_strictly(body)
    if wire is None:
        return found
    kind = wire.pop("type", None)
    if not isinstance(kind, str):
        return [*found, Finding("type", "missing-field", Severity.ERROR, "missing, or not a string")]
    if "version" not in wire:
        found.append(Finding("version", "missing-field", Severity.WARNING, "missing"))
    for key in ("access_key", "api_key"):
        if wire.pop(key, None) is not None:
            found.append(Finding(key, "key-in-body", Severity.ERROR, "keys do not belong into a body"))
    cls = REQUEST_CLASSES.get(kind)
    if cls is None:
        return [*found, Finding("type", "unknown-request", Severity.ERROR, f"requests of type {kind!r} are unknown")]
    found += [
        Finding(name, "missing-field", Severity.WARNING, "missing; the specification requires it")
        for name in _EXPECTED
        if name in attrs.fields_dict(cls) and name not in wire
    ]
    found += object_departures(wire, cls)
    query = wire.get("query")
    if cls is QueryRequest and isinstance(query, list):
        number = len(cast("list[Any]", query))
        if number > limits.messages:
            message = f"{number} messages; Poe cuts what is before the last {limits.messages}"
            found.append(Finding("query", "too-many-messages", Severity.WARNING, message))
        if not number:
            found.append(Finding("query", "empty-query", Severity.WARNING, "there is no message to answer"))
    return found


def lint_settings(body: bytes | str) -> list[Finding]:
    """The departures in the settings a bot server answers with, rules of the parameter controls included."""
    wire, found = load_strictly(body)
    if wire is None:
        return found
    if wire.pop("enable_multi_bot_chat_prompting", None) is not None:
        message = "has become enable_multi_entity_prompting"
        found.append(Finding("enable_multi_bot_chat_prompting", "deprecated-field", Severity.WARNING, message))
    version = wire.get("response_version")
    if version is None or (type(version) is int and version < 2):
        dropped = "; Poe drops parameter_controls without it" if wire.get("parameter_controls") else ""
        severity = Severity.ERROR if dropped else Severity.WARNING
        found.append(Finding("response_version", "old-response-version", severity, f"should be 2{dropped}"))
        wire.pop("response_version", None)
    controls = wire.get("parameter_controls")
    if isinstance(controls, dict):
        api_version = cast("dict[str, Any]", controls).get("api_version", CONTROLS_API_VERSION)
        if api_version != CONTROLS_API_VERSION:
            message = f"{api_version!r} is not {CONTROLS_API_VERSION!r}"
            found.append(Finding("parameter_controls.api_version", "value", Severity.ERROR, message))
    return found + object_departures(wire, SettingsResponse, unknown=Severity.ERROR, null=Severity.WARNING)


def lint_event(event: str, data: str | bytes) -> list[Finding]:
    """The departures in one server-sent record, taken by itself."""
    cls = EVENT_CLASSES.get(event)
    if cls is None:
        return [Finding("", "unknown-event", Severity.WARNING, f"events called {event!r} are unknown")]
    wire, found = load_strictly(data)
    if wire is None:
        # Of `done`, readers take any data.
        return [attrs.evolve(each, severity=Severity.WARNING) for each in found] if event == "done" else found
    index = wire.get("index")
    if index is not None and type(index) is not int:
        del wire["index"]
        message = f"expected an integer, got {json_type(index)}"
        found.append(Finding("index", "field-type", Severity.WARNING, message))
    return found if cls is Json else found + object_departures(wire, cls)


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
        self._utf8: codecs.IncrementalDecoder | None = codecs.getincrementaldecoder("utf-8")()
        self._records = 0
        self._started = False
        self._quota = ReplyQuota(self._limits)

    def receive_head(self, head: ResponseHead) -> list[Finding]:
        """Findings in the status and the headers."""
        found: list[Finding] = []
        if head.status != 200:
            found.append(Finding("status", "status", Severity.ERROR, f"status {head.status} instead of 200"))
        content_type = head.media_type
        if content_type != "text/event-stream":
            message = f"{content_type!r} instead of text/event-stream"
            found.append(Finding("content-type", "content-type", Severity.ERROR, message))
        if head.content_coding != "identity":
            message = f"{head.content_coding!r}, which delays events and which readers do not ask for"
            found.append(Finding("content-encoding", "content-encoding", Severity.ERROR, message))
        if "no-cache" not in (head.get("cache-control") or "").lower():
            found.append(Finding("cache-control", "cache-control", Severity.NOTE, "should say no-cache, no-transform"))
        return found

    def receive_data(self, data: bytes, at: float | None = None) -> list[Finding]:
        """Findings in the events that these bytes complete."""
        try:
            records = self._decoder.receive_data(data)
        except LimitExceeded:
            return []  # it was reported
        place = self._place
        found = [each for record in records for each in self._record(record, at)]
        if self._utf8 is not None:
            try:
                self._utf8.decode(data)
            except UnicodeDecodeError as exc:
                self._utf8 = None  # once is enough
                message = f"{exc.reason}: not UTF-8 here or soon after; readers put U+FFFD in its place"
                found.append(Finding(place, "encoding", Severity.WARNING, message))
        if self._decoder.error is not None:
            found.append(Finding(self._place, "event-size", Severity.ERROR, str(self._decoder.error)))
        return found

    def receive_eof(self, at: float | None = None) -> list[Finding]:
        """Findings in what is missing at the end."""
        found: list[Finding] = []
        if self._state.bot is not State.DONE:
            message = "the stream ended without done"
            severity = Severity.WARNING if self._state.bot is State.FAILED else Severity.ERROR
            found.append(Finding(self._place, "no-done", severity, message))
        if at is not None and at > self._limits.answer_seconds:
            message = f"the answer took {at:.1f} s; {self._limits.answer_seconds:g} s are allowed"
            found.append(Finding("", "late-end", Severity.ERROR, message))
        return found

    @property
    def _place(self) -> str:
        return f"events[{self._records}]"

    def _record(self, record: ServerSentEvent, at: float | None) -> list[Finding]:
        if record.event == "ping":
            return []
        place = self._place
        found = [
            attrs.evolve(each, path=join_paths(place, each.path)) for each in lint_event(record.event, record.data)
        ]
        sound = not any(each.severity is Severity.ERROR for each in found)
        cls = EVENT_CLASSES.get(record.event)
        if cls is not None and not self._started:
            self._started = True
            if at is not None and at > self._limits.first_answer_seconds:
                message = f"the first event came after {at:.1f} s; {self._limits.first_answer_seconds:g} s are allowed"
                found.append(Finding(place, "late-start", Severity.ERROR, message))
        self._records += 1
        if cls is not None:
            found += self._order(KINDS[cls], record.event, place)
        # An event that cannot be read counts as an event all the same.
        event = decode_event(record.event, record.data) if sound else UnknownEvent(record.event, record.data)
        for limit in self._quota.exceeded_by(event):
            found.append(Finding(place, _QUOTA_RULES[limit], Severity.ERROR, self._quota.describe(limit)))
        self._quota.count(event)
        return found

    def _order(self, kind: Kind, name: str, place: str) -> Iterator[Finding]:
        state = self._state.bot
        if self._state.bot_sends(kind):
            return
        if kind in IGNORED.get(state, ()):
            message = f"{name} is passed over here: {state.value}"
            yield Finding(place, "out-of-order", Severity.WARNING, message)
        else:
            self._state.bot = EXCUSED[state][kind]
            yield Finding(place, "no-answer", Severity.ERROR, "done came before any answer")
