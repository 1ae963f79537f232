"""The part of a file that a request asks for: `Range` and `If-Range`.

https://www.rfc-editor.org/rfc/rfc9110#section-14
"""

from __future__ import annotations

import re

from poeproto_simulator.responses import HTTPError

_ONE_RANGE = re.compile(
    r"bytes=[ \t]*(?:(?P<first>\d{1,19})-(?P<last>\d{0,19})|-(?P<suffix>\d{1,19}))[ \t]*", re.ASCII | re.IGNORECASE
)


def requested_range(ranges: str, if_range: str, etag: str, size: int) -> range | None:
    """The bytes that a GET request asks for; None for all of them.

    It ignores an invalid header and several ranges at once, as the specification allows.

    Args:
        ranges: the value of `Range`; empty without one.
        if_range: the value of `If-Range`; empty without one.
        etag: the entity tag of the file.
        size: the size of the file.

    Raises:
        HTTPError: with status 416, when the file has none of the bytes.
    """
    match = _ONE_RANGE.fullmatch(ranges)
    # The file has no date, so a date matches none.
    if match is None or not size or (if_range and if_range != etag):
        return None
    if match["suffix"]:
        part = range(max(size - int(match["suffix"]), 0), size)
    else:
        first, last = int(match["first"]), int(match["last"] or size - 1)
        if match["last"] and last < first:
            return None
        part = range(first, min(last + 1, size))
    if not part:
        raise HTTPError(416, f"the file has {size} bytes, and none of {ranges}", [("content-range", f"bytes */{size}")])
    return part
