"""Scenario: input that is designed to cost much: its memory and time, with bounds that depend on its size."""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Callable, Iterator
from statistics import median

from benchmarks.soak.findings import Finding, Findings
from poeproto import (
    BotExchange,
    Limits,
    PoeExchange,
    PoeprotoError,
    QueryRequest,
    RequestHead,
    ResponseHead,
    SSEDecoder,
    decode_request,
)

KIB = 1024
CAP = 1024 * KIB
PART = 64 * KIB  # one read of a transport, which may be buffered in addition to the cap
SLACK = 512 * KIB
_STREAM = ResponseHead(200, [("content-type", "text/event-stream")])


def main(findings: Findings, smallest: bool) -> None:
    """Measure the memory of endless input, then the time of input that grows eightfold."""
    size = 200_000 if smallest else 6_000_000
    for name, unit in LINES.items():
        _memory(findings, f"{size // len(unit):,} lines of {name}", lambda unit=unit: _decode(unit, size))
    for name, make in EVENTS.items():
        _memory(findings, f"a reply of {name} without an end", lambda make=make: _receive(make, size))
    base, rounds = (2_000, 1) if smallest else (40_000, 3)
    for name, run in GROWING.items():
        _growth(findings, name, run, base, rounds, held=not smallest)


# --- memory


LINES = {
    "'data:'": b"data:\n",
    "data of two letters": b"data: ab\n",
    "comments": b": ab\n",
    "unknown fields": b"ab: ab\n",
    "names": b"event: ab\n",
}
EVENTS: dict[str, Callable[[int], bytes]] = {
    "texts": lambda number: b'event: text\ndata: {"text":"a"}\n\n',
    "texts, each of its own index": lambda number: b'event: text\ndata: {"text":"","index":%d}\n\n' % number,
    "files": lambda number: b'event: file\ndata: {"url":"","name":"","content_type":"","index":%d}\n\n' % number,
    "empty objects in json": lambda number: b'event: json\ndata: {"a":[' + b"{}," * 300 + b"{}]}\n\n",
    "comments": lambda number: b": %d\n\n" % number,
}


def _memory(findings: Findings, scenario: str, run: Callable[[], object]) -> None:
    run()
    gc.collect()
    tracemalloc.start()
    kept = run()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    del kept
    findings.add(Finding(scenario, "peak of memory", peak / KIB, "KiB", at_most=(CAP + SLACK) / KIB))


def _decode(unit: bytes, size: int) -> SSEDecoder:
    decoder = SSEDecoder(max_event_size=CAP)
    part = unit * (PART // len(unit) // 16)
    for _ in range(size // len(part)):
        if decoder.error is None:
            decoder.receive_data(part)
    return decoder


def _receive(make: Callable[[int], bytes], size: int) -> PoeExchange:
    exchange = _asked(Limits(answer_size=CAP))
    number = 0
    while size > 0 and exchange.error is None:
        part = b"".join(make(number + more) for more in range(20))
        exchange.receive_data(part)
        number += 20
        size -= len(part)
    return exchange


def _asked(limits: Limits | None = None) -> PoeExchange:
    exchange = PoeExchange(limits=limits)
    exchange.send(QueryRequest(query=[]), "http://bot.invalid/")
    exchange.receive_head(_STREAM)
    return exchange


# --- time


def _in_parts(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


def _decode_parts(data: bytes, part: int) -> None:
    decoder = SSEDecoder()
    for piece in _in_parts(data, part):
        decoder.receive_data(piece)


def _receive_parts(data: bytes, part: int) -> None:
    exchange = _asked()
    for piece in _in_parts(data, part):
        exchange.receive_data(piece)


def _read_body(data: bytes, part: int) -> None:
    exchange = BotExchange(None)
    exchange.receive_head(RequestHead("POST", "/"))
    try:
        for piece in _in_parts(data, part):
            exchange.receive_data(piece)
        exchange.receive_eof()
    except PoeprotoError:
        pass  # rejecting it must not take long either


def _reply(make: Callable[[int], bytes], size: int) -> bytes:
    return b"".join(make(number) for number in range(size // len(make(0))))


# The hash of a Python integer is its remainder modulo this.
_SHARED = 2**61 - 1
# Each makes an input of about `size` bytes, and processes it.
GROWING: dict[str, tuple[Callable[[int], bytes], Callable[[bytes], object]]] = {
    "'data:' lines": (lambda size: b"data:\n" * (size // 6) + b"\n", lambda data: _decode_parts(data, PART)),
    "a line, bytewise": (lambda size: b"data:" + b"x" * size, lambda data: _decode_parts(data, 1)),
    "a text, bytewise": (
        lambda size: b'event: text\ndata: {"text":"' + b"x" * size + b'"}\n\n',
        lambda data: _receive_parts(data, 1),
    ),
    "texts whose indexes share a hash": (
        lambda size: _reply(lambda number: b'event: text\ndata: {"text":"","index":%d}\n\n' % (number * _SHARED), size),
        lambda data: _receive_parts(data, PART),
    ),
    "texts beside others": (
        lambda size: b'event: text\ndata: {"text":"a"}\n\nevent: text\ndata: {"text":"a"}\nid: 1\n\n' * (size // 75),
        lambda data: _receive_parts(data, PART),
    ),
    "brackets that never close": (lambda size: b'{"type":' + b"[" * size, lambda data: _read_body(data, PART)),
    "a number of many digits": (lambda size: b'{"type":' + b"9" * size + b"}", lambda data: _read_body(data, PART)),
    "a body, bytewise": (lambda size: b'{"type":"' + b"x" * size + b'"}', lambda data: _read_body(data, 1)),
    "messages with unknown keys and nulls": (
        lambda size: (
            b'{"type":"query","query":['
            + b",".join([b'{"role":"user","content":"","feedback":null,"x":1}'] * (size // 51))
            + b"]}"
        ),
        decode_request,
    ),
}


def _growth(
    findings: Findings,
    name: str,
    run: tuple[Callable[[int], bytes], Callable[[bytes], object]],
    base: int,
    rounds: int,
    *,
    held: bool,
) -> None:
    """Compare the time a byte in an input and in one eight times as large, in turn, since the speed varies."""
    make, call = run
    small, large = make(base), make(base * 8)
    ratios: list[float] = []
    for _ in range(rounds):
        # The small input runs eight times, so that both take about as long.
        once = _seconds(call, [small] * 8) / 8 / len(small)
        ratios.append(_seconds(call, [large]) / len(large) / once)
    findings.add(
        Finding(f"{name}, eight times as many", "time a byte", median(ratios), "times", at_most=1.25 if held else None)
    )


def _seconds(call: Callable[[bytes], object], inputs: list[bytes]) -> float:
    gc.collect()
    start = time.process_time()
    for data in inputs:
        call(data)
    return time.process_time() - start
