"""The argument of `receive_data`: bytes, or an object with the buffer protocol."""

from __future__ import annotations

from typing import Any, cast


def as_bytes(data: Any) -> bytes:
    """The data as bytes: a copy of a bytearray or memoryview, which its owner may change.

    Callers test for bytes themselves, because that is all that an event which arrives alone should cost.

    Raises:
        TypeError: for anything else, such as a string.
    """
    if isinstance(data, bytes | bytearray | memoryview):
        return bytes(cast("bytes", data))
    hint = "; encode it: data.encode()" if isinstance(data, str) else ""
    raise TypeError(f"receive_data takes bytes, got {type(data).__name__}{hint}")
