"""The transport over h11: sends the requests of calls on pooled connections."""

from __future__ import annotations

from collections.abc import Coroutine
from contextlib import aclosing
from typing import Any

from poeproto import (
    ConnectionLost,
    HttpRequest,
    Limits,
    PoeprotoError,
    RemoteProtocolError,
    ResponseHead,
    TransportError,
)
from poeproto.http import StreamedBody
from poeproto_h11.client.backend import Backend
from poeproto_h11.client.connection import Connection
from poeproto_h11.client.pool import Pool
from poeproto_h11.client.timeouts import Clock, Timeouts
from poeproto_runtime.client.uploads import read_source
from poeproto_runtime.client.urls import Origin, split_url

# How long reading to the end of a body may take once the reply in it is complete.
_DRAIN_SECONDS = 1.0


class H11Transport:
    """Sends requests over HTTP/1.1; a `poeproto_runtime.client.transport.Transport`.

    Args:
        pool: opens and keeps the connections.
        backend: waits, and reads files.
        limits: `Limits.drain` bounds the bytes read after a reply.
        timeouts: the timeouts of each call.
    """

    def __init__(self, pool: Pool, backend: Backend, limits: Limits, timeouts: Timeouts) -> None:
        self._pool = pool
        self._backend = backend
        self._limits = limits
        self._timeouts = timeouts

    def begin(self) -> H11Call:
        """Start a call; its total timeout starts now."""
        return H11Call(self._pool, self._backend, self._limits, Clock(self._timeouts))


class H11Call:
    """The requests of one call; a `poeproto_runtime.client.transport.TransportCall`.

    Args:
        pool: opens and keeps the connections.
        backend: waits, and reads files.
        limits: `Limits.drain` bounds the bytes read after a reply.
        clock: the time the call has left.
    """

    def __init__(self, pool: Pool, backend: Backend, limits: Limits, clock: Clock) -> None:
        self._pool = pool
        self._backend = backend
        self._limits = limits
        self._clock = clock

    async def send(self, request: HttpRequest) -> H11Response:
        """Send a request, and wait for the head of the response.

        Raises:
            TransportError, RemoteProtocolError: when that fails; the connection has been closed.
            LocalProtocolError: when the request cannot be written, or its file is not of the declared size.
        """
        origin, target = split_url(request.url)
        connection = await self._pool.acquire(origin, self._clock)
        try:
            head = await self._exchange_heads(connection, request, target, origin.authority)
        except BaseException:
            await connection.aclose()
            raise
        # The body of an error response only explains it: reading it may take no longer than one read of a reply.
        clock = self._clock if head.status == 200 else self._clock.at_most(self._clock.timeouts.idle)
        return H11Response(head, self._pool, origin, connection, clock, self._limits.drain)

    async def sleep(self, seconds: float) -> None:
        """Wait before the next request. Raises `DeadlineExceeded` at once if the call's time does not allow it."""
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
            # A server that rejects a large request may answer and close while we are still writing.
            try:
                return await connection.receive_head(clock)
            except (TransportError, RemoteProtocolError):
                raise lost from None
        return await connection.receive_head(clock)


class H11Response:
    """A response that is being received; a `poeproto_runtime.client.transport.IncomingResponse`.

    Attributes:
        head: the status and headers.
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
        self._is_reply = head.status == 200
        self._broken = False

    def receive(self) -> Coroutine[Any, Any, bytes | None]:
        """The next part of the body; None at its end, or after the response was closed.

        Not a coroutine function, since each coroutine in between delays an event that arrives alone.

        Raises:
            TransportError, RemoteProtocolError: when the body of a response with status 200 breaks off. The body of an
                error response just ends there.
        """
        if self._is_reply and self._connection is not None:
            return self._connection.receive_body(self._clock)
        return self._receive_explanation()

    async def _receive_explanation(self) -> bytes | None:
        if self._connection is None or self._broken:
            return None
        try:
            return await self._connection.receive_body(self._clock)
        except PoeprotoError:
            # The status matters more than why its explanation broke off.
            self._broken = True
            return None

    async def finish(self) -> None:
        """Release the connection to the pool if the body ends within the drain limits; close it otherwise."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if connection.is_interrupted:
            await connection.aclose()
            return
        try:
            await self._drain(connection)
        except BaseException:
            # Cancelled in the middle of a response: the connection must not be used again.
            await connection.aclose()
            raise
        await self._pool.release(self._origin, connection)

    async def aclose(self) -> None:
        """Close the connection, or release it to the pool if the body has been read to its end."""
        connection, self._connection = self._connection, None
        if connection is not None and connection.is_interrupted:
            await connection.aclose()
        elif connection is not None:
            await self._pool.release(self._origin, connection)

    async def _drain(self, connection: Connection) -> None:
        clock = self._clock.at_most(_DRAIN_SECONDS)
        left = self._drain_size
        try:
            while left > 0 and (data := await connection.receive_body(clock)) is not None:
                left -= len(data)
        except PoeprotoError:
            pass  # the reply is complete; release() finds that the connection cannot be used again, and closes it
