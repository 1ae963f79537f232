"""Server-sent events: bytes to records and records to bytes.

The decoder follows "9.2.6 Interpreting an event stream" of the WHATWG HTML standard to the letter
(https://html.spec.whatwg.org/multipage/server-sent-events.html), with one addition: a record has a largest size.

A *record* is a group of lines up to a blank line; the standard calls its dispatch an event. In this library an *event*
is the protocol's value that a record encodes (`wire.codec`).

**Linear time.** Bytes arrive in pieces of any size, one byte each in the worst case. A line is searched for its end
once: the beginning of a line without an end is appended to `_unfinished_line`, and only new bytes are searched.

**Errors are sticky and do not swallow records.** The call that exceeds the bound returns the records that were complete
before it and sets `error`; every later call raises `error`. The outcome is the same however the bytes are cut.
"""

from __future__ import annotations

import re

import attrs

from poeproto.limits import Limits
from poeproto.vocabulary.errors import LimitExceeded, LocalProtocolError
from poeproto.wire.received_data import as_bytes

__all__ = ["SSEDecoder", "ServerSentEvent", "encode_sse"]

_BOM = b"\xef\xbb\xbf"
_DEFAULT_SIZE = Limits().event_size
_CR, _LF = b"\r"[0], b"\n"[0]
_LINE_BREAK = re.compile("\r\n|\r|\n")
_FORBIDDEN_IN_A_LINE = re.compile("[\r\n\0]")
# Every Python converts this many digits to an integer, however it is configured
# (sys.int_info.str_digits_check_threshold).
_RETRY_DIGITS = 640


@attrs.frozen
class ServerSentEvent:
    """One dispatched record.

    Attributes:
        event: the event name, "message" if the record has none.
        data: the data lines, joined by line feeds.
        id: the last identifier in the stream so far, from this record or an earlier one.
        retry: the last valid reconnection time in the stream so far, in milliseconds.
    """

    event: str
    data: str
    id: str = ""
    retry: int | None = None


class RecordBuffer:
    """Cuts the bytes of one stream between records, and translates the line ends CR LF and CR to LF.

    So the returned bytes can be searched for whole records. An unfinished record is kept until its end arrives; the
    caller compares `unfinished` with its limit after each call. It is empty, or all of it is one record, of which it
    has exactly the size that `SSEDecoder` counts.

    Attributes:
        unfinished: the beginning of the record that is not complete yet.
    """

    __slots__ = ("_after_cr", "unfinished")

    def __init__(self) -> None:
        self._after_cr = False
        self.unfinished: bytearray = bytearray()

    def receive_data(self, data: bytes) -> bytes:
        """All records that these bytes complete."""
        if _CR in data or self._after_cr:  # an int, since a search for bytes takes six times as long
            data = self._with_line_feeds(data)
        unfinished = self.unfinished
        if unfinished:
            # The blank line may begin with the last byte of the previous call; earlier bytes were searched already.
            searched = len(unfinished) - 1
            unfinished += data
            end = unfinished.rfind(b"\n\n", searched) + 2
            if end < 2:
                return b""
            data = bytes(unfinished[:end])
            del unfinished[:end]
            return data
        if data.endswith(b"\n\n"):
            return data
        end = data.rfind(b"\n\n") + 2
        if end < 2:  # no blank line, unless the data begins with one
            end = len(data) - len(data.lstrip(b"\n"))
        unfinished += data[end:]
        return data[:end]

    def _with_line_feeds(self, data: bytes) -> bytes:
        # A CR ended its line at once. If it was the first half of a CR LF, its LF is dropped here.
        if self._after_cr:
            if not data:
                return data
            data = data.removeprefix(b"\n")
        self._after_cr = data[-1:] == b"\r"
        data = data.replace(b"\r\n", b"\n")
        return data.replace(b"\r", b"\n") if _CR in data else data


