"""A whole HTTP request, for a client to send.

https://www.rfc-editor.org/rfc/rfc9110
"""

from __future__ import annotations

import re
from itertools import chain

import attrs

from poeproto.vocabulary.errors import InvalidValue
from poeproto.vocabulary.field_types import CONVERTED, check_types
from poeproto.vocabulary.headers import HasHeaders, Headers, normalise_headers
from poeproto.vocabulary.repr_redaction import body_size, headers_without_secrets, without_path
from poeproto.vocabulary.streamed_body import StreamedBody

__all__ = ["HttpRequest"]

_FORBIDDEN_IN_A_LINE = re.compile("[\r\n\0]")


@attrs.frozen
class HttpRequest(HasHeaders):
    """A whole request for a client to send.

    Attributes:
        method: in upper case.
        url: absolute, with scheme and host.
        headers: pairs of name and value; the client adds ``Host`` and ``Content-Length``.
        body: bytes, or for an upload a `StreamedBody`.

    Raises:
        TypeError: for a field of another type.
        InvalidValue: for CR, LF or NUL in the method, the URL or a header, which could inject another header.
    """

    method: str
    url: str = attrs.field(repr=without_path)
    headers: Headers = attrs.field(
        default=(), converter=normalise_headers, repr=headers_without_secrets, metadata={CONVERTED: True}
    )
    body: bytes | StreamedBody = attrs.field(default=b"", repr=body_size)

    def __attrs_post_init__(self) -> None:
        check_types(self)
        headers = b"".join(chain.from_iterable(self.headers)).decode("latin-1")
        for name, line in (("method", self.method), ("url", self.url), ("headers", headers)):
            if _FORBIDDEN_IN_A_LINE.search(line):
                raise InvalidValue("contains CR, LF or NUL", path=name)
