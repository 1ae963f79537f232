"""Responses that repeat the key of the request, wherever HTTP and the protocol allow it."""

from __future__ import annotations

import json

from poeproto import Done, Error, encode_event, encode_sse

from .canary import CANARY, spellings
from .scripted_peer import LAST_CHUNK, STREAM_HEAD, chunk, response

ESCAPED = "".join(f"\\u{ord(character):04x}" for character in CANARY)
IN_JSON = json.dumps(CANARY)


def streamed(*records: bytes) -> bytes:
    return STREAM_HEAD + b"".join(map(chunk, records)) + LAST_CHUNK


def answered(body: str) -> bytes:
    return response(200, body.encode(), "Content-Type: application/json")


# By what of the response repeats the key.
RESPONSES: dict[str, bytes] = {
    "reason": f"HTTP/1.1 500 {CANARY}\r\nContent-Length: 0\r\n\r\n".encode(),
    "header": response(500, b"", f"X-Echo: {CANARY}", f"Retry-After: {CANARY}", f"WWW-Authenticate: {CANARY}"),
    "rate limit": response(429, b"", f"X-Ratelimit-Limit: {CANARY}", f"Retry-After: {CANARY}"),
    "redirect": response(302, b"", f"Location: https://elsewhere.invalid/?key={CANARY}"),
    "cookie": response(403, b"", f"Set-Cookie: key={CANARY}"),
    "body cut": f"HTTP/1.1 500 No\r\nContent-Length: 999\r\n\r\nyou are {CANARY[:20]}".encode(),
    "content type": response(200, b"", f"Content-Type: text/{CANARY}"),
    "content coding": response(200, b"", "Content-Type: text/event-stream", f"Content-Encoding: {CANARY}"),
    "status line": f"HTTP/1.1 {CANARY}\r\n\r\n".encode(),
    "no status line": f"{CANARY}\r\n\r\n".encode(),
    "header line": f"HTTP/1.1 200 OK\r\n{CANARY}\r\n\r\n".encode(),
    "header name": f"HTTP/1.1 200 OK\r\n{CANARY}: x\r\n\r\n".encode(),
    "header value": f"HTTP/1.1 200 OK\r\nX: {CANARY}\x00\r\n\r\n".encode(),
    "content length": f"HTTP/1.1 200 OK\r\nContent-Length: {CANARY}\r\n\r\n".encode(),
    "transfer encoding": f"HTTP/1.1 200 OK\r\nTransfer-Encoding: {CANARY}\r\n\r\n".encode(),
    "chunk": STREAM_HEAD + f"{CANARY}\r\n".encode(),
    "settings": answered(f'{{"introduction_message": {{{IN_JSON}: 1}}, "response_version": 2}}'),
    "dependencies": answered(f'{{"server_bot_dependencies": {{{IN_JSON}: "x"}}}}'),
    "control": answered(
        f'{{"parameter_controls": {{"sections": [{{"controls": [{{"control": "slider", "label": {IN_JSON},'
        f' "parameter_name": {IN_JSON}, "default_value": {IN_JSON}, "min_value": 1, "max_value": 0, "step": 1}}]}}]}}}}'
    ),
    "upload": answered(f'{{"attachment_url": [{IN_JSON}], "mime_type": {IN_JSON}}}'),
    "no JSON": answered(f"{{{IN_JSON}"),
    "result": streamed(encode_sse("result", json.dumps({"status": CANARY}))),
    "no result": streamed(encode_sse("result", json.dumps({CANARY: CANARY}))),
    "error event": streamed(
        encode_event(
            Error(
                allow_retry=False,
                text=f"no such key: {CANARY}",
                raw_response={"you": [CANARY], CANARY: 1},
                error_type=CANARY,
                extra={"more": CANARY},
            )
        ),
        encode_event(Done()),
    ),
    "error event, escaped": streamed(f'event: error\ndata: {{"text": "{ESCAPED}"}}\n\n'.encode()),
    "event without its keys": streamed(f"event: text\ndata: {{{IN_JSON}: 1}}\n\n".encode()),
    "event without JSON": streamed(f"event: text\ndata: {CANARY}\n\n".encode()),
    "event of wrong types": streamed(f'event: text\ndata: {{"text": [{IN_JSON}]}}\n\n'.encode()),
    "event name": streamed(f"event: {CANARY}\ndata: {CANARY}\n\n: {CANARY}\nid: {CANARY}\n\n".encode()),
    "stream cut": STREAM_HEAD + chunk(f": {CANARY}\n".encode()),
    "error in JSON, escaped": response(500, f'{{"error": "wrong key: {ESCAPED}"}}'.encode()),
}
for number, spelt in enumerate(spellings()):
    RESPONSES[f"body {number}"] = response(401, f"wrong key: {spelt}!".encode())
    if "\\" not in spelt:
        RESPONSES[f"error in JSON {number}"] = response(500, json.dumps({"error": f"wrong key: {spelt}"}).encode())
