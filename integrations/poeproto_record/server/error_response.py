"""The responses that the proxy and the replay make themselves, in the absence of one from a server or recording."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus


def error_response(status: int, explanation: Mapping[str, object], method: bytes) -> bytes:
    """An error response, after which the connection closes.

    Args:
        status: the status code.
        explanation: the JSON object in the body.
        method: of the request; the response to ``HEAD`` has no body.
    """
    body = json.dumps(explanation, ensure_ascii=False).encode("utf-8", "replace")
    head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: application/json\r\n"
    head += f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + (b"" if method == b"HEAD" else body)
