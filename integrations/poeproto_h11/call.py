"""One call: a request on a pooled connection, and its response read through an exchange."""

from __future__ import annotations

from poeproto import (
    ConnectionLost,
    Event,
    HttpRequest,
    Limits,
    LocalProtocolError,
    PoeExchange,
    PoeprotoError,
    RemoteProtocolError,
    ResponseHead,
    State,
    TransportError,
)
from poeproto_h11.connection import Clock, Connection
from poeproto_h11.origins import split_url
from poeproto_h11.pool import Pool
from poeproto_h11.timeouts import Timeouts

# What reading on after the end of a reply may take, in seconds.
_DRAIN_SECONDS = 1.0


class Call:
    """A call from its request to the end of its response.

    Args:
        pool: where the connection comes from.
        exchange: which has made the request and reads the response.
        request: the request.
        limits: of which `drain` matters here.
        timeouts: the deadlines; they count from `start`.
    """

    def __init__(
        self, pool: Pool, exchange: PoeExchange, request: HttpRequest, limits: Limits, timeouts: Timeouts
    ) -> None:
        self.exchange = exchange
        self._pool = pool
        self._request = request
        self._origin, self._target = split_url(request.url)
        self._limits = limits
        self._clock = Clock(timeouts)
        self._connection: Connection | None = None
        self._status = 0
        self._started = False

    async def start(self) -> None:
        """Send the request, and read the head of the response.

        Raises:
            TransportError, RemoteProtocolError: when that fails; what was opened has been closed.
            LocalProtocolError: when it was started before.
        """
        if self._started:
            raise LocalProtocolError("the query was sent already; make another for another reply")
        self._started = True
        self._clock.start()
        connection = await self._pool.take(self._origin, self._clock)
        self._connection = connection
        try:
            head = await self._exchange_heads(connection)
            self._status = head.status
            self.exchange.receive_head(head)
        except BaseException:
            await self.close()
            raise

    async def _exchange_heads(self, connection: Connection) -> ResponseHead:
        try:
            await connection.send(self._request, self._target, self._origin.authority, self._clock)
        except ConnectionLost as lost:
            # A server that refuses a large request says so and closes, while we are still writing.
            try:
                return await connection.receive_head(self._clock)
            except (TransportError, RemoteProtocolError):
                raise lost from None
        return await connection.receive_head(self._clock)

    async def receive(self) -> list[Event]:
        """The events of the next part of the body, or what its end brings; see `PoeExchange` for the errors."""
        if self.exchange.error is not None:
            raise self.exchange.error
        if self._connection is None:
            raise LocalProtocolError("the reply is not open: it can be read within its `async with` only")
        try:
            data = await self._connection.receive_body(self._clock)
        except PoeprotoError as exc:
            if self._status != 200:
                # The status says more than the trouble with a body that only explains it.
                return self.exchange.receive_eof()
            exc.partial = self.exchange.fold
            raise
        return self.exchange.receive_eof() if data is None else self.exchange.receive_data(data)

    async def close(self) -> None:
        """Give the connection back if the response was read to its end, or is about to end; close it otherwise."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            if self.exchange.error is None and self.exchange.their_state in (State.DONE, State.FAILED):
                await self._drain(connection)
        except BaseException:
            # Cancelled while it was half read: it must not be used again.
            await connection.aclose()
            raise
        await self._pool.give_back(self._origin, connection)

    async def _drain(self, connection: Connection) -> None:
        clock = self._clock.at_most(_DRAIN_SECONDS)
        left = self._limits.drain
        try:
            while left > 0 and (data := await connection.receive_body(clock)) is not None:
                left -= len(data)
        except PoeprotoError:
            # The reply is complete. Only the connection is of no use any more, which give_back finds out.
            pass
