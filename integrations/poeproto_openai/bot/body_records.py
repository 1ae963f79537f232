"""The records of a response's body: server-sent events, or JSON where an endpoint answers without a stream.

Endpoints differ here before a word of OpenAI's format is read. Some answer a request for a stream with one JSON object,
some with an object a line, and proxies answer with a web page. The first character that is not white space tells them
apart, since the content type is often wrong.
"""

from __future__ import annotations

import json
from typing import Any

import attrs

from poeproto import LimitExceeded, Limits, RemoteProtocolError, SSEDecoder, decode_object

_BOM = b"\xef\xbb\xbf"
_FIRST_OF_JSON = b"{["
_FIRST_OF_MARKUP = b"<"
_SPACES = b" \t\r\n"


@attrs.frozen
class BodyRecord:
    """One record of the body.

    Attributes:
        event: the name of the server-sent event; "message" without one, and in JSON.
        data: the payload, as text.
        is_whole: whether it is, or is a line of, a body without server-sent events.
    """

    event: str
    data: str
    is_whole: bool = False


class BodyDecoder:
    """Decodes the bytes of a body to its records, however the bytes are cut.

    Args:
        limits: `Limits.event_size` bounds a record, and also a whole body in JSON.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._start = bytearray()  # until the first character is known
        self._whole: bytearray | None = None  # a body without server-sent events
        self._decoder: SSEDecoder | None = None

    def receive_data(self, data: bytes) -> list[BodyRecord]:
        """The records that these bytes complete.

        Raises:
            LimitExceeded: for a record that is too large. Those before it were returned by earlier calls, or are lost.
        """
        if self._decoder is None and self._whole is None:
            self._start += data
            content = bytes(self._start).removeprefix(_BOM).lstrip(_SPACES)
            if not content or _BOM.startswith(content):
                self._check_size(self._start)
                return []
            data = bytes(self._start)
            if content[0] in _FIRST_OF_JSON or content[0] in _FIRST_OF_MARKUP:
                self._whole, data = bytearray(), content
            else:
                self._decoder = SSEDecoder(max_event_size=self._limits.event_size)
        if self._whole is not None:
            self._whole += data
            self._check_size(self._whole)
            return []
        return self._decode(data)

    def receive_eof(self) -> list[BodyRecord]:
        """The records that the end of the body completes.

        The standard drops a server-sent event without a blank line after it. Some endpoints end with such a one, so it
        is read here: whether it is whole shows in its JSON.
        """
        if self._whole is None:
            return self._decode(b"\n\n") if self._decoder is not None else []
        text = self._whole.decode("utf-8", "replace")
        if text.startswith("<") or _is_json(text):
            return [BodyRecord("message", text, is_whole=True)]
        return [BodyRecord("message", line, is_whole=True) for line in text.splitlines() if line.strip()]

    def _decode(self, data: bytes) -> list[BodyRecord]:
        assert self._decoder is not None
        return [BodyRecord(record.event, record.data) for record in self._decoder.receive_data(data)]

    def _check_size(self, received: bytearray) -> None:
        if len(received) > self._limits.event_size:
            raise LimitExceeded(f"the body is larger than {self._limits.event_size} bytes", limit="event_size")


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def object_in(data: str) -> dict[str, Any]:
    """The JSON object in a record; of an array, its first element: Gemini's endpoint wraps its errors in one.

    Raises:
        RemoteProtocolError: if there is none.
    """
    if data.startswith("["):
        data = data[1:].removesuffix("]")
    try:
        return decode_object(data)
    except RemoteProtocolError as exc:
        raise RemoteProtocolError(f"a part of the endpoint's answer cannot be read: {exc}") from exc
