"""Poe side of one exchange: sends a request, and receives the bot's events.

**Events before an error.** Every valid event before a fault is delivered, whatever the chunking. The
call that meets the fault returns the events before it and sets `error`; if there are none, it returns an empty list.
Every later receiving call raises `error`: it is sticky. So a caller that sees an exception has had every event before
it, and a caller that needs it at once checks `error` after each call. `receive_eof` raises in the same call,
unless it still returns the half of a character.

**From bytes to events.** `RecordBuffer` makes every line end an LF and keeps the beginning of a record until it is
complete. Complete records then take one of two paths:

- the general path, `_receive_records`: `SSEDecoder`, the transition table, `decode_event`, the limits, and
  `SurrogateJoiner`;
- the fast path of `wire.sse_fast_path` for `text` records in which none of those can have an effect but the limits:
  `_receive_text` for a read of exactly one record, `_receive_run` for a run of records, decoded in one call.

The fast path is taken only in a state in which a Text is a self-transition, with no half of a character waiting, and
for texts that exceed no limit and have exactly the expected keys. If one of these is not so, the record takes the
general path, which finds the exact place of the fault.

https://creator.poe.com/docs/server-bots/poe-protocol-specification
"""

from __future__ import annotations

from collections.abc import Iterable

from poeproto.auth import access_key_set
from poeproto.exchange.echo_redaction import redact_error
from poeproto.exchange.refusals import (
    refusal,
    refusal_body_size,
    refusal_reason,
)
from poeproto.exchange.reply import ReplyFold
from poeproto.exchange.states import BOT_TRANSITIONS, EXCUSED, IGNORED, KINDS, STREAMING, ExchangeState, Kind, State
from poeproto.limits import Limits
from poeproto.vocabulary.errors import (
    IncompleteReply,
    LimitExceeded,
    LocalProtocolError,
    PoeprotoError,
    RemoteProtocolError,
    RequestRefused,
)
from poeproto.vocabulary.events import (
    EVENT_CLASSES,
    Done,
    Error,
    Event,
    Json,
    ReplaceResponse,
    Text,
    UnknownEvent,
    is_index,
)
from poeproto.vocabulary.http import ResponseHead
from poeproto.vocabulary.http_request import HttpRequest
from poeproto.vocabulary.requests import QueryRequest, Request, SettingsRequest, UnknownRequest
from poeproto.vocabulary.settings import SettingsResponse
from poeproto.wire.codec import decode_event, decode_settings, encode_request
from poeproto.wire.fast_codec import fast_decoder
from poeproto.wire.json import load_texts
from poeproto.wire.received_data import as_bytes
from poeproto.wire.sse import RecordBuffer, ServerSentEvent, SSEDecoder
from poeproto.wire.sse_fast_path import TEXT_RECORD_OVERHEAD, find_run, payload_of_text, start_of_next_run
from poeproto.wire.surrogates import SurrogateJoiner

__all__ = ["PoeExchange"]

# The heartbeat of sse-starlette, which serves most bots. It is not part of the protocol, so it is dropped.
_PING = "ping"
# Approximate memory of an event besides its payload: the header of a string and an entry of a list.
_EVENT_OVERHEAD = 64
# Approximate memory of an index in addition; the peer may use a new one in each event.
_INDEX_OVERHEAD = 256
# Approximate memory of each object, array, key or value within JSON in addition: `{},` is 3 bytes on the wire and 72 in
# memory.
_VALUE_OVERHEAD = 64
_STRUCTURE = ("{", "[", ",", ":")
# The states in which a Text changes nothing, so that the fast path may be taken.
_TEXT_IS_SELF_TRANSITION = frozenset(state for state in STREAMING if BOT_TRANSITIONS[state].get(KINDS[Text]) is state)


