"""Interrupting the blocking client anywhere: no half-read connection stays in its pool, and the next query works."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from types import FrameType
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal

from poeproto import Done, LocalProtocolError, RequestRefused, SettingsResponse, Text, encode_settings
from poeproto_h11 import BlockingClient
from poeproto_runtime.client.deferred_hooks import _note_collection
from poeproto_runtime.client.urls import Origin

from ...support.peers_in_thread import scripted_in_thread
from ...support.scripted_peer import (
    HELLO,
    STREAM_HEAD,
    CannedConnector,
    CannedStream,
    Peer,
    answering,
    chunk,
    reply,
    response,
    sent,
)

URL = "http://bot.example/"
SETTINGS = SettingsResponse(introduction_message="hello")
Use = Callable[[BlockingClient], object]


class UnsuspendingStream(CannedStream):
    """A stream in memory that does not suspend. An interruption may strike before an operation, or just after it."""

    async def receive(self, timeout: float) -> bytes:
        self._hook("before receive")
        data = self.pieces.pop(0) if self.pieces else b""
        self._hook("after receive")
        return data

    async def send(self, data: bytes, timeout: float) -> None:
        self._hook("before send")
        self.written += data
        self._hook("after send")


class UnsuspendingConnector(CannedConnector):
    async def __call__(self, origin: Origin, timeout: float) -> CannedStream:
        self.hook("connect")
        self.streams.append(UnsuspendingStream(self.pieces, self.hook))
        return self.streams[-1]


def read_all(client: BlockingClient) -> None:
    with client.query(URL, "hello") as answer:
        assert answer.text() == "first"


def read_through_done(client: BlockingClient) -> None:
    with client.query(URL, "hello") as answer:
        assert next(answer) == Text("fir")


def be_refused(client: BlockingClient) -> None:
    with pytest.raises(RequestRefused):
        client.settings(URL)


def read_settings(client: BlockingClient) -> None:
    assert client.settings(URL) == SETTINGS


def thirds(data: bytes) -> list[bytes]:
    size = len(data) // 3
    return [data[:size], data[size : 2 * size], data[2 * size :]]


FIRST = [STREAM_HEAD, sent(Text("fir")), sent(Text("st"), Done()), chunk(b": still here\n\n"), b"0\r\n", b"\r\n"]
USES = [
    pytest.param(read_all, FIRST, id="reading all"),
    pytest.param(read_through_done, FIRST, id="leaving early"),
    pytest.param(read_settings, thirds(response(200, encode_settings(SETTINGS))), id="settings"),
    pytest.param(be_refused, thirds(response(500, b"busy" * 10)), id="refusal"),
]


def go_on(name: str) -> None:
    """Do not interrupt."""


class Interruption:
    """Raises `KeyboardInterrupt` at the call of that number."""

    def __init__(self, at: int) -> None:
        self._left = at
        self.struck = False

    def __call__(self, name: str) -> None:
        if self._left == 0:
            self.struck = True
        self._left -= 1
        if self._left == -1:
            raise KeyboardInterrupt

    def trace(self, frame: FrameType, event: str, _: Any) -> Any:
        """For `sys.settrace`: calls this at each line of the integrations."""
        # What a callback of the garbage collector raises is only reported, as in any finaliser.
        if "/poeproto_" not in frame.f_code.co_filename or frame.f_code is _note_collection.__code__:
            return None
        if event == "line":
            self(frame.f_code.co_name)
        return self.trace


def check_client(client: BlockingClient, connector: UnsuspendingConnector) -> None:
    """Check that the client reads on at the right place of a connection that it kept, or opens a new one."""
    kept = [connection._stream for _, connection in client._pool._idle]
    assert all(isinstance(stream, CannedStream) for stream in kept)
    usable = [stream for stream in connector.streams if stream in kept and not stream.closed]
    connector.pieces, connector.hook = [reply(Text("fresh"))], go_on
    with client.query(URL, "again") as answer:
        assert answer.text() == ("second" if usable else "fresh")


@pytest.mark.parametrize(("use", "pieces"), USES)
def test_interrupted_within_an_operation(use: Use, pieces: list[bytes]) -> None:
    at, struck = 0, True
    while struck:
        interruption = Interruption(at)
        # A reused connection continues with "second"; if it were half read, with something else.
        connector = UnsuspendingConnector([*pieces, reply(Text("second"))], interruption)
        with BlockingClient(connector=connector) as client:
            try:
                use(client)
            except KeyboardInterrupt:
                assert all(stream.closed for stream in connector.streams), f"left open after {at} operations"
            struck = interruption.struck
            for stream in connector.streams:
                stream._hook = go_on
            check_client(client, connector)
        assert all(stream.closed for stream in connector.streams)
        at += 1
    assert at > 6, "that was not every operation"


# The line may have made a coroutine and not started it.
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.parametrize(("use", "pieces"), USES)
def test_interrupted_at_any_line(use: Use, pieces: list[bytes]) -> None:
    at, struck = 0, True
    while struck:
        interruption = Interruption(at)
        connector = UnsuspendingConnector([*pieces, reply(Text("second"))])
        with BlockingClient(connector=connector) as client:
            before = sys.gettrace()
            sys.settrace(interruption.trace)
            try:
                use(client)
            except KeyboardInterrupt:
                pass
            finally:
                sys.settrace(before)
            struck = interruption.struck
            # Objects that no variable held at that line are collected; the pool must not hold any of them.
            check_client(client, connector)
        at += 1
    assert at > 200, "that was not every line"


def test_an_interrupted_reply_is_closed() -> None:
    def interrupt(name: str) -> None:
        if name == "after receive" and len(connector.streams[0].pieces) == 1:
            raise KeyboardInterrupt

    connector = UnsuspendingConnector([STREAM_HEAD, sent(Text("a")), sent(Text("b")), sent(Text("c"))], interrupt)
    with BlockingClient(connector=connector) as client, client.query(URL, "hello") as answer:
        assert next(answer) == Text("a")
        with pytest.raises(KeyboardInterrupt):
            next(answer)
        assert connector.streams[0].closed
        # "b" is lost, and reading on with "c" would hide that.
        with pytest.raises(LocalProtocolError, match="closed before its end"):
            next(answer)
        assert answer.fold.text == "a"


# --- a signal, over sockets


async def waiting_for_head(reached: Callable[[], None], peer: Peer) -> None:
    await peer.read_request()
    reached()
    await peer.until_left()


async def within_body(reached: Callable[[], None], peer: Peer) -> None:
    await peer.answer(STREAM_HEAD + sent(Text("a")) + chunk(b"event: te")[:10])
    reached()
    await peer.until_left()


async def within_request(reached: Callable[[], None], peer: Peer) -> None:
    await peer.stream.receive(1)
    reached()
    await peer.until_left()


async def within_handshake(reached: Callable[[], None], peer: Peer) -> None:
    await peer.stream.receive(1)
    reached()
    await peer.until_left()


@pytest.mark.parametrize("place", [waiting_for_head, within_body, within_request, within_handshake])
def test_a_signal_interrupts_a_blocking_call(
    portal: BlockingPortal, place: Callable[[Callable[[], None], Peer], Awaitable[None]]
) -> None:
    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    def reached() -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with (
            scripted_in_thread(portal, partial(place, reached), answering(HELLO)) as server,
            BlockingClient() as client,
        ):
            url = server.address.replace("http:", "https:") if place is within_handshake else server.address
            text = "a" * 15_000_000 if place is within_request else "hello"
            with pytest.raises(KeyboardInterrupt), client.query(url, text) as answer:
                answer.text()
            server.until_closed(1)
            with client.query(server.address, "hello") as answer:
                assert answer.text() == "hello"
            assert server.connections == 2
    finally:
        signal.signal(signal.SIGUSR1, before)
