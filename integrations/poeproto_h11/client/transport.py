"""Requests on pooled connections: what `poeproto_runtime` drives flows over."""

from __future__ import annotations

from contextlib import aclosing

from poeproto import (
    ConnectionLost,
    HttpRequest,
    Limits,
    PoeprotoError,
    RemoteProtocolError,
    ResponseHead,
    StreamedBody,
    TransportError,
)
from poeproto_h11.client.backend import Backend
from poeproto_h11.client.connection import Clock, Connection
from poeproto_h11.client.pool import Pool
from poeproto_h11.client.timeouts import Timeouts
from poeproto_h11.client.urls import Origin, split_url
from poeproto_runtime.client.uploads import read_source

# What reading on after the end of a reply may take, in seconds.
_DRAIN_SECONDS = 1.0


class H11Transport:
    """Sends requests over HTTP/1.1; a `poeproto_runtime.Transport`.

    Args:
        pool: where connections come from.
        backend: how to wait, and to read files.
        limits: of which `drain` matters here.
        timeouts: the deadlines of each call.
    """

    def __init__(self, pool: Pool, backend: Backend, limits: Limits, timeouts: Timeouts) -> None:
        self._pool = pool
        self._backend = backend
        self._limits = limits
        self._timeouts = timeouts

    def begin(self) -> H11Call:
        """A call, whose time runs from here."""
        return H11Call(self._pool, self._backend, self._limits, Clock(self._timeouts))


class H11Call:
    """The requests of one call; a `poeproto_runtime.TransportCall`.

    Args:
        pool: where connections come from.
        backend: how to wait, and to read files.
        limits: of which `drain` matters here.
        clock: what is left of the call's time.
    """

    def __init__(self, pool: Pool, backend: Backend, limits: Limits, clock: Clock) -> None:
        self._pool = pool
        self._backend = backend
        self._limits = limits
        self._clock = clock

    async def send(self, request: HttpRequest) -> H11Response:
        """Send a request, and wait for the head of the response.

        Raises:
            TransportError, RemoteProtocolError: when that fails; what was opened has been closed.
            LocalProtocolError: when HTTP has no form for the request, or its file is not as large as was declared.
        """
        origin, target = split_url(request.url)
        connection = await self._pool.take(origin, self._clock)
        try:
            head = await self._exchange_heads(connection, request, target, origin.authority)
        except BaseException:
            await connection.aclose()
            raise
        # A body that only explains a refusal is not worth more than one silence in a reply would take.
        clock = self._clock if head.status == 200 else self._clock.at_most(self._clock.timeouts.idle)
        return H11Response(head, self._pool, origin, connection, clock, self._limits.drain)

    async def sleep(self, seconds: float) -> None:
        """Wait before the next request."""
        if self._clock.left(seconds) < seconds:
            raise self._clock.exceeded("total")
        await self._backend.sleep(seconds)

    async def _exchange_heads(
        self, connection: Connection, request: HttpRequest, target: str, host: str
    ) -> ResponseHead:
        clock = self._clock
        try:
            if isinstance(request.body, StreamedBody):
                chunks = read_source(request.body.source, self._backend.in_thread)
                async with aclosing(chunks):
                    await connection.send_streamed(request, request.body, chunks, target, host, clock)
            else:
                await connection.send(request, request.body, target, host, clock)
        except ConnectionLost as lost:
            # A server that refuses a large request says so and closes, while we are still writing.
            try:
                return await connection.receive_head(clock)
            except (TransportError, RemoteProtocolError):
                raise lost from None
        return await connection.receive_head(clock)


class H11Response:
    """A response under way; a `poeproto_runtime.IncomingResponse`.

    Attributes:
        head: its status and headers.
    """

    def __init__(
        self, head: ResponseHead, pool: Pool, origin: Origin, connection: Connection, clock: Clock, drain: int
    ) -> None:
        self.head = head
        self._pool = pool
        self._origin = origin
        self._connection: Connection | None = connection
        self._clock = clock
        self._drain_size = drain
        self._broken = False
        self._interrupted = False

    async def receive(self) -> bytes | None:
        """The next part of the body; None at its end, or when the response was left.

        Raises:
            TransportError, RemoteProtocolError: but for a refusal, which ends where it breaks off.
        """
        if self._connection is None or self._broken:
            return None
        # A cancellation takes nothing from the stream, but a KeyboardInterrupt may strike between any two steps.
        self._interrupted = True
        try:
            data = await self._connection.receive_body(self._clock)
        except PoeprotoError:
            if self.head.status == 200:
                raise
            # The status says more than the trouble with a body that only explains it.
            self._broken = True
            return None
        self._interrupted = False
        return data

    async def finish(self) -> None:
        """Give the connection back if the body is at its end, or about to be; close it otherwise."""
        if self._interrupted:
            await self.aclose()
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            await self._drain(connection)
        except BaseException:
            # Cancelled while it was half read: it must not be used again.
            await connection.aclose()
            raise
        await self._pool.give_back(self._origin, connection)

    async def aclose(self) -> None:
        """Close the connection, unless the body has been read to its end."""
        connection, self._connection = self._connection, None
        if connection is not None and self._interrupted:
            await connection.aclose()
        elif connection is not None:
            await self._pool.give_back(self._origin, connection)

    async def _drain(self, connection: Connection) -> None:
        clock = self._clock.at_most(_DRAIN_SECONDS)
        left = self._drain_size
        try:
            while left > 0 and (data := await connection.receive_body(clock)) is not None:
                left -= len(data)
        except PoeprotoError:
            # What matters has come. Only the connection is of no use any more, which give_back finds out.
            pass
