"""What the embedded server does not take, and what it answers then."""

from __future__ import annotations

import re

from poeproto import HttpResponse, RemoteProtocolError
from poeproto.vocabulary.http import Headers

# The characters of a host and a port, or of neither (RFC 3986, 3.2.2; RFC 9112, 3.2, which says what else is answered).
_HOST = re.compile(rb"[A-Za-z0-9._~%!$&'()*+,;=:\[\]-]*")
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})


def has_body(headers: Headers) -> bool:
    """Whether one is announced (RFC 9112, 6.3)."""
    return any(name in _FRAMING for name, _ in headers)


def refusal_of(version: bytes, headers: Headers) -> int | None:
    """The status for a head that h11 lets through; the names of its headers are in lower case."""
    if version not in (b"1.0", b"1.1"):
        return 505
    framing = {name for name, _ in headers if name in _FRAMING}
    # Where a proxy may see another end of the body than we do, what follows would pass as a request (RFC 9112, 6.1,
    # which says the second is faulty framing).
    if len(framing) > 1 or (b"transfer-encoding" in framing and version == b"1.0"):
        return 400
    if not all(_HOST.fullmatch(value) for name, value in headers if name == b"host"):
        return 400
    return None


def refusal(status: int, why: str) -> HttpResponse:
    """The answer to what is not taken."""
    return HttpResponse.of(status, "application/json", b'{"error": "%s"}' % why.encode())


def refused(status: int, why: str) -> RemoteProtocolError:
    """What is raised where the service is to send it."""
    return RemoteProtocolError(why, response=refusal(status, why))
