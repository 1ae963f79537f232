"""Fast path for chunked bodies: reads plain chunks itself, because h11 takes ten times as long for each.

A chunked body without some of its chunks is still a chunked body, so h11 does not notice those read here. It gets
everything else: the last chunk with the trailers, and from the first chunk that is more than a size and its data (one
with an extension, say, or an invalid one) the whole rest, so that it alone decides what is valid.

https://www.rfc-editor.org/rfc/rfc9112#section-7.1
"""

from __future__ import annotations

import re

# A size other than 0 and nothing else. Sizes of more than eight digits and extensions are left to h11.
_HEAD = re.compile(rb"(?!0+\r)([0-9a-fA-F]{1,8})\r\n")
_CUT_HEAD = re.compile(rb"[0-9a-fA-F]{0,8}\r?\Z")
_END = b"\r\n"
_CR = b"\r"[0]


class ChunkReader:
    """Reads the plain chunks of one body, from its start.

    Attributes:
        fault: the error in the body, once one was found; nothing more can be read then.
        is_over: whether the rest of the body is for h11.
    """

    def __init__(self) -> None:
        self.fault = ""
        self.is_over = False
        self._left = 0  # bytes that the current chunk still lacks, without the CR LF after it
        self._at_end = False
        self._held: bytes = b""  # an incomplete size line, or the CR of an incomplete CR LF

    def read_one(self, data: bytes) -> bytes | None:
        """The content of the one chunk that the data is, as for an event that arrives alone; None for other data."""
        if self._left or self._at_end or self._held or self.is_over or data[-2:] != _END:
            return None
        # The size line that one chunk would have is compared, which takes half as long as parsing it. Another spelling
        # of the size (upper case, leading zeros) is left to `read`.
        end = data.find(_CR)
        size = len(data) - end - 4
        return data[end + 2 : -2] if size > 0 and data.startswith(b"%x\r\n" % size) else None

    def read(self, data: bytes) -> tuple[list[bytes], bytes]:
        """The contents of the chunks, and the bytes after them that are for h11."""
        parts: list[bytes] = []
        data, self._held = self._held + data, b""
        place = 0
        while place < len(data) and not self.is_over:
            if self._left:
                part = data[place : place + self._left]
                parts.append(part)
                self._left -= len(part)
                self._at_end = not self._left
                place += len(part)
            elif self._at_end:
                end = data[place : place + 2]
                if end == _END:
                    self._at_end = False
                    place += 2
                elif end == b"\r":
                    self._held = end
                    return parts, b""
                else:
                    self.fault = "a chunk does not end where its size says"
                    return parts, b""
            elif head := _HEAD.match(data, place):
                start, size = head.end(), int(head[1], 16)
                place = start + size
                if data[place : place + 2] == _END:  # a complete chunk, as nearly all are
                    parts.append(data[start:place])
                    place += 2
                else:
                    place, self._left = start, size
            elif _CUT_HEAD.match(data, place):
                self._held = data[place:]
                return parts, b""
            else:
                self.is_over = True
        return parts, data[place:]
