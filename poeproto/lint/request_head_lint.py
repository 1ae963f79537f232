"""Lint of the head of a request.

https://creator.poe.com/docs/server-bots/poe-protocol-specification
"""

from __future__ import annotations

from poeproto.auth import bearer_key
from poeproto.lint.finding import Finding
from poeproto.vocabulary.http import RequestHead

__all__ = ["lint_request_head"]


def lint_request_head(head: RequestHead) -> list[Finding]:
    """The findings in the method and the headers of a request. No message shows a key."""
    found: list[Finding] = []
    if head.method != "POST":
        found.append(Finding("method", "request.method", f"{head.method} instead of POST"))
    if head.media_type != "application/json":
        message = f"{head.media_type!r} instead of application/json"
        found.append(Finding("content-type", "request.content-type", message))
    authorization = head.get("authorization")
    if authorization is None:
        found.append(Finding("authorization", "request.authorization", "missing"))
    elif not bearer_key(authorization.encode("latin-1")):
        found.append(Finding("authorization", "request.authorization", "not of the form: Bearer <key>"))
    return found
