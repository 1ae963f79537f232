"""Server-sent events: bytes to records and records to bytes.

The reader follows "9.2.6 Interpreting an event stream" of the WHATWG HTML standard to the letter
(https://html.spec.whatwg.org/multipage/server-sent-events.html), with one addition: it is bounded.
"""

from __future__ import annotations

import re

import attrs

from poeproto.limits import Limits
from poeproto.vocabulary.errors import LimitExceeded, LocalProtocolError

__all__ = ["SSEDecoder", "ServerSentEvent", "encode_sse"]

_BOM = b"\xef\xbb\xbf"
_DEFAULT_SIZE = Limits().event_size
_CR, _LF = b"\r"[0], b"\n"[0]
_LINE_BREAK = re.compile("\r\n|\r|\n")
_FORBIDDEN_IN_A_LINE = re.compile("[\r\n\0]")
# The fewest digits that every Python is willing to turn into an integer (sys.int_info.str_digits_check_threshold).
_RETRY_DIGITS = 640


@attrs.frozen
class ServerSentEvent:
    """One dispatched record.

    Attributes:
        event: the event's name, "message" where the stream gave none.
        data: the data lines, joined by line feeds.
        id: the last identifier seen in the stream so far, this record's or an earlier one's.
        retry: the last valid reconnection time seen so far, in milliseconds.
    """

    event: str
    data: str
    id: str = ""
    retry: int | None = None


class SSEDecoder:
    """Turns the bytes of one stream into records, however the bytes are cut.

    Args:
        max_event_size: how many bytes one record may take on the wire, its comments and unknown fields included.
        dispatch_without_data: names of events to dispatch even when they have no data line. The standard drops such a
            record; Poe's `done` is understood without one.

    The time taken is linear in the bytes fed, whatever the cuts. After a failure, `error` holds it, and every
    later call raises it again; records that were complete before the fault have been returned by then.
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
        self._size = 0  # of the complete lines since the last blank one
        self._event = ""
        self._data: bytearray | None = None  # not a list of lines: the peer chooses how small they are
        self._id = ""
        self._retry: int | None = None

    @property
    def between_records(self) -> bool:
        """Whether a record has ended with the last byte, so that the next begins one; False at the stream's start, and
        after a CR, which an LF may follow.
        """
        return not (self._size or self._unfinished_line or self._after_cr or self._at_start)

    def receive_data(self, data: bytes) -> list[ServerSentEvent]:
        """The records that these bytes complete.

        Raises:
            LimitExceeded: on the first call after the bound was passed. The call that passes it returns the records
                that came before and sets `error`.
        """
        if self.error is not None:
            raise self.error
        if not data:
            return []
        # A lone CR ends a line at once, so the LF of a CR LF that was cut in two is dropped when it arrives.
        if self._after_cr and data[0] == _LF:
            data = data[1:]
            if not data:
                self._after_cr = False
                return []
        self._after_cr = data[-1] == _CR
        # bytes.splitlines, unlike str.splitlines, knows just the standard's three line ends.
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
                self._take_line(line)
            else:
                self._at_start = False
                self._take_blank_line(events)
        if self._size + len(self._unfinished_line) + len(rest) > self._max_event_size:
            return self._fail(events)
        self._unfinished_line += rest
        return events

    def receive_eof(self) -> list[ServerSentEvent]:
        """What the end of the stream completes: nothing, since the standard discards an unterminated record.

        Raises:
            LimitExceeded: when the stream had failed before.
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

    def _take_line(self, line: bytes) -> None:
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

    def _take_blank_line(self, events: list[ServerSentEvent]) -> None:
        if self._data is not None or self._event in self._dispatch_without_data:
            data = "" if self._data is None else self._data.decode("utf-8", "replace")
            events.append(ServerSentEvent(self._event or "message", data, self._id, self._retry))
            self._data = None
        self._event = ""
        self._size = 0


def encode_sse(event: str, data: str, *, id: str | None = None, retry: int | None = None) -> bytes:
    """One record as bytes.

    Args:
        event: the event's name; "message" is the standard's default and is not written.
        data: the payload; each of its lines becomes a data line, and CR and CR LF arrive as LF.
        id: the record's identifier.
        retry: the reconnection time in milliseconds.

    Raises:
        LocalProtocolError: when name or identifier hold CR, LF or NUL, when the name is empty, when retry is negative,
            or when a string holds a lone surrogate, which UTF-8 cannot carry.
    """
    for what, line in (("event name", event), ("identifier", id or "")):
        if _FORBIDDEN_IN_A_LINE.search(line):
            raise LocalProtocolError(f"the {what} {line!r} holds CR, LF or NUL")
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
        raise LocalProtocolError(f"the {event!r} event holds a lone surrogate, which UTF-8 cannot carry") from exc


def encode_comment(text: str = "") -> bytes:
    """A comment, which readers skip: it keeps a silent connection open.

    Raises:
        LocalProtocolError: when the text holds CR, LF, NUL or a lone surrogate.
    """
    if _FORBIDDEN_IN_A_LINE.search(text):
        raise LocalProtocolError(f"the comment {text!r} holds CR, LF or NUL")
    try:
        return f": {text}\n\n".encode()
    except UnicodeEncodeError as exc:
        raise LocalProtocolError("the comment holds a lone surrogate, which UTF-8 cannot carry") from exc
