"""HTTP messages as values: the heads of requests and responses, and whole responses.

Reprs hide fields that may hold a key or a conversation (see `repr_redaction`). https://www.rfc-editor.org/rfc/rfc9110
"""

from __future__ import annotations

from urllib.parse import parse_qs, unquote, urlsplit

import attrs

from poeproto.vocabulary.field_types import CONVERTED, checked
from poeproto.vocabulary.headers import HasHeaders, HeaderPairs, Headers, normalise_headers
from poeproto.vocabulary.repr_redaction import body_size, headers_without_secrets, target_without_query

__all__ = ["HttpResponse", "RequestHead", "ResponseHead"]


@checked
@attrs.frozen
class RequestHead(HasHeaders):
    """The head of a request that a server received.

    Attributes:
        method: as sent.
        target: the path and query as sent, still percent-encoded (RFC 9112, 3.2).
        headers: pairs of name and value, or a mapping.
        client: the address and port of the peer, if the server knows them; behind a proxy, those of the proxy.
    """

    method: str
    target: str = attrs.field(repr=target_without_query)
    headers: Headers = attrs.field(
        default=(), converter=normalise_headers, repr=headers_without_secrets, metadata={CONVERTED: True}
    )
    client: tuple[str, int] | None = attrs.field(default=None, kw_only=True, repr=False)

    @property
    def path(self) -> str:
        """The decoded path of the target, including the path of a mount. Empty for a target that is not a URL."""
        path = self.target.partition("?")[0]
        if not path.startswith("/"):
            # The absolute form, which a server must accept (RFC 9112, 3.2.2).
            try:
                path = urlsplit(path).path or "/"
            except ValueError:
                return ""
        return unquote(path)

    @property
    def query_string(self) -> str:
        """The query of the target as sent; empty if there is none."""
        return self.target.partition("?")[2]

    @property
    def query(self) -> dict[str, list[str]]:
        """The decoded query of the target: the values of each name, in order."""
        return parse_qs(self.query_string, keep_blank_values=True)


@checked
@attrs.frozen
class ResponseHead(HasHeaders):
    """The head of a response whose body follows in parts.

    Attributes:
        status: the status code.
        headers: pairs of name and value.
    """

    status: int
    headers: Headers = attrs.field(
        default=(), converter=normalise_headers, repr=headers_without_secrets, metadata={CONVERTED: True}
    )


@checked
@attrs.frozen
class HttpResponse(HasHeaders):
    """A whole response: for a server to send, or as a client received it.

    Attributes:
        status: the status code.
        headers: pairs of name and value; `of` adds the content type and length.
        body: the payload. A client that received an error response keeps only the start of its body.
    """

    status: int
    headers: Headers = attrs.field(
        default=(), converter=normalise_headers, repr=headers_without_secrets, metadata={CONVERTED: True}
    )
    body: bytes = attrs.field(default=b"", repr=body_size)

    @classmethod
    def of(cls, status: int, content_type: str, body: bytes, headers: HeaderPairs = ()) -> HttpResponse:
        """A response with this status code and body, its ``Content-Type`` and ``Content-Length``, and more headers."""
        described = (("content-type", content_type), ("content-length", str(len(body))))
        return cls(status, (*described, *normalise_headers(headers)), body)
