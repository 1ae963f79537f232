"""Scenario: the timeouts of the clients: the time until each of them raises, against the time that was set."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

import anyio
import attrs

from benchmarks.soak.client_peers import STREAM_HEAD, Peer, chunk, deaf, full, serving, text
from benchmarks.soak.findings import Finding, Findings
from poeproto import DeadlineExceeded
from poeproto_h11 import BlockingClient, Client, Timeouts
from poeproto_h11.client.anyio_backend import AnyioConnector
from poeproto_h11.client.backend import ByteStream, Connector
from poeproto_h11.client.sync_backend import SocketConnector
from poeproto_runtime.client.urls import Origin

_TOLERANCE = 1.10
_ASKED = 0.5
_BRIEF = 0.2
_TIMES = 3


@attrs.frozen
class _Case:
    """A timeout, and a server that makes it pass.

    Attributes:
        name: the field of `Timeouts`.
        where: what the client waits for.
        server: the server that makes it pass.
        scheme: the scheme of the URL.
        said: the text of the query.
        events: how many events arrive before the wait; the time starts at the last.
        writes: whether the time starts at the start of the last write.
    """

    name: str
    where: str
    server: Callable[[], AbstractContextManager[str]]
    scheme: str = "http"
    said: str = "hello"
    events: int = 0
    writes: bool = False


def _silent(peer: Peer) -> None:
    peer.until_disconnected()


def _begin(peer: Peer) -> None:
    peer.read_request()
    peer.send(STREAM_HEAD + chunk(text("a")))
    peer.until_disconnected()


def _drip_head(peer: Peer) -> None:
    peer.read_request()
    peer.send(b"HTTP/1.1 200 OK\r\n")
    while True:
        time.sleep(0.02)
        peer.send(b"X: y\r\n")


def _go_on(peer: Peer) -> None:
    peer.read_request()
    peer.send(STREAM_HEAD)
    while True:
        time.sleep(0.005)
        peer.send(chunk(b": still here\n\n"))


def _busy_once(peer: Peer) -> None:
    peer.read_request()
    time.sleep(_BRIEF / 2)
    peer.send(b"HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n")
    peer.read_request()
    peer.until_disconnected()


_CASES = [
    _Case("connect", "TCP", full),
    _Case("connect", "TLS", partial(serving, _silent), scheme="https"),
    _Case("header", "a bot that says nothing", partial(serving, _silent)),
    _Case("header", "a bot that sends a head line by line", partial(serving, _drip_head)),
    _Case("idle", "reading", partial(serving, _begin), events=1),
    _Case("idle", "writing", deaf, said="a" * 15_000_000, writes=True),
    _Case("total", "a bot that says nothing", partial(serving, _silent)),
    _Case("total", "a bot that only sends heartbeats", partial(serving, _go_on)),
    _Case("total", "a bot that was busy at first", partial(serving, _busy_once)),
]


def main(findings: Findings, smallest: bool) -> None:
    asked = _BRIEF if smallest else _ASKED
    for kind, measured in _KINDS.items():
        for case in _CASES:
            ratios = [measured(case, asked) / asked for _ in range(1 if smallest else _TIMES)]
            worst = max(ratios, key=lambda ratio: abs(ratio - 1))
            scenario = f"client deadlines, {kind}"
            what = f"{case.name} ({case.where}), of what was set"
            findings.add(Finding(scenario, what, worst, "x", at_most=_TOLERANCE, at_least=1.0))


class _NotingStream:
    """A stream that records the time of the last write."""

    def __init__(self, stream: ByteStream, connector: _NotingConnector) -> None:
        self._connector = connector
        self.receive = stream.receive
        self.aclose = stream.aclose
        self.close_socket = stream.close_socket
        self.is_idle = stream.is_idle
        self.is_answering = stream.is_answering
        self._send = stream.send
        self._send_until_answered = stream.send_until_answered

    async def send(self, data: bytes, timeout: float) -> None:
        self._connector.written = time.monotonic()
        await self._send(data, timeout)

    async def send_until_answered(self, data: bytes, timeout: float) -> bool:
        self._connector.written = time.monotonic()
        return await self._send_until_answered(data, timeout)


class _NotingConnector:
    def __init__(self, connect: Connector) -> None:
        self.written = 0.0
        self._connect = connect

    async def __call__(self, origin: Origin, timeout: float) -> ByteStream:
        return _NotingStream(await self._connect(origin, timeout), self)


def _blocking(case: _Case, asked: float) -> float:
    timeouts = Timeouts(**{case.name: asked})
    connector = _NotingConnector(SocketConnector())
    with case.server() as address, BlockingClient(timeouts=timeouts, connector=connector) as client:
        start = time.monotonic()
        try:
            with client.query(f"{case.scheme}://{address}", case.said) as reply:
                for _ in range(case.events):
                    next(reply)
                    start = time.monotonic()
                reply.text()
        except DeadlineExceeded as exc:
            passed = time.monotonic() - (connector.written if case.writes else start)
            _check(case, exc)
            return passed
    raise AssertionError("the server ended the call")


def _asynchronous(backend: str, case: _Case, asked: float) -> float:
    return anyio.run(_measured, case, asked, backend=backend)


async def _measured(case: _Case, asked: float) -> float:
    timeouts = Timeouts(**{case.name: asked})
    connector = _NotingConnector(AnyioConnector())
    with case.server() as address:
        async with Client(timeouts=timeouts, connector=connector) as client:
            start = time.monotonic()
            try:
                async with client.query(f"{case.scheme}://{address}", case.said) as reply:
                    for _ in range(case.events):
                        await anext(reply)
                        start = time.monotonic()
                    await reply.text()
            except DeadlineExceeded as exc:
                passed = time.monotonic() - (connector.written if case.writes else start)
                _check(case, exc)
                return passed
    raise AssertionError("the server ended the call")


def _check(case: _Case, exc: DeadlineExceeded) -> None:
    if f"the {case.name} timeout" not in str(exc):
        raise AssertionError(f"another timeout passed: {exc}")


_KINDS: dict[str, Callable[[_Case, float], float]] = {
    "asyncio": partial(_asynchronous, "asyncio"),
    "trio": partial(_asynchronous, "trio"),
    "blocking": _blocking,
}
