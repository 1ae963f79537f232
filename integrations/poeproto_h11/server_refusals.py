"""What the embedded server does not take, and what it answers then."""

from __future__ import annotations

import h11

from poeproto import HttpResponse, RemoteProtocolError


def has_body(request: h11.Request) -> bool:
    """Whether one is announced (RFC 9112, 6.3)."""
    return any(name in (b"content-length", b"transfer-encoding") for name, _ in request.headers)


def refusal_of(request: h11.Request) -> int | None:
    """The status for a head that h11 lets through."""
    if request.http_version not in (b"1.0", b"1.1"):
        return 505
    framing = {name for name, _ in request.headers if name in (b"content-length", b"transfer-encoding")}
    # Where a proxy may see another end of the body than we do, what follows would pass as a request (RFC 9112, 6.1,
    # which says the second is faulty framing).
    if len(framing) > 1 or (b"transfer-encoding" in framing and request.http_version == b"1.0"):
        return 400
    return None


def refusal(status: int, why: str) -> HttpResponse:
    """The answer to what is not taken."""
    return HttpResponse.of(status, "application/json", b'{"error": "%s"}' % why.encode())


def refused(status: int, why: str) -> RemoteProtocolError:
    """What is raised where the service is to send it."""
    return RemoteProtocolError(why, response=refusal(status, why))
