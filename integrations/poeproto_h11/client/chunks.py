"""Chunks of a body, taken off before h11 sees them: it takes ten times as long for each.

A chunked body stays one when whole chunks are left out of it, so what is taken here changes nothing for h11, which gets
all else: the end of the body, and from the first chunk on that is not just a size and its data, whatever comes.

https://www.rfc-editor.org/rfc/rfc9112#section-7.1
"""

from __future__ import annotations

import re

# A size other than 0, and nothing else. Larger sizes than eight digits can say are left to h11, as are extensions.
_HEAD = re.compile(rb"(?!0+\r)([0-9a-fA-F]{1,8})\r\n")
_CUT_HEAD = re.compile(rb"[0-9a-fA-F]{0,8}\r?\Z")
_END = b"\r\n"


class ChunkTaker:
    """Takes the chunks out of what comes of one body, which it is given from the start.

    Attributes:
        fault: what is wrong, once something is; nothing can be taken any more then.
    """

    def __init__(self) -> None:
        self.fault = ""
        self._left = 0  # bytes of the chunk under way, its end not included
        self._at_end = False
        self._held = b""  # a head or an end, cut short
        self._over = False

    def take(self, data: bytes) -> tuple[list[bytes], bytes]:
        """What is in the chunks, and what h11 is to be given, which comes after that."""
        parts: list[bytes] = []
        data, self._held = self._held + data, b""
        place = 0
        while place < len(data) and not self._over:
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
                if data[place : place + 2] == _END:  # it is whole, as nearly all of them are
                    parts.append(data[start:place])
                    place += 2
                else:
                    place, self._left = start, size
            elif _CUT_HEAD.match(data, place):
                self._held = data[place:]
                return parts, b""
            else:
                self._over = True
        return parts, data[place:]
