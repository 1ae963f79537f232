"""Connections of the probes: streams of anyio, of which every byte is kept with its time.

The client of `poeproto_h11` would hide the details that are to be judged: it refuses invalid requests and invalid
responses.
"""

from __future__ import annotations

import ssl
from contextlib import suppress
from types import TracebackType
from typing import Self

import anyio
import anyio.abc
import attrs
from anyio.streams.tls import TLSStream

from poeproto import ConnectFailed
from poeproto_check.exchange import Ending, Exchange, Transfer
from poeproto_check.probe_request import ProbeRequest
from poeproto_check.raw_response import RawResponse
from poeproto_h11 import Origin, failure_reason, split_url
from poeproto_h11.client.tls import system_trust

__all__ = ["RawConnection", "ServerAddress"]

_READ_SIZE = 64 * 1024
_CONNECT_SECONDS = 10.0
# The failures of streams: the operating system's, anyio's, and those of TLS.
_BROKEN = (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError, ssl.SSLError)


@attrs.frozen
class ServerAddress:
    """The address of the bot server.

    Attributes:
        origin: scheme, host and port.
        target: the path and the query of the URL.
        unix_socket: the path of a socket to connect to instead of the origin.
        ssl_context: for https; by default certificates are verified against the system's trust store.
    """

    origin: Origin
    target: str
    unix_socket: str | None = None
    ssl_context: ssl.SSLContext | None = None

    @classmethod
    def of(cls, url: str, unix_socket: str | None = None, ssl_context: ssl.SSLContext | None = None) -> Self:
        """The address in a URL.

        Raises:
            LocalProtocolError: when it is not an http or https URL, or contains credentials.
        """
        origin, target = split_url(url)
        return cls(origin, target, unix_socket, ssl_context)

    @property
    def shown_url(self) -> str:
        """The URL without its query, which may contain a secret."""
        path, question_mark, _ = self.target.partition("?")
        return f"{self.origin}{path}{question_mark and '?...'}"

    async def connect(self) -> anyio.abc.ByteStream:
        """A stream to the server.

        Raises:
            ConnectFailed: when there is none within 10 seconds.
        """
        where = str(self.origin) if self.unix_socket is None else f"unix:{self.unix_socket}"
        try:
            with anyio.fail_after(_CONNECT_SECONDS):
                return await self._open()
        except TimeoutError as exc:
            raise ConnectFailed(f"no connection to {where} within {_CONNECT_SECONDS:g} s") from exc
        except _BROKEN as exc:
            raise ConnectFailed(f"no connection to {where}: {failure_reason(exc)}") from exc

    async def _open(self) -> anyio.abc.ByteStream:
        stream: anyio.abc.ByteStream
        if self.unix_socket is not None:
            stream = await anyio.connect_unix(self.unix_socket)
        else:
            stream = await anyio.connect_tcp(self.origin.host, self.origin.port)
        if self.origin.scheme == "http":
            return stream
        try:
            # Many servers close without TLS's own ending. HTTP says by itself where a body ends.
            return await TLSStream.wrap(
                stream, hostname=self.origin.host, ssl_context=self.ssl_context or system_trust(),
                standard_compatible=False,
            )  # fmt: skip
        except BaseException:
            await anyio.aclose_forcefully(stream)
            raise


class RawConnection:
    """One connection. Use it in an `async with` block.

    Args:
        address: where to connect to.
        timeout: seconds that the server may send nothing.
        total: seconds that all exchanges of the connection may take.

    Attributes:
        address: as above.
        transfers: all writes and reads so far.
    """

    def __init__(self, address: ServerAddress, timeout: float, total: float) -> None:
        self.address = address
        self.transfers: list[Transfer] = []
        self._timeout = timeout
        self._total = total
        self._began = 0.0
        self._left_over = b""
        self._stream: anyio.abc.ByteStream

    async def __aenter__(self) -> Self:
        self._stream = await self.address.connect()
        self._began = anyio.current_time()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True), suppress(*_BROKEN):
            await anyio.aclose_forcefully(self._stream)

    def exchange(self, request: ProbeRequest) -> Exchange:
        """The record of a request on this connection."""
        return Exchange(request, RawResponse(request.method), self.transfers)

    def head(self, request: ProbeRequest) -> bytes:
        """The head of the request as it is sent here."""
        return request.head(self.address.target, self.address.origin.authority)

    async def send(self, data: bytes) -> bool:
        """Send bytes; whether the connection accepted them. A server may answer and close before it has read them."""
        self.transfers.append(Transfer(self.now, True, data))
        try:
            with anyio.fail_after(self._time_left):
                await self._stream.send(data)
        except (*_BROKEN, TimeoutError):
            return False
        return True

    async def send_request(self, exchange: Exchange) -> None:
        """Send a whole request."""
        await self.send(self.head(exchange.request) + exchange.request.body_on_wire())
        exchange.sent_at = self.now

    async def send_eof(self) -> None:
        """End our side of the connection. With TLS that is not possible, and nothing is done."""
        with suppress(NotImplementedError, *_BROKEN):
            await self._stream.send_eof()

    async def receive(self, exchange: Exchange) -> None:
        """Read a response to its end."""
        while not exchange.response.is_over and await self.receive_some(exchange):
            pass
        self.settle(exchange)

    def settle(self, exchange: Exchange) -> None:
        """Record why the reading of a response ended; further bytes are for the next exchange."""
        exchange.ended_at = self.now
        if exchange.response.is_over:
            exchange.ending = Ending.COMPLETE if exchange.response.is_complete else Ending.INVALID
            self._left_over = exchange.response.rest

    async def receive_some(self, exchange: Exchange) -> bool:
        """Read once; whether more may follow."""
        if self._left_over:
            data, self._left_over = self._left_over, b""
            exchange.response.receive(data, self.now)
            return True
        try:
            with anyio.fail_after(self._time_left):
                data = await self._stream.receive(_READ_SIZE)
        except TimeoutError:
            exchange.ending = Ending.TIMEOUT
            return False
        except anyio.EndOfStream:
            exchange.response.receive_eof()
            exchange.ending = Ending.EOF
            return False
        except _BROKEN:
            exchange.response.receive_reset()
            exchange.ending = Ending.RESET
            return False
        self.transfers.append(Transfer(self.now, False, data))
        exchange.response.receive(data, self.now)
        return True

    @property
    def _time_left(self) -> float:
        return max(min(self._timeout, self._total - self.now), 0.0)

    @property
    def now(self) -> float:
        """Seconds since the connection was opened."""
        return anyio.current_time() - self._began
