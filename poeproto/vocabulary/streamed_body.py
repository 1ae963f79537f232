"""The body of an upload: a file that is never in memory as a whole, with bytes before and after it."""

from __future__ import annotations

from typing import Any

import attrs

from poeproto.vocabulary.errors import InvalidValue, LocalProtocolError
from poeproto.vocabulary.field_types import check_types
from poeproto.vocabulary.repr_redaction import body_size

__all__ = ["BodyWriter", "StreamedBody"]


@attrs.frozen
class StreamedBody:
    """A body that is never in memory as a whole: a file with bytes before and after it.

    Attributes:
        prefix: the bytes before the file.
        source: the file, as the integration reads it; the core does not use it.
        source_size: the size of the file in bytes.
        suffix: the bytes after the file.
        repeatable: whether the file can be read again from its start, so that the request can be retried.

    Raises:
        TypeError: for a field of another type.
        InvalidValue: for a negative size.
    """

    prefix: bytes = attrs.field(repr=body_size)
    source: Any = attrs.field(repr=False)
    source_size: int
    suffix: bytes = attrs.field(repr=body_size)
    repeatable: bool = False

    def __attrs_post_init__(self) -> None:
        check_types(self)
        if self.source_size < 0:
            raise InvalidValue(f"{self.source_size} is negative", path="source_size")

    def __len__(self) -> int:
        return len(self.prefix) + self.source_size + len(self.suffix)


class BodyWriter:
    """Writes a `StreamedBody` part by part, and checks that it has its declared length.

    Call `begin`, then `send` for each part of the file, then `end`. Another order raises `LocalProtocolError`.

    Args:
        body: the body.
    """

    def __init__(self, body: StreamedBody) -> None:
        self._body = body
        self._left = body.source_size
        self._begun = False
        self._ended = False

    def begin(self) -> bytes:
        """The bytes before the file."""
        if self._ended or self._begun:
            raise LocalProtocolError(f"the body has {'ended' if self._ended else 'begun already'}")
        self._begun = True
        return self._body.prefix

    def send(self, chunk: bytes) -> bytes:
        """The next part of the file.

        Raises:
            LocalProtocolError: as soon as the file exceeds its declared size.
        """
        self._raise_unless_under_way()
        if len(chunk) > self._left:
            raise LocalProtocolError(f"the file is larger than its declared size of {self._body.source_size} bytes")
        self._left -= len(chunk)
        return chunk

    def end(self) -> bytes:
        """The bytes after the file.

        Raises:
            LocalProtocolError: if the file is smaller than its declared size.
        """
        self._raise_unless_under_way()
        if self._left:
            raise LocalProtocolError(f"the file ended {self._left} bytes before its declared size")
        self._ended = True
        return self._body.suffix

    def _raise_unless_under_way(self) -> None:
        if self._ended or not self._begun:
            raise LocalProtocolError(f"the body has {'ended' if self._ended else 'not begun'}")