class UnfoldedPoeExchange:
    """`PoeExchange` without its fold, for a caller that folds the events itself.

    `query_flow` is one: it folds the events when it delivers them, over all attempts at a call. Errors have no
    `partial` here; the caller sets it. Everything else is as in `PoeExchange`.
    """

    def __init__(self, access_key: str | None = None, limits: Limits | None = None) -> None:
        self.error: PoeprotoError | None = None
        self.settings: SettingsResponse | None = None
        self._authorization: list[tuple[bytes, bytes]] = []
        self._key = b""
        if access_key is not None:
            (self._key,) = access_key_set(access_key)
            self._authorization = [(b"authorization", b"Bearer " + self._key)]
        self._limits = limits or Limits()
        self._state = ExchangeState()
        self._request: Request | None = None
        self._refusal: ResponseHead | None = None
        self._refusal_reason = ""
        self._body = bytearray()
        self._events = 0
        self._kept = 0
        self._kept_text: dict[int | None, int] = {None: 0}
        self._buffer = RecordBuffer()
        self._decoder = SSEDecoder(max_event_size=self._limits.event_size, dispatch_without_data=frozenset({"done"}))
        self._takes_fast_path = False
        self._decode_text = fast_decoder(Text)
        self._surrogates = SurrogateJoiner()

    @property
    def our_state(self) -> State:
        """The state of the caller."""
        return self._state.poe

    @property
    def their_state(self) -> State:
        """The state of the bot server."""
        return self._state.bot

    def send(self, request: Request, url: str) -> HttpRequest:
        """The HTTP request that carries this request to the bot.

        Raises:
            LocalProtocolError: if a request was sent already, or this one is of an unknown type or cannot be encoded.
        """
        if self._state.poe is not State.IDLE:
            raise LocalProtocolError("the request was sent already; make a PoeExchange for each request")
        if isinstance(request, UnknownRequest):
            raise LocalProtocolError(f"a request of the unknown type {request.type!r} cannot be sent")
        is_query = isinstance(request, QueryRequest)
        headers = [
            (b"content-type", b"application/json"),
            (b"accept", b"text/event-stream" if is_query else b"application/json"),
            # Compression delays events, and decompressing data from an untrusted peer would need bounds of its own.
            (b"accept-encoding", b"identity"),
            *self._authorization,
        ]
        http_request = HttpRequest("POST", url, headers, encode_request(request))
        self._request = request
        self._state.poe_sends(Kind.REQUEST_HEAD)
        self._state.poe_sends(Kind.QUERY if is_query else Kind.CALL)
        return http_request

    def receive_head(self, head: ResponseHead) -> None:
        """Receive the head of the response. A refusal is remembered, and raised when its body has been received.

        Raises:
            LocalProtocolError: if no response is due.
        """
        self._raise_if_failed()
        if self._state.bot not in (State.SEND_STREAM, State.SEND_ANSWER):
            raise LocalProtocolError(f"no response is due: {self._state.bot.value}")
        content_type = "text/event-stream" if self._state.bot is State.SEND_STREAM else None
        self._refusal_reason = refusal_reason(head, "the bot", "", content_type)
        if self._refusal_reason:
            self._refusal = head
        if self._refusal or self._state.bot is State.SEND_ANSWER:
            self._state.bot_sends(Kind.RESPONSE)
        else:
            self._state.bot_sends(Kind.STREAM_HEAD)

    def receive_data(self, data: bytes) -> list[Event]:
        """The events that these bytes complete, through `Done` or `Error`. Everything after the end is ignored.

        Raises:
            RequestRefused: for another status or content type, after the start of the body was received.
            RemoteProtocolError: for an invalid event.
            LimitExceeded: for more than a limit allows.
            LocalProtocolError: if no response has begun.
            TypeError: for a string.

        The first three are not raised by the call that meets the fault, but by every later one.
        """
        if self.error is not None:
            raise self.error
        if data.__class__ is not bytes:
            data = as_bytes(data)
        events: list[Event] = []
        if self._state.bot in STREAMING:
            self._receive_stream(data, events)
            if self.error is not None:
                self._flush_halves(events)
        elif self._refusal is not None:
            size = refusal_body_size(self._limits, self._key)
            self._body += data[: size - len(self._body)]
            if len(self._body) >= size:
                self._fail(self._request_refused(self._refusal))
        elif self._request is None or self._state.bot in (State.SEND_STREAM, State.SEND_ANSWER):
            raise LocalProtocolError("no response has begun; pass its head to receive_head first")
        elif not isinstance(self._request, QueryRequest):
            size = self._limits.answer_size
            if len(self._body) + len(data) > size:
                self._fail(LimitExceeded(f"the answer is larger than {size} bytes", limit="answer_size"))
            else:
                self._body += data
        return events

    def receive_eof(self) -> list[Event]:
        """Receive the end of the response's body. `settings` is set now, if the request was for settings.

        Returns:
            Usually nothing. If the stream was cut within a character, its first half as U+FFFD.

        Raises:
            IncompleteReply: if the stream ended without `done` or `error`. If this call has to return half a character,
                the next one raises.
            RequestRefused: for another status or content type.
            RemoteProtocolError: if the settings are invalid.
            LocalProtocolError: if no response has begun.
        """
        self._raise_if_failed()
        events: list[Event] = []
        if self._refusal is not None:
            self._fail(self._request_refused(self._refusal))
        elif self._state.bot in STREAMING:
            self._flush_halves(events)
            self._fail(IncompleteReply("the stream ended without done or error"))
        elif self._request is None or self._state.bot in (State.SEND_STREAM, State.SEND_ANSWER):
            raise LocalProtocolError("no response has begun; pass its head to receive_head first")
        elif isinstance(self._request, SettingsRequest) and self.settings is None:
            try:
                self.settings = decode_settings(bytes(self._body))
            except RemoteProtocolError as exc:
                self._fail(exc)
        if not events:
            self._raise_if_failed()
        return events

    # --- the stream

    def _receive_stream(self, data: bytes, events: list[Event]) -> None:
        records = self._buffer.receive_data(data)
        if records:
            payload = payload_of_text(records) if self._takes_fast_path else None
            if payload is None or not self._receive_text(payload, events):
                self._receive_complete(records, events)
        if len(self._buffer.unfinished) > self._limits.event_size and self._state.bot in STREAMING:
            self._receive_records(bytes(self._buffer.unfinished), events)  # raises, because the record is too large

    def _receive_complete(self, data: bytes, events: list[Event]) -> None:
        """Receive complete records."""
        place = 0
        while place < len(data) and self._state.bot in STREAMING:
            run = find_run(data, place) if self._takes_fast_path else None
            if run is None:
                end = start_of_next_run(data, place)
                self._receive_records(data[place:end], events)
            else:
                end, payloads = run
                if not self._receive_run(payloads, end - place, events):
                    self._receive_one_by_one(data[place:end], events)
            place = end

    def _receive_text(self, payload: bytes, events: list[Event]) -> bool:
        """Fast path: receive one text. Return False, and receive nothing, if it has to take the general path."""
        event = self._decode_text(payload)
        if event is None:
            return False
        index = event.index
        size = (len(payload) if payload.isascii() else len(payload.decode())) + _EVENT_OVERHEAD
        if index is not None:
            if not is_index(index):
                return False
            size += _INDEX_OVERHEAD
        limits = self._limits
        if (
            self._kept + size > limits.answer_size
            or self._events >= limits.answer_events
            or len(payload) + TEXT_RECORD_OVERHEAD > limits.event_size
        ):
            return False
        self._events += 1
        self._kept += size
        self._kept_text[index] = self._kept_text.get(index, 0) + size
        events.append(event)
        if index is None:
            self._fold_texts((event.text,))
        else:
            self._fold_event(event)
        return True

    def _receive_run(self, payloads: bytes | None, length: int, events: list[Event]) -> bool:
        """Fast path: receive a run of texts. Return False, and receive nothing, if it has to take the general path."""
        limits = self._limits
        if length > limits.event_size:
            return False
        if payloads is None:
            return True
        texts = load_texts(payloads)
        if texts is None:
            return False
        count = len(texts)
        characters = (len(payloads) if payloads.isascii() else len(payloads.decode())) - (count - 1)
        size = characters + count * _EVENT_OVERHEAD
        if self._kept + size > limits.answer_size or self._events + count > limits.answer_events:
            return False
        self._events += count
        self._kept += size
        self._kept_text[None] += size
        events += map(Text, texts)
        self._fold_texts(texts)
        return True

    def _receive_one_by_one(self, data: bytes, events: list[Event]) -> None:
        """Receive records of which one at least has to take the general path, each by itself."""
        for part in data[:-2].split(b"\n\n"):
            record = part + b"\n\n"
            payload = payload_of_text(record) if self._takes_fast_path else None
            if payload is None or not self._receive_text(payload, events):
                self._receive_records(record, events)
                if self._state.bot not in STREAMING:
                    return

    def _receive_records(self, data: bytes, events: list[Event]) -> None:
        for record in self._decoder.receive_data(data):
            try:
                self._receive_record(record, events)
            except RemoteProtocolError as exc:
                self._fail(exc)
            if self._state.bot not in STREAMING:
                return
        if self._decoder.error is not None:
            self._fail(self._decoder.error)
        self._takes_fast_path = self._state.bot in _TEXT_IS_SELF_TRANSITION and not self._surrogates.is_waiting

    def _receive_record(self, record: ServerSentEvent, events: list[Event]) -> None:
        cls = EVENT_CLASSES.get(record.event)
        is_end = cls is Done or cls is Error
        if not is_end:  # the end is received whatever was before it
            self._events += 1
            if self._events > self._limits.answer_events:
                limit = self._limits.answer_events
                raise LimitExceeded(f"the answer has more than {limit} events", limit="answer_events")
        if record.event == _PING:
            return
        if cls is None:
            events.append(UnknownEvent(record.event, record.data))
            return
        kind = KINDS[cls]
        state = self._state.bot
        if kind in IGNORED.get(state, ()):
            return
        event: Event | None = decode_event(record.event, record.data)
        if not is_end:
            self._count(event, _size(event, record.data))
        if not self._state.bot_sends(kind):
            self._state.bot = EXCUSED[state][kind]
        if isinstance(event, (Text, ReplaceResponse)):
            # ASCII contains no surrogate, and `isascii` costs nothing.
            if self._surrogates.is_waiting or not event.text.isascii():
                event = self._surrogates.join(event)
        elif is_end:
            self._flush_halves(events)
            if isinstance(event, Error):
                event = redact_error(event, self._key)
        if event is not None:
            events.append(event)
            self._fold_event(event)

    def _count(self, event: Event, size: int) -> None:
        """Count the data that a fold keeps, not the data received: a bot may replace its text ten thousand times."""
        if isinstance(event, Text):
            self._kept_text[event.index] = self._kept_text.get(event.index, 0) + size
        elif isinstance(event, ReplaceResponse):
            self._kept -= self._kept_text.get(event.index, 0)
            self._kept_text[event.index] = size
        self._kept += size
        if self._kept > self._limits.answer_size:
            raise LimitExceeded(
                f"the reply is larger than {self._limits.answer_size} characters, of which each event counts as"
                f" {_EVENT_OVERHEAD} or more besides its own",
                limit="answer_size",
            )

    def _flush_halves(self, events: list[Event]) -> None:
        for event in self._surrogates.flush():
            events.append(event)
            self._fold_event(event)

    def _request_refused(self, head: ResponseHead) -> RequestRefused:
        body = bytes(self._body)
        return refusal(RequestRefused, self._refusal_reason, head, body, self._key, self._limits)

    def _fail(self, error: PoeprotoError) -> None:
        self.error = error
        self._state.bot = State.ERROR

    def _raise_if_failed(self) -> None:
        if self.error is not None:
            raise self.error

    # Overridden by `PoeExchange`.

    def _fold_event(self, event: Event) -> None:
        pass

    def _fold_texts(self, texts: Iterable[str]) -> None:
        pass


