"""The records of a recording: the bytes exchanged between a client and a server, read by read, with times.

Reprs show sizes instead of bodies and no headers, because a recording may hold conversations.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from http import HTTPStatus
from typing import Any

import attrs

from poeproto.http import Headers, normalise_headers, without_key

__all__ = [
    "FORMAT_VERSION",
    "End",
    "RecordedData",
    "RecordedEnd",
    "RecordedHead",
    "RecordedRequest",
    "RecordedRequestData",
    "Recorded",
    "RecordingHeader",
]

# The version that this package writes, and the latest that it reads.
FORMAT_VERSION = 1
"""The version of the recording format, which the first line of a recording has."""


class End(Enum):
    """How an exchange ended.

    Attributes:
        EOF: the response was received to its end.
        RESET: the connection to the server failed, or could not be made.
        CLIENT_DISCONNECTED: the client disconnected before the end of the response.
        TIMEOUT: the server sent nothing for too long.
    """

    EOF = "eof"
    RESET = "reset"
    CLIENT_DISCONNECTED = "client-gone"
    TIMEOUT = "timeout"


def _size(data: bytes) -> str:
    return f"<{len(data)} bytes>"


def _without_query(url: str) -> str:
    path, question_mark, _ = without_key(url).partition("?")
    return repr(f"{path}?…" if question_mark else path)


@attrs.frozen
class RecordingHeader:
    """The first line of a recording.

    Attributes:
        created: when the recording began, in UTC as in RFC 3339; empty if unknown.
        tool: the program that made the recording, with its version.
        redacted: the rules that redacted it, see `Redaction.summary`; None if nothing was.
        version: the version of the format.
    """

    created: str = ""
    tool: str = ""
    redacted: Mapping[str, Any] | None = None
    version: int = FORMAT_VERSION


@attrs.frozen
class RecordedRequest:
    """A request was received. It begins an exchange.

    Attributes:
        exchange: the number of the exchange. Numbers increase in a file.
        at: seconds since the recording began, by a monotonic clock.
        method: as sent.
        url: absolute, or the target as a server receives it: the path and query.
        headers: pairs of name and value, names in lower case.
        body: the body, or its first part, which `RecordedRequestData` continues.
        omitted: how many bytes of the body were not recorded.
    """

    exchange: int
    at: float
    method: str
    url: str = attrs.field(repr=_without_query)
    headers: Headers = attrs.field(default=(), converter=normalise_headers, repr=False)
    body: bytes = attrs.field(default=b"", repr=_size)
    omitted: int = 0


@attrs.frozen
class RecordedRequestData:
    """A further read of the body of a request.

    Attributes:
        exchange: the number of the exchange.
        at: seconds since the recording began.
        data: the bytes; empty if they were omitted, or belong to a secret whose placeholder is in an earlier read.
        omitted: how many bytes were not recorded.
    """

    exchange: int
    at: float
    data: bytes = attrs.field(repr=_size)
    omitted: int = 0


@attrs.frozen
class RecordedHead:
    """The head of the response was received.

    Attributes:
        exchange: the number of the exchange.
        at: seconds since the recording began.
        status: the status code.
        headers: pairs of name and value, names in lower case.
    """

    exchange: int
    at: float
    status: int
    headers: Headers = attrs.field(default=(), converter=normalise_headers, repr=False)

    @property
    def phrase(self) -> str:
        """The usual reason phrase of the status, since the one that was sent is not recorded; may be empty."""
        try:
            return HTTPStatus(self.status).phrase
        except ValueError:
            return ""


@attrs.frozen
class RecordedData:
    """One read of the body of the response. Fields as of `RecordedRequestData`."""

    exchange: int
    at: float
    data: bytes = attrs.field(repr=_size)
    omitted: int = 0


@attrs.frozen
class RecordedEnd:
    """The exchange ended.

    Attributes:
        exchange: the number of the exchange.
        at: seconds since the recording began.
        outcome: how it ended.
        detail: more about it, for people; may be empty.
    """

    exchange: int
    at: float
    outcome: End
    detail: str = ""


Recorded = RecordedRequest | RecordedRequestData | RecordedHead | RecordedData | RecordedEnd
"""Any record of a recording but its first line."""
