"""Targets: server-sent events, decoded and encoded."""

from __future__ import annotations

import contextlib
import re

import attrs

from poeproto import InvalidValue, LimitExceeded, LocalProtocolError, ServerSentEvent, SSEDecoder, encode_sse
from poeproto.markdown import create_bot_url, inline_reference, markdown_image, markdown_link
from poeproto.wire.sse import encode_comment
from tests.fuzzing.inputs import chance_of, cuts
from tests.support.naive_sse import bounded_reference


def read(parts: list[bytes], max_event_size: int) -> tuple[list[ServerSentEvent], LimitExceeded | None]:
    """The records, and the error, which must be the documented one and sticky."""
    decoder = SSEDecoder(max_event_size=max_event_size)
    records: list[ServerSentEvent] = []
    for part in parts:
        try:
            records += decoder.receive_data(part)
        except LimitExceeded as exc:
            assert exc is decoder.error
        held = len(decoder._unfinished_line) + len(decoder._data or b"")
        assert held <= max_event_size
    if decoder.error is None:
        assert decoder.receive_eof() == []
    return records, decoder.error


def sse(data: bytes) -> None:
    """The decoder agrees with the naive one, however the stream is cut. It raises nothing but `LimitExceeded`."""
    chance = chance_of(data)
    max_event_size = chance.choice((1 << 20, 1 << 20, 100, 20))
    records, too_large = bounded_reference(data, max_event_size)
    for parts in ([data], cuts(data, chance)):
        found, error = read(parts, max_event_size)
        assert found == records, parts
        assert (error is not None) is too_large, parts
    for record in records:
        written_again(record)


def written_again(record: ServerSentEvent) -> None:
    """A decoded record can be encoded, unless its name contains NUL, and is decoded as the same single record."""
    try:
        wire = encode_sse(record.event, record.data, id=record.id, retry=record.retry)
    except LocalProtocolError:
        assert "\0" in record.event
        return
    alone = SSEDecoder(max_event_size=1 << 20).receive_data(wire)
    assert alone == [attrs.evolve(record, data=record.data.replace("\r", "\n"))]


def writing(data: bytes) -> None:
    """Any strings: `LocalProtocolError`, or exactly one record for an event and none for a comment."""
    event, id, text, *_ = [*data.decode("utf-8", "surrogateescape").split("|", 2), "", ""]
    unwritable = re.compile("[\r\n\0\ud800-\udfff]")
    try:
        wire = encode_sse(event, text, id=id)
    except LocalProtocolError:
        assert not event or unwritable.search(event + id) or re.search("[\ud800-\udfff]", text)
    else:
        decoded = SSEDecoder().receive_data(wire)
        assert decoded == [ServerSentEvent(event, re.sub("\r\n?", "\n", text), id)]
    try:
        wire = encode_comment(event)
    except LocalProtocolError:
        assert unwritable.search(event)
    else:
        assert SSEDecoder().receive_data(wire + b"data: x\n\n") == [ServerSentEvent("message", "x")]
    assert_one_line(event, text)


def assert_one_line(url: str, text: str) -> None:
    """Markdown stays within one line, whatever it contains; nothing but `InvalidValue` is raised."""
    for make in (markdown_link, markdown_image, inline_reference):
        try:
            piece = make(url, text)
        except InvalidValue:
            continue
        assert not re.search("[\r\n]", piece)
        assert piece.endswith((")", "]"))
    with contextlib.suppress(InvalidValue):
        assert create_bot_url(prompt=text, base_bot=url).isascii()
