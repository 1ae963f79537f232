"""Scenario: replies truncated at each of their bytes, in each framing of HTTP; which error each client raises."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial

import anyio

from benchmarks.soak.client_peers import DONE, LAST_CHUNK, STREAM_HEAD, Peer, chunk, serving, text
from benchmarks.soak.findings import Findings
from poeproto import (
    ConnectionLost,
    IncompleteChunkedBody,
    IncompleteReply,
    IncompleteSizedBody,
    PoeprotoError,
)
from poeproto_h11 import BlockingClient, Client

_BODY = text("hello") + text("there") + DONE
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
_REPLIES: dict[str, tuple[bytes, type[PoeprotoError]]] = {
    "chunked": (
        STREAM_HEAD + chunk(text("hello")) + chunk(text("there")) + chunk(DONE) + LAST_CHUNK,
        IncompleteChunkedBody,
    ),
    "of a length": (_HEAD + b"Content-Length: %d\r\n\r\n" % len(_BODY) + _BODY, IncompleteSizedBody),
    "ending with the connection": (_HEAD + b"\r\n" + _BODY, IncompleteReply),
}
_DONE = "done"


class _Cuts:
    """Answers each request with the first bytes of the reply.

    Attributes:
        size: the number of bytes.
    """

    def __init__(self, reply: bytes) -> None:
        self._reply = reply
        self.size = 0

    def script(self, peer: Peer) -> None:
        peer.read_request()
        peer.send(self._reply[: self.size])


def main(findings: Findings, smallest: bool) -> None:
    step = 23 if smallest else 1
    for kind, outcome in _KINDS.items():
        for framing, (reply, error) in _REPLIES.items():
            seen: Counter[str] = Counter()
            cuts = _Cuts(reply)
            with serving(cuts.script) as address:
                for cuts.size in range(0, len(reply), step):
                    came = outcome(f"http://{address}")
                    # `done` and its blank line end the reply, whatever HTTP adds.
                    whole = DONE in reply[: cuts.size]
                    within_head = cuts.size < reply.index(b"\r\n\r\n") + 4
                    expected = _DONE if whole else (ConnectionLost if within_head else error).__name__
                    seen["as expected" if came == expected else f"{came} for {expected}"] += 1
            scenario = f"client truncations, {kind}, {framing}"
            findings.exactly(
                scenario, "as expected", seen.pop("as expected", 0), "replies", len(range(0, len(reply), step))
            )
            findings.exactly(scenario, f"others {dict(seen) or ''}".strip(), seen.total(), "replies", 0)


def _blocking(url: str) -> str:
    with BlockingClient() as client:
        try:
            with client.query(url, "hello") as reply:
                reply.text()
        except PoeprotoError as exc:
            return type(exc).__name__
    return _DONE


async def _asynchronous(url: str) -> str:
    async with Client() as client:
        try:
            async with client.query(url, "hello") as reply:
                await reply.text()
        except PoeprotoError as exc:
            return type(exc).__name__
    return _DONE


_KINDS: dict[str, Callable[[str], str]] = {
    "asyncio": partial(anyio.run, _asynchronous, backend="asyncio"),
    "trio": partial(anyio.run, _asynchronous, backend="trio"),
    "blocking": _blocking,
}
