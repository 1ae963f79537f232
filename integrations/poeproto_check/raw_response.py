"""One HTTP/1.1 response, parsed from raw bytes; each violation of HTTP is recorded, and the rest is still parsed.

A client refuses an invalid response. A judge has to continue, and to report the fault. Its messages quote no bytes: a
server may repeat a key in them.

https://www.rfc-editor.org/rfc/rfc9112
"""

from __future__ import annotations

import re
from enum import Enum

from poeproto import ResponseHead

__all__ = ["RawResponse"]

_MAX_HEAD = 64 * 1024
_MAX_BODY = 32 * 1024 * 1024
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) (\d{3})( [^\x00-\x08\x0a-\x1f]*)?\Z")
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(;.*)?\Z")
_NO_BODY = frozenset({204, 304})


class _Expecting(Enum):
    HEAD = "head"
    CHUNK_SIZE = "chunk size"
    CHUNK = "chunk"
    CHUNK_END = "end of a chunk"
    TRAILERS = "trailers"
    SIZED = "a body of known length"
    UNTIL_CLOSE = "a body that ends with the connection"
    NOTHING = "nothing"


class RawResponse:
    """A response while it is received.

    Args:
        method: of the request: a response to HEAD has no body.

    Attributes:
        status: None before the head has been received, and for a response that is not HTTP.
        head: None as long as the status is.
        closes: whether the server announces that it closes the connection after this response.
        body: the body without the framing of HTTP.
        parts: the reads that the body arrived in, each with its time.
        is_complete: whether the end was there.
        problems: what is invalid.
        rest: the bytes after the end.
    """

    def __init__(self, method: str = "POST") -> None:
        self.status: int | None = None
        self.head: ResponseHead | None = None
        self.closes = False
        self.parts: list[tuple[float, bytes]] = []
        self.is_complete = False
        self.problems: list[str] = []
        self._method = method
        self._expecting = _Expecting.HEAD
        self._buffer = b""
        self._left = 0
        self._size = 0

    @property
    def body(self) -> bytes:
        return b"".join(part for _, part in self.parts)

    @property
    def rest(self) -> bytes:
        return self._buffer if self._expecting is _Expecting.NOTHING else b""

    @property
    def is_http(self) -> bool:
        return self.head is not None

    def get(self, name: str) -> str | None:
        """The value of a header; None without the header."""
        return None if self.head is None else self.head.get(name)

    def receive(self, data: bytes, at: float) -> None:
        """Receive the next read.

        Args:
            data: the bytes.
            at: the time of the read, in seconds.
        """
        self._buffer += data
        while self._buffer and self._step(at):
            pass

    def receive_reset(self) -> None:
        """Receive a reset of the connection: the response is incomplete."""
        if self.head is not None and self._expecting is not _Expecting.NOTHING:
            self._problem(f"the connection was reset where {self._expecting.value} was due")

    def receive_eof(self) -> None:
        """Receive the end of the connection."""
        if self._expecting is _Expecting.UNTIL_CLOSE:
            self._end()
        elif self._expecting is _Expecting.HEAD and self._buffer:
            self._problem("the connection ended within the head of the response")
        elif self._expecting not in (_Expecting.HEAD, _Expecting.NOTHING):
            self._problem(f"the connection ended where {self._expecting.value} was due")

    def _step(self, at: float) -> bool:
        """Parse one element; whether there was a whole one."""
        match self._expecting:
            case _Expecting.HEAD:
                return self._read_head()
            case _Expecting.CHUNK_SIZE:
                return self._read_chunk_size()
            case _Expecting.CHUNK | _Expecting.SIZED:
                return self._read_sized(at)
            case _Expecting.CHUNK_END:
                return self._read_chunk_end()
            case _Expecting.TRAILERS:
                return self._read_trailer()
            case _Expecting.UNTIL_CLOSE:
                self._add(self._buffer, at)
                self._buffer = b""
                return False
            case _Expecting.NOTHING:
                return False

    def _read_head(self) -> bool:
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            bare, end, rest = self._buffer.partition(b"\n\n")
            if not end or not bare.startswith(b"HTTP/"):
                return self._refuse_head_without_end()
            self._problem("the lines of the head end with LF instead of CR LF")
            head = bare.replace(b"\n", b"\r\n")
        self._buffer = rest
        first, *lines = head.split(b"\r\n")
        match = _STATUS_LINE.match(first)
        if match is None:
            return self._stop("the response does not begin with a status line of HTTP/1.1")
        status = int(match[2])
        if 100 <= status < 200 and status != 101:
            return True  # an interim response
        self.status = status
        headers = [pair for line in lines if (pair := self._header(line)) is not None]
        self.head = ResponseHead(status, headers)
        connection = [each.lower() for each in self._list("connection")]
        self.closes = "close" in connection or (match[1] == b"0" and "keep-alive" not in connection)
        self._begin_body(match[1] == b"0")
        return True

    def _refuse_head_without_end(self) -> bool:
        start = self._buffer[:5]
        if not b"HTTP/".startswith(start):
            return self._stop("the response does not begin with a status line of HTTP/1.1")
        if len(self._buffer) > _MAX_HEAD:
            return self._stop(f"the head of the response is larger than {_MAX_HEAD} bytes")
        return False

    def _header(self, line: bytes) -> tuple[bytes, bytes] | None:
        name, colon, value = line.partition(b":")
        if not colon or not _TOKEN.match(name):
            self._problem("a line of the head is not a header")
            return None
        if re.search(rb"[\x00\r\n]", value):
            self._problem("the value of a header contains a control character")
            return None
        return name.lower(), value.strip(b" \t")

    def _list(self, name: str) -> list[str]:
        """The elements of a header that is a list, of all its lines."""
        assert self.head is not None, "called with the head"
        return [each.strip().decode("latin-1") for value in self.head.get_all(name) for each in value.split(b",")]

    def _begin_body(self, old: bool) -> None:
        assert self.head is not None, "called with the head"
        codings = [each.lower() for each in self._list("transfer-encoding")]
        lengths = set(self._list("content-length"))
        if codings and lengths:
            self._problem("the head has both Transfer-Encoding and Content-Length")
        if len(lengths) > 1 or any(not length.isdigit() or len(length) > 18 for length in lengths):
            self._problem("Content-Length is not one number")
            lengths = set[str]()
        if codings and old:
            self._problem("a response of HTTP/1.0 has Transfer-Encoding")
        if codings and codings != ["chunked"]:
            self._problem("Transfer-Encoding is not chunked")
        if self._method == "HEAD" or self.head.status in _NO_BODY:
            self._end()
        elif "chunked" in codings:
            self._expecting = _Expecting.CHUNK_SIZE
        elif lengths:
            self._left = int(lengths.pop())
            self._expecting = _Expecting.SIZED
            if not self._left:
                self._end()
        else:
            self.closes = True
            self._expecting = _Expecting.UNTIL_CLOSE

    def _read_chunk_size(self) -> bool:
        line, end, rest = self._buffer.partition(b"\r\n")
        if not end:
            return self._stop("a chunk has no size") if len(line) > 1024 else False
        match = _CHUNK_SIZE.match(line)
        if match is None:
            return self._stop("the size of a chunk is not a number")
        self._buffer = rest
        self._left = int(match[1], 16)
        self._expecting = _Expecting.CHUNK if self._left else _Expecting.TRAILERS
        return True

    def _read_sized(self, at: float) -> bool:
        part, self._buffer = self._buffer[: self._left], self._buffer[self._left :]
        self._add(part, at)
        self._left -= len(part)
        if not self._left and self._expecting is _Expecting.SIZED:
            self._end()
        elif not self._left and self._expecting is _Expecting.CHUNK:
            self._expecting = _Expecting.CHUNK_END
        return True

    def _read_chunk_end(self) -> bool:
        if not b"\r\n".startswith(self._buffer[:2]):
            return self._stop("a chunk does not end where its size says")
        if len(self._buffer) < 2:
            return False
        self._buffer = self._buffer[2:]
        self._expecting = _Expecting.CHUNK_SIZE
        return True

    def _read_trailer(self) -> bool:
        line, end, rest = self._buffer.partition(b"\r\n")
        if not end:
            return self._stop("the trailers are too long") if len(line) > _MAX_HEAD else False
        self._buffer = rest
        if not line:
            self._end()
        return True

    def _add(self, part: bytes, at: float) -> None:
        self._size += len(part)
        if self._size > _MAX_BODY:
            self._stop(f"the body is larger than {_MAX_BODY} bytes")
        else:
            self.parts.append((at, part))

    def _end(self) -> None:
        self.is_complete = True
        self._expecting = _Expecting.NOTHING

    def _stop(self, problem: str) -> bool:
        self._problem(problem)
        self._expecting = _Expecting.NOTHING
        self._buffer = b""
        return False

    def _problem(self, problem: str) -> None:
        self.problems.append(problem)

    @property
    def is_over(self) -> bool:
        """Whether nothing more is expected: it is complete, or so invalid that its end cannot be found."""
        return self._expecting is _Expecting.NOTHING
