"""Scenario: the memory of a request while it is read, as a multiple of its body: Python values are larger than JSON."""

from __future__ import annotations

import gc
import tracemalloc

from benchmarks.soak.findings import Finding, Findings
from poeproto import BotExchange, Message, QueryRequest, RequestHead, encode_request

_DEEP = 190

# The item that a body repeats, and the most memory that it may take, as a multiple of its size.
_UNITS: dict[str, tuple[bytes, float]] = {
    "numbers": (b"1000", 12),
    "empty objects": (b"{}", 30),
    "objects in one another": (b'{"":' * _DEEP + b"1" + b"}" * _DEEP, 45),
    "lists in one another": (b"[" * _DEEP + b"]" * _DEEP, 55),
}


def main(findings: Findings, smallest: bool) -> None:
    """Measure queries of one size with different contents."""
    size = 100_000 if smallest else 1_000_000
    messages = [Message("user", "x" * 1000) for _ in range(size // 1000)]
    _add(findings, "a conversation of texts", encode_request(QueryRequest(messages)), 4)
    for name, (unit, at_most) in _UNITS.items():
        values = b",".join([unit] * (size // (len(unit) + 1)))
        body = b'{"type":"query","query":[{"role":"user","content":"","parameters":{"a":[%s]}}]}' % values
        _add(findings, f"a body of {name}", body, at_most)


def _add(findings: Findings, name: str, body: bytes, at_most: float) -> None:
    _read(body)  # modules and caches are not counted
    gc.collect()
    tracemalloc.start()
    request = _read(body)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    del request
    findings.add(Finding(name, "peak of memory, as a multiple of its size", peak / len(body), "times", at_most=at_most))


def _read(body: bytes) -> object:
    exchange = BotExchange(None)
    exchange.receive_head(RequestHead("POST", "/"))
    exchange.receive_data(body)
    return exchange.receive_eof()