class SSEDecoder:
    """Decodes the bytes of one stream to records, however the bytes are cut.

    Args:
        max_event_size: the largest size of a record in bytes, its comments and unknown fields included.
        dispatch_without_data: names of events that are dispatched even without a data line. The standard drops such a
            record; Poe's `done` may come without data.

    Attributes:
        error: the error once there is one. Every later call raises it.
    """

    def __init__(
        self, *, max_event_size: int = _DEFAULT_SIZE, dispatch_without_data: frozenset[str] = frozenset()
    ) -> None:
        self.error: LimitExceeded | None = None
        self._max_event_size = max_event_size
        self._dispatch_without_data = dispatch_without_data
        self._at_start = True
        self._after_cr = False
        self._unfinished_line = bytearray()
        self._size = 0  # of the complete lines since the last blank line
        self._event = ""
        self._data: bytearray | None = None  # not a list of lines, whose overhead the peer could choose
        self._id = ""
        self._retry: int | None = None

    def receive_data(self, data: bytes) -> list[ServerSentEvent]:
        """The records that these bytes complete.

        Raises:
            LimitExceeded: on every call after the one that exceeded `max_event_size`. That one returns the records
                before the fault and sets `error`.
            TypeError: for a string.
        """
        if self.error is not None:
            raise self.error
        if data.__class__ is not bytes:
            data = as_bytes(data)
        if not data:
            return []
        # A CR ends a line at once. If it was the first half of a CR LF, its LF is dropped here.
        if self._after_cr and data[0] == _LF:
            data = data[1:]
            if not data:
                self._after_cr = False
                return []
        self._after_cr = data[-1] == _CR
        # bytes.splitlines, unlike str.splitlines, splits at CR, LF and CR LF only, as the standard does.
        lines = data.splitlines()
        rest = b"" if data[-1] in (_CR, _LF) else lines.pop()
        if lines and self._unfinished_line:
            lines[0] = bytes(self._unfinished_line) + lines[0]
            self._unfinished_line.clear()
        events: list[ServerSentEvent] = []
        for line in lines:
            if self._size + len(line) > self._max_event_size:
                return self._fail(events)
            if line:
                self._size += len(line) + 1
                self._receive_line(line)
            else:
                self._at_start = False
                self._dispatch(events)
        if self._size + len(self._unfinished_line) + len(rest) > self._max_event_size:
            return self._fail(events)
        self._unfinished_line += rest
        return events

    def receive_eof(self) -> list[ServerSentEvent]:
        """The records that the end of the stream completes: none, since the standard discards an unfinished record.

        Raises:
            LimitExceeded: if an earlier call exceeded `max_event_size`.
        """
        if self.error is not None:
            raise self.error
        self._unfinished_line.clear()
        self._data = None
        return []

    def _fail(self, events: list[ServerSentEvent]) -> list[ServerSentEvent]:
        self._unfinished_line.clear()
        self._data = None
        self.error = LimitExceeded(
            f"an event of the stream is larger than {self._max_event_size} bytes", limit="event_size"
        )
        return events

    def _receive_line(self, line: bytes) -> None:
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(_BOM)
        name, _, value = line.partition(b":")
        if value[:1] == b" ":
            value = value[1:]
        if name == b"data":
            if self._data is None:
                self._data = bytearray(value)
            else:
                self._data += b"\n"
                self._data += value
        elif name == b"event":
            self._event = value.decode("utf-8", "replace")
        elif name == b"id":
            if b"\0" not in value:
                self._id = value.decode("utf-8", "replace")
        elif name == b"retry" and value.isdigit() and len(value) <= _RETRY_DIGITS:
            self._retry = int(value)

    def _dispatch(self, events: list[ServerSentEvent]) -> None:
        if self._data is not None or self._event in self._dispatch_without_data:
            data = "" if self._data is None else self._data.decode("utf-8", "replace")
            events.append(ServerSentEvent(self._event or "message", data, self._id, self._retry))
            self._data = None
        self._event = ""
        self._size = 0


def encode_sse(event: str, data: str, *, id: str | None = None, retry: int | None = None) -> bytes:
    """One record as bytes.

    Args:
        event: the event name. "message", the standard's default, is not written.
        data: the payload. Each of its lines becomes a data line; CR and CR LF arrive as LF.
        id: the identifier of the record.
        retry: the reconnection time in milliseconds.

    Raises:
        LocalProtocolError: if name or identifier contain CR, LF or NUL, if the name is empty, if `retry` is negative,
            or if a string contains a lone surrogate, which UTF-8 cannot encode.
    """
    for what, line in (("event name", event), ("identifier", id or "")):
        if _FORBIDDEN_IN_A_LINE.search(line):
            raise LocalProtocolError(f"the {what} {line!r} contains CR, LF or NUL")
    if not event:
        raise LocalProtocolError("the event name is empty")
    if retry is not None and retry < 0:
        raise LocalProtocolError(f"retry must be a number of milliseconds, got {retry}")
    lines = [] if event == "message" else [f"event: {event}"]
    if id is not None:
        lines.append(f"id: {id}")
    if retry is not None:
        lines.append(f"retry: {retry}")
    lines += [f"data: {line}" for line in _LINE_BREAK.split(data)]
    try:
        return "\n".join([*lines, "", ""]).encode()
    except UnicodeEncodeError as exc:
        raise LocalProtocolError(f"the {event!r} event contains a lone surrogate, which UTF-8 cannot encode") from exc


def encode_comment(text: str = "") -> bytes:
    """A comment, which decoders skip. It is sent as a heartbeat, to keep an idle connection open.

    Raises:
        LocalProtocolError: if the text contains CR, LF, NUL or a lone surrogate.
    """
    if _FORBIDDEN_IN_A_LINE.search(text):
        raise LocalProtocolError(f"the comment {text!r} contains CR, LF or NUL")
    try:
        return f": {text}\n\n".encode()
    except UnicodeEncodeError as exc:
        raise LocalProtocolError("the comment contains a lone surrogate, which UTF-8 cannot encode") from exc
