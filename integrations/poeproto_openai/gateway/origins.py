"""Web pages that may call a gateway, by their origins (CORS).

A browser sends simple requests of any page without asking, and names the page's origin in ``Origin``. A gateway on
one's own machine that needs no key would answer them: the page could not read the replies, but the caller would pay for
them. So a gateway that needs no key refuses requests of pages whose origin is not allowed. Where a key is needed, the
page has to know it.

https://fetch.spec.whatwg.org/#http-cors-protocol
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from poeproto import HttpResponse, RequestHead
from poeproto_openai.api_error import ApiError

__all__ = ["AllowedOrigins"]

_ANY = "*"
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#@\s]+")
_HEADER_NAMES = re.compile(rb"[A-Za-z0-9_, \t-]{1,2000}")
# Response headers that a page may read.
_EXPOSED = "x-request-id, x-should-retry, retry-after"


class AllowedOrigins:
    """The origins of the web pages that may call a gateway.

    Args:
        origins: each as ``https://host`` or ``https://host:port``; "*" for every page.

    Raises:
        ValueError: for a value that is not an origin.
    """

    def __init__(self, origins: Iterable[str]) -> None:
        self._origins = frozenset([origins] if isinstance(origins, str) else origins)
        for origin in self._origins:
            if origin != _ANY and _ORIGIN.fullmatch(origin) is None:
                raise ValueError(
                    f"allow_origins: {origin!r} is not an origin; expected https://host, https://host:port or *"
                )

    def check(self, head: RequestHead) -> None:
        """Check the origin of a request that needs no key.

        Raises:
            ApiError: with status 403, for a page whose origin is not allowed.
        """
        origin = _origin_of(head)
        if origin is not None and not self._allows(origin):
            raise ApiError(
                f"web pages of the origin {origin[:200]!r} may not call this gateway, which needs no key; allow the"
                " origin with allow_origins, or require a key",
                status=403,
                type="permission_error",
                code="origin_not_allowed",
            )

    def headers(self, head: RequestHead) -> list[tuple[str, str]]:
        """The headers by which a browser lets a page read the response; none for a page that is not allowed."""
        if not self._origins:
            return []
        origin = _origin_of(head)
        if origin is None or not self._allows(origin):
            return [("vary", "origin")]
        return [
            ("access-control-allow-origin", origin),
            ("access-control-expose-headers", _EXPOSED),
            ("vary", "origin"),
        ]

    def preflight(self, head: RequestHead) -> HttpResponse | None:
        """The response to a CORS preflight request; None if the request is not a preflight, or not allowed."""
        origin = _origin_of(head)
        asked = head.method == "OPTIONS" and head.get_all("access-control-request-method")
        if not asked or origin is None or not self._allows(origin):
            return None
        names = b", ".join(head.get_all("access-control-request-headers"))
        allowed = names if _HEADER_NAMES.fullmatch(names) else b"authorization, content-type"
        headers = [
            *self.headers(head),
            ("access-control-allow-methods", "GET, POST"),
            ("access-control-allow-headers", allowed.decode()),
            ("access-control-max-age", "600"),
        ]
        return HttpResponse.of(200, "text/plain", b"", headers)

    def _allows(self, origin: str) -> bool:
        return _ANY in self._origins or origin in self._origins


def _origin_of(head: RequestHead) -> str | None:
    origins = head.get_all("origin")
    return origins[0].decode("latin-1") if origins else None
