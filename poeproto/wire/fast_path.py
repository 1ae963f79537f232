"""Text records read by the hundred: the short way through a stream, for what nearly all of a stream is.

Bots write a text as two lines, ``event: text`` and ``data: {"text":"…"}``, and many of them follow each other. Such a
run is told from all else by one regular expression, and its payloads are parsed in one call. Whatever looks different
(other line ends, other spaces, other fields, other keys, a fault) is not a run, and is left to the way that knows every
rule: `SSEDecoder` for the records, `decode_event` for the payloads.

Data is given here between two records, and has no CR in it.
"""

from __future__ import annotations

import re

from poeproto.wire.json import load_texts

_START = b"event: text\ndata: "
_NEXT = b"\n\n" + _START
# Possessive, so that the time is linear and nothing is kept for going back. The dot leaves out LF; CR is looked for in
# all of the data at once, which takes a third of the time.
_RUN = re.compile(rb"(?:event: text\ndata: .*+\n\n)++")


def end_of_run(data: bytes, start: int) -> int:
    """Where the run of whole text records ends that starts there; `start` itself when none does."""
    run = _RUN.match(data, start)
    return start if run is None else run.end()


def start_of_next_run(data: bytes, start: int) -> int:
    """Where the next record after `start` begins that may be of a run; the end of the data when there is none."""
    found = data.find(_NEXT, start)
    return len(data) if found < 0 else found + 2


def is_in_a_record(data: bytes, start: int) -> bool:
    """Whether no record that begins at `start`, or later, is complete."""
    return data.find(b"\n\n", start) < 0


def texts_of_run(run: bytes) -> tuple[list[str], int] | None:
    """The texts of a run, and how many characters its payloads have; None unless each has a text and no more."""
    payloads = run[len(_START) : -2].replace(_NEXT, b"\n")
    texts = load_texts(payloads)
    if texts is None:
        return None
    line_ends = len(texts) - 1
    return texts, (len(payloads) if payloads.isascii() else len(payloads.decode())) - line_ends
