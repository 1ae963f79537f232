"""Fast path: parse runs of consecutive `text` events in one call, and a text that arrives alone with few steps.

Nearly all of a stream is text events. A bot writes each of them as the two lines ``event: text`` and
``data: {"text":"…"}``, or in one of the spellings that other servers use: an `id`, a `retry` or a comment beside the
two lines, the two lines in the other order, no space after the colon, comments between the records (the ping of
sse-starlette). One regular expression finds a run of such records, and one call of msgspec parses the payloads of the
whole run.

Everything else takes the general path, which knows every rule: `SSEDecoder` for records, `decode_event` for payloads.
That includes other fields, other keys, and faults. `PoeExchange` chooses between the two, and the choice never shows:
both give the same events and the same error, whatever the bytes and however they are cut
(`tests/core/wire/test_sse_fast_path.py`). The functions here only return where a run begins and ends, and its texts;
they keep no state.

The data for these functions is made by `RecordBuffer`: complete records without any CR.

Gain: an event in a read of 4,096 bytes takes an eighth of the time of the general path, one that arrives alone
a third. `python -m benchmarks codec` measures it ("reading a stream of texts").
"""

from __future__ import annotations

import re

_START = b"event: text\ndata: "
_START_LENGTH = len(_START)
# How many bytes such a record has besides its payload.
TEXT_RECORD_OVERHEAD = _START_LENGTH + 2
_NEXT = b"\n\n" + _START
# In every expression the quantifiers are possessive, so that the time is linear and no positions are stored for
# backtracking. The dot does not match LF.
_RUN = re.compile(rb"(?:event: text\ndata: .*+\n\n)++")
# Lines that change no event: identifier, reconnection time, comment. A record may have nothing else, as a ping.
_IGNORED = rb"(?:(?:id|retry|):.*+\n)*+"
_EVENT, _DATA = rb"event: ?+text\n", rb"data:.*+\n"
_EITHER_ORDER = rb"(?:%b%b%b|%b%b%b)" % (_EVENT, _IGNORED, _DATA, _DATA, _IGNORED, _EVENT)
_DIALECT_RUN = re.compile(rb"(?:%b(?:%b%b)?+\n)++" % (_IGNORED, _EITHER_ORDER, _IGNORED))
_START_OF_RUN = re.compile(rb"\n\n(?=event: ?text\n|data:|id:|retry:|:)")
# From this size on, an expression finds the payloads faster than a search for the bytes between them: a search for
# many bytes is slow in CPython, three times as slow as the expression for texts of 4 KiB.
_LONG = 128
_PAYLOADS = re.compile(rb"\ndata: ?+(.*+)")


def payload_of_text(data: bytes) -> bytes | None:
    """The payload of complete records that are one record of just the two usual lines; None if they are not."""
    # Complete records end with a blank line. Slices and counts are the fastest tests for short data.
    if data[:_START_LENGTH] == _START and data.count(b"\n") == 3:
        return data[_START_LENGTH:-2]
    return None


def find_run(data: bytes, start: int) -> tuple[int, bytes | None] | None:
    """The run that begins at `start`: where it ends, and its payloads, each on a line; None if none begins there.

    The payloads are None for a run of nothing but comments, or of other records that have no effect.
    """
    run = _RUN.match(data, start)
    if run is not None:
        end = run.end()
        if data.find(b"\n", start + _START_LENGTH) - start < _LONG:
            return end, data[start + _START_LENGTH : end - 2].replace(_NEXT, b"\n")
        return end, b"\n".join(_PAYLOADS.findall(data, start, end))
    run = _DIALECT_RUN.match(data, start)
    if run is None:
        return None
    payloads: list[bytes] = _PAYLOADS.findall(b"\n" + run[0])
    return run.end(), b"\n".join(payloads) if payloads else None


def start_of_next_run(data: bytes, start: int) -> int:
    """The offset of the next record after `start` that may be part of a run; the end of the data if there is none."""
    found = _START_OF_RUN.search(data, start)
    return len(data) if found is None else found.end()
