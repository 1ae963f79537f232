"""The internals of Hypercorn, h11 and trio that `chunk_writer` depends on: without any of it, nothing goes past
Hypercorn.
"""

from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import Any

import h11
import pytest
from hypercorn.protocol.events import Body
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.protocol.http_stream import ASGIHTTPState, HTTPStream

from poeproto_asgi.hypercorn_chunks import chunk_writer

from ...support.raw_http import http_request


class Server:
    """Hypercorn's `TCPServer`, as far as it is needed."""

    async def protocol_send(self, event: object) -> None:
        raise AssertionError("nothing is written")


def stream_of(loop: str = "asyncio", **headers: str) -> Any:
    """A stream of Hypercorn's that has sent its head."""
    server: Any = Server()
    if loop == "asyncio":
        transport = SimpleNamespace(get_write_buffer_limits=lambda: (0, 1))
        server.writer = SimpleNamespace(transport=transport)
    else:
        server.send_lock = object()
        server.stream = SimpleNamespace(socket=SimpleNamespace(_sock=object()))
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(http_request())
    for _ in range(3):
        connection.next_event()
    response = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    connection.send(h11.Response(status_code=200, headers=response))
    protocol: Any = object.__new__(H11Protocol)
    protocol.__dict__.update(send=server.protocol_send, connection=connection, ssl=False)
    stream: Any = object.__new__(HTTPStream)
    stream.__dict__.update(
        send=protocol.stream_send,
        scope={"method": "POST"},
        response={"status": 200, "headers": response},
        state=ASGIHTTPState.RESPONSE,
        stream_id=1,
    )
    return stream


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_hypercorn_as_it_is(loop: str) -> None:
    assert chunk_writer(stream_of(loop).app_send) is not None


@pytest.mark.parametrize("missing", ["send", "scope", "response"])
def test_a_stream_without_the_needed_attributes(missing: str) -> None:
    stream = stream_of()
    del stream.__dict__[missing]
    assert chunk_writer(stream.app_send) is None


@pytest.mark.parametrize("missing", ["send", "connection", "ssl"])
def test_a_protocol_without_the_needed_attributes(missing: str) -> None:
    stream = stream_of()
    del stream.send.__self__.__dict__[missing]
    assert chunk_writer(stream.app_send) is None


@pytest.mark.parametrize(("loop", "missing"), [("asyncio", "writer"), ("trio", "send_lock"), ("trio", "stream")])
def test_a_server_without_the_needed_attributes(loop: str, missing: str) -> None:
    stream = stream_of(loop)
    del stream.send.__self__.send.__self__.__dict__[missing]
    assert chunk_writer(stream.app_send) is None


def test_a_socket_of_trio_without_a_system_socket() -> None:
    stream = stream_of("trio")
    del stream.send.__self__.send.__self__.stream.socket._sock
    assert chunk_writer(stream.app_send) is None


def test_a_function_in_place_of_a_method() -> None:
    stream = stream_of()
    assert chunk_writer(functools.partial(stream.app_send)) is None
    stream.send = functools.partial(stream.send)
    assert chunk_writer(stream.app_send) is None


def test_another_method() -> None:
    stream = stream_of()
    assert chunk_writer(stream.handle) is None


def test_a_body_with_a_length_and_one_that_has_begun_to_end() -> None:
    assert chunk_writer(stream_of(content_length="10").app_send) is None
    stream = stream_of()
    stream.send.__self__.connection.send(h11.EndOfMessage())
    assert chunk_writer(stream.app_send) is None


def test_h11_is_not_changed_by_the_probe() -> None:
    stream = stream_of()
    assert chunk_writer(stream.app_send) is not None
    connection = stream.send.__self__.connection
    assert connection.send(h11.Data(data=b"abc")) == b"3\r\nabc\r\n"
    assert connection.send(h11.EndOfMessage()) == b"0\r\n\r\n"


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_chunk_waits_its_turn_while_hypercorn_writes_on_trio() -> None:
    stream = stream_of("trio")
    stream.send.__self__.send.__self__.send_lock = SimpleNamespace(locked=lambda: True)
    assert await through_hypercorn(stream) == [Body(1, b"abc")]


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_write_to_a_transport_that_closes_goes_through_hypercorn() -> None:
    """So that Hypercorn notices, and reports the disconnect to the application."""
    stream = stream_of()
    stream.send.__self__.send.__self__.writer.transport.is_closing = lambda: True
    assert await through_hypercorn(stream) == [Body(1, b"abc")]


async def through_hypercorn(stream: Any) -> list[object]:
    """Write a part; returns what Hypercorn was given of it."""
    events: list[object] = []
    write = chunk_writer(stream.app_send)
    assert write is not None

    async def send(event: object) -> None:
        events.append(event)

    stream.send = send
    written = write(b"abc")
    assert written is not None
    await written
    return events
