"""The client on anyio: queries bots and streams their replies."""

from __future__ import annotations

import ssl
from collections import deque
from types import TracebackType
from typing import Self

from poeproto import (
    Endpoints,
    Event,
    Limits,
    LocalProtocolError,
    Message,
    PoeExchange,
    QueryRequest,
    ReplyFold,
    Request,
    SettingsRequest,
    SettingsResponse,
    State,
)
from poeproto_h11.call import Call
from poeproto_h11.origins import split_url
from poeproto_h11.pool import Pool
from poeproto_h11.streams import AnyioConnector, Connector
from poeproto_h11.timeouts import Timeouts


class Client:
    """Calls bots over HTTP/1.1, on asyncio and on trio. Use it as an async context manager, within one event loop.

    Args:
        api_key: the key for bots called by name; it goes to Poe's own origin only.
        access_key: the key for bots called by URL, where a call does not bring another.
        endpoints: where Poe is.
        limits: the bounds of every exchange.
        timeouts: the deadlines of every call.
        ssl_context: for https; by default certificates are checked against the system's trust store.
        connector: opens the connections; for tests and tunnels.

    No redirect is followed, no cookie kept, and nothing is retried.
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        access_key: str | None = None,
        endpoints: Endpoints | None = None,
        limits: Limits | None = None,
        timeouts: Timeouts | None = None,
        ssl_context: ssl.SSLContext | None = None,
        connector: Connector | None = None,
    ) -> None:
        self._api_key = api_key
        self._access_key = access_key
        self._endpoints = endpoints or Endpoints()
        self._limits = limits or Limits()
        self._timeouts = timeouts or Timeouts()
        self._pool = Pool(connector or AnyioConnector(ssl_context))

    @property
    def connections_opened(self) -> int:
        """How many connections were opened so far; requests beyond that number used one again."""
        return self._pool.opened

    def query(self, bot: str, request: QueryRequest | str, *, access_key: str | None = None) -> Reply:
        """Ask a bot; enter the result with ``async with`` to get the reply as it streams.

        Args:
            bot: the bot's name on Poe, or the URL of a bot server.
            request: the query, or the text of one user message.
            access_key: the bot server's key, for a URL.

        Raises:
            LocalProtocolError: when name, URL or key are not usable, or the request cannot be written.
        """
        if isinstance(request, str):
            request = QueryRequest([Message("user", request)])
        return Reply(self._call(bot, request, access_key))

    async def settings(self, bot: str, *, access_key: str | None = None) -> SettingsResponse:
        """A bot's settings.

        Args:
            bot: the bot's name on Poe, or the URL of a bot server.
            access_key: the bot server's key, for a URL.

        Raises:
            RequestRefused: when the bot answers with another status than 200.
            RemoteProtocolError: when its answer is not what the protocol says.
            TransportError: when the connection fails.
        """
        call = self._call(bot, SettingsRequest(), access_key)
        try:
            await call.start()
            while call.exchange.settings is None:
                await call.receive()
        finally:
            await call.close()
        return call.exchange.settings

    async def aclose(self) -> None:
        """Close the connections that are not in use; the others close with their replies."""
        await self._pool.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<Client, {self.connections_opened} connections opened>"

    def _call(self, bot: str, request: Request, access_key: str | None) -> Call:
        try:
            url = bot if "://" in bot else self._endpoints.bot(bot)
            at_poe = split_url(url)[0] == split_url(self._endpoints.api)[0]
            if access_key is None:
                access_key = self._api_key if at_poe else self._access_key
            exchange = PoeExchange(access_key, self._limits)
        except ValueError as exc:  # a name or a key that cannot be sent
            raise LocalProtocolError(str(exc)) from exc
        return Call(self._pool, exchange, exchange.send(request, url), self._limits, self._timeouts)


class Reply:
    """One reply as it arrives: an async context manager, and within it an async iterator of events.

    What comes is every event through `Done` or `Error`; an `Error` is an event here, and raised by `text` alone.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._events: deque[Event] = deque()

    @property
    def fold(self) -> ReplyFold:
        """The reply so far, through the events that have arrived."""
        return self._call.exchange.fold

    async def text(self) -> str:
        """Read the reply to its end, and return its text.

        Raises:
            BotError: when the bot ended the reply with an error.
            IncompleteReply: when the reply broke off, or had no answer in it.
            RemoteProtocolError, TransportError: as iteration raises them.
        """
        async for _ in self:
            pass
        return self.fold.final_text()

    async def __aenter__(self) -> Self:
        """Send the query, and wait for the head of the answer.

        Raises:
            RequestRefused: when the bot answers with another status than 200 or not with a stream.
            TransportError: when the connection fails.
        """
        await self._call.start()
        try:
            while self._call.exchange.their_state is not State.OPENED:
                await self._call.receive()  # a refusal: reading the start of its body ends in the error
        except BaseException:
            await self._call.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._call.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while not self._events:
            if self._call.exchange.their_state in (State.DONE, State.FAILED):
                raise StopAsyncIteration
            self._events.extend(await self._call.receive())
        return self._events.popleft()
