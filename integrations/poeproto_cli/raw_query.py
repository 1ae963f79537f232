"""A query whose response is printed as it is received: status line, headers and body, with the framing of chunks."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Callable

import attrs

from poeproto import Limits, PoeExchange, QueryRequest, ReplyFold
from poeproto_cli.terminal import echo, write_bytes
from poeproto_h11 import ByteStream, Connector, Origin
from poeproto_h11.client.anyio_backend import anyio_backend
from poeproto_h11.client.pool import Pool
from poeproto_h11.client.proxy import client_rules
from poeproto_h11.client.shortcuts import ClientOptions
from poeproto_h11.client.timeouts import Timeouts
from poeproto_h11.client.transport import H11Transport
from poeproto_runtime.client.extra_headers import RequestHeaders, merged_headers
from poeproto_runtime.client.transport import IncomingResponse

Show = Callable[[bytes], None]


async def query_raw(
    url: str, request: QueryRequest, access_key: str | None, options: ClientOptions, fold: ReplyFold
) -> None:
    """Query a bot once, print its response, and fold it. Raises the exceptions of a client's query, after printing."""
    backend = anyio_backend(
        proxies=client_rules(options.get("proxy"), {"unix_socket": options.get("unix_socket")}),
        unix_socket=options.get("unix_socket"),
    )
    backend = attrs.evolve(backend, connect=_TeeConnector(backend.connect, raw_output()))
    pool = Pool(backend.connect, backend.proxies, backend.current_loop)
    exchange = PoeExchange(access_key)
    extra = RequestHeaders().with_source(options.get("headers"))
    transport = H11Transport(pool, backend, Limits(), Timeouts())
    try:
        sent = exchange.send(request, url)
        sent = attrs.evolve(sent, headers=merged_headers(sent.headers, extra.of_request(None)))
        response = await transport.begin().send(sent)
        try:
            await _receive(response, exchange, fold)
        finally:
            await response.aclose()
    finally:
        await pool.aclose()


async def _receive(response: IncomingResponse, exchange: PoeExchange, fold: ReplyFold) -> None:
    exchange.receive_head(response.head)
    while (data := await response.receive()) is not None:
        # After an error, the rest is still printed.
        if exchange.error is None:
            for event in exchange.receive_data(data):
                fold.add(event)
    for event in exchange.receive_eof():
        fold.add(event)
    if exchange.error is not None:
        raise exchange.error


def raw_output() -> Show:
    """A function that prints the bytes: unchanged in a pipe or file, with control characters escaped in a terminal."""
    if sys.stdout is None or not sys.stdout.isatty():
        return write_bytes
    decode = codecs.getincrementaldecoder("utf-8")("backslashreplace").decode
    return lambda data: echo(decode(data).replace("\r\n", "\n"), nl=False)


class _TeeConnector:
    """Opens streams, and shows the bytes received on them.

    Args:
        connect: opens the streams.
        show: is given the bytes.
    """

    def __init__(self, connect: Connector, show: Show) -> None:
        self._connect = connect
        self._show = show

    async def __call__(self, origin: Origin, timeout: float) -> ByteStream:
        return _TeeStream(await self._connect(origin, timeout), self._show)


class _TeeStream:
    """A stream that shows the bytes received on it."""

    def __init__(self, stream: ByteStream, show: Show) -> None:
        self._stream = stream
        self._show = show
        self.send = stream.send
        self.send_until_answered = stream.send_until_answered
        self.aclose = stream.aclose
        self.close_socket = stream.close_socket
        self.is_idle = stream.is_idle
        self.is_answering = stream.is_answering

    async def receive(self, timeout: float) -> bytes:
        data = await self._stream.receive(timeout)
        self._show(data)
        return data
