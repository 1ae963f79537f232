"""Lint of the reply to a query: its head, the order and number of its events, each event, and its times.

https://creator.poe.com/docs/server-bots/poe-protocol-specification
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator

import attrs

from poeproto.exchange.reply_quota import ReplyQuota
from poeproto.exchange.states import EXCUSED, IGNORED, KINDS, ExchangeState, Kind, State
from poeproto.limits import Limits
from poeproto.lint.body_lint import lint_event
from poeproto.lint.finding import Finding
from poeproto.vocabulary.errors import LimitExceeded, RemoteProtocolError
from poeproto.vocabulary.events import EVENT_CLASSES, UnknownEvent
from poeproto.vocabulary.http import ResponseHead
from poeproto.wire.codec import decode_event
from poeproto.wire.json import join_paths
from poeproto.wire.sse import ServerSentEvent, SSEDecoder

__all__ = ["ReplyLint"]

# The rule that a reply breaks when it exceeds this field of `Limits`.
_QUOTA_RULES = {"events": "limits.events", "text_length": "limits.text", "files": "limits.files"}

# The rule that an ignored event breaks, by the state in which it came. In the other states only `meta` is ignored.
_IGNORED_RULES = {State.FAILED: "reply.after-error", State.DONE: "reply.after-done"}


class ReplyLint:
    """Lint of a reply while it is received: each method returns the findings in its argument.

    Args:
        limits: the limits on size, number and time.

    `at` is the time in seconds since the query was sent; None if times are not to be checked.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._state = ExchangeState()
        self._state.bot = State.OPENED
        self._decoder = SSEDecoder(
            max_event_size=self._limits.event_size, dispatch_without_data=frozenset(EVENT_CLASSES)
        )
        self._utf8: codecs.IncrementalDecoder | None = codecs.getincrementaldecoder("utf-8")()
        self._records = 0
        self._started = False
        self._received_at: float | None = None
        self._quota = ReplyQuota(self._limits)

    def receive_head(self, head: ResponseHead) -> list[Finding]:
        """The findings in the status and the headers."""
        found: list[Finding] = []
        if head.status != 200:
            found.append(Finding("status", "reply.status", f"status {head.status} instead of 200"))
        content_type = head.media_type
        if content_type != "text/event-stream":
            message = f"{content_type!r} instead of text/event-stream"
            found.append(Finding("content-type", "framing.content-type", message))
        if head.content_coding != "identity":
            message = f"{head.content_coding!r}: compression delays events, and readers do not accept it"
            found.append(Finding("content-encoding", "framing.compression", message))
        caching = head.get("cache-control") or ""
        if "no-cache" not in caching.lower() and "no-store" not in caching.lower():
            found.append(Finding("cache-control", "framing.cache-control", "expected no-cache, no-transform"))
        if (head.get("x-accel-buffering") or "").lower() != "no":
            found.append(Finding("x-accel-buffering", "framing.proxy-buffering", "expected no"))
        return found

    def receive_data(self, data: bytes, at: float | None = None) -> list[Finding]:
        """The findings in the events that these bytes complete.

        Args:
            data: the bytes, as they arrived.
            at: seconds since the request was sent; None judges no times.
        """
        try:
            records = self._decoder.receive_data(data)
        except LimitExceeded:
            return []  # reported by an earlier call
        place = self._place
        found = [*self._gap(at), *(each for record in records for each in self._record(record, at))]
        if self._utf8 is not None:
            try:
                self._utf8.decode(data)
            except UnicodeDecodeError as exc:
                self._utf8 = None  # reported once
                message = f"not UTF-8 here or soon after ({exc.reason}); readers replace it by U+FFFD"
                found.append(Finding(place, "framing.utf-8", message))
        if self._decoder.error is not None:
            found.append(Finding(self._place, "limits.event-size", str(self._decoder.error)))
        return found

    def receive_eof(self, at: float | None = None) -> list[Finding]:
        """The findings at the end of the body: a missing `done`, a reply that took too long."""
        found = list(self._gap(at))
        # An event that the blank line would have completed.
        if self._decoder.error is None and self._decoder.receive_data(b"\n\n"):
            message = "the stream ended within the event; readers discard it"
            found.append(Finding(self._place, "framing.last-event", message))
        if self._state.bot is not State.DONE:
            rule = "reply.done-after-error" if self._state.bot is State.FAILED else "reply.done"
            found.append(Finding(self._place, rule, "the stream ended without done"))
        if at is not None and at > self._limits.answer_seconds:
            message = f"the reply took {at:.1f} s; the limit is {self._limits.answer_seconds:g} s"
            found.append(Finding("", "time.total", message))
        return found

    def _gap(self, at: float | None) -> Iterator[Finding]:
        before, self._received_at = self._received_at, at
        longest = self._limits.gap_seconds
        if at is not None and before is not None and at - before > longest:
            message = f"nothing was received for {at - before:.1f} s; the limit is {longest:g} s"
            yield Finding(self._place, "time.gaps", message)

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
        cls = EVENT_CLASSES.get(record.event)
        if cls is not None and not self._started:
            self._started = True
            if at is not None and at > self._limits.first_answer_seconds:
                message = f"the first event came after {at:.1f} s; the limit is {self._limits.first_answer_seconds:g} s"
                found.append(Finding(place, "time.first-event", message))
        self._records += 1
        if cls is not None:
            found += self._order(KINDS[cls], record.event, place)
        try:
            event = decode_event(record.event, record.data)
        except RemoteProtocolError:  # an invalid event counts too
            event = UnknownEvent(record.event, record.data)
        for limit in self._quota.exceeded_by(event):
            found.append(Finding(place, _QUOTA_RULES[limit], self._quota.describe(limit)))
        self._quota.count(event)
        return found

    def _order(self, kind: Kind, name: str, place: str) -> Iterator[Finding]:
        state = self._state.bot
        if self._state.bot_sends(kind):
            return
        if kind in IGNORED.get(state, ()):
            message = f"{name} is ignored here: {state.value}"
            yield Finding(place, _IGNORED_RULES.get(state, "reply.meta-first"), message)
        else:
            self._state.bot = EXCUSED[state][kind]
            yield Finding(place, "reply.answer", "done came before any answer")