class PoeExchange(UnfoldedPoeExchange):
    """Calls a bot once according to the protocol, without any I/O.

    `send` returns the request for an HTTP client to send. Pass the response to `receive_head`, `receive_data` and
    `receive_eof`, which return the events.

    Args:
        access_key: the bot's key, sent as a bearer token; None sends none.
        limits: the bounds it enforces.

    Raises:
        ValueError: if the key contains characters that a header cannot.

    Attributes:
        error: the fault of the peer, once there is one. The call that meets it returns the events before it; every
            later receiving call raises it.
        fold: the reply folded so far; also the `partial` of `error`.
        settings: the bot's settings, once the response to a `SettingsRequest` has been received to its end.
    """

    def __init__(self, access_key: str | None = None, limits: Limits | None = None) -> None:
        super().__init__(access_key, limits)
        self.fold: ReplyFold = ReplyFold()

    def _fold_event(self, event: Event) -> None:
        self.fold.add(event)

    def _fold_texts(self, texts: Iterable[str]) -> None:
        self.fold.add_texts(texts)

    def _fail(self, error: PoeprotoError) -> None:
        error.partial = self.fold
        super()._fail(error)


def _size(event: Event, data: str) -> int:
    """The size of an event in memory, approximately: a peer can choose values that take many times the size of their
    JSON.
    """
    # Unions such as `Json | UnknownEvent` would be made again for each call.
    size = len(data) + _EVENT_OVERHEAD
    if event.index is not None:
        size += _INDEX_OVERHEAD
    if isinstance(event, (Json, UnknownEvent)) or event.extra:
        size += _VALUE_OVERHEAD * sum(map(data.count, _STRUCTURE))
    return size
