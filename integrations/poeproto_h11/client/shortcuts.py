"""One question and its answer, for scripts and notebooks: no client to make, and none to close."""

from __future__ import annotations

import ssl
from collections.abc import Generator, Iterable
from types import TracebackType
from typing import Self, TypedDict, Unpack

from poeproto import Endpoints, Event, Limits, LocalProtocolError, Message, QueryRequest, ReplyFold, RetryPolicy
from poeproto_h11.client.blocking import BlockingClient
from poeproto_h11.client.client import Client
from poeproto_h11.client.timeouts import Timeouts
from poeproto_runtime.client.reply import Reply

Messages = str | Message | Iterable[Message] | QueryRequest


class ClientOptions(TypedDict, total=False):
    """What `Client` may be told besides."""

    access_key: str | None
    endpoints: Endpoints | None
    limits: Limits | None
    timeouts: Timeouts | None
    retry: RetryPolicy | None
    ssl_context: ssl.SSLContext | None


class BotResponse:
    """The events of one reply, through `Done` or `Error`: an async iterator, with a client of its own.

    Nothing is sent before the first event is asked for. Everything is closed when the events end, and when a read fails
    or is cancelled. Only a loop that is left earlier, by ``break`` or an exception of its own, leaves the connection
    open: iterate within ``async with`` then, or call `aclose`.
    """

    def __init__(self, client: Client, reply: Reply) -> None:
        self._client = client
        self._reply = reply
        self._entered = False
        self._closed = False

    @property
    def fold(self) -> ReplyFold:
        """The reply so far, through the events that have arrived."""
        return self._reply.fold

    async def aclose(self) -> None:
        """Close the connection; there are no events any more."""
        self._closed = True
        try:
            if self._entered:
                await self._reply.__aexit__(None, None, None)
        finally:
            await self._client.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        if self._closed:
            raise StopAsyncIteration
        try:
            if not self._entered:
                self._entered = True
                await self._reply.__aenter__()
            return await anext(self._reply)
        except LocalProtocolError:
            raise  # of the caller: another task is reading, for one
        except BaseException:
            await self.aclose()
            raise

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.fold!r}>"


def get_bot_response(
    messages: Messages, bot_name: str, api_key: str | None = None, **options: Unpack[ClientOptions]
) -> BotResponse:
    """Ask a bot, on asyncio or trio; iterate over the result with ``async for`` to get the events as they arrive.

    Args:
        messages: the text of one user message, a message, several, or a whole query.
        bot_name: the bot's name on Poe, or the URL of a bot server.
        api_key: the key for bots called by name; https://poe.com/api_key shows yours.
        options: as for `Client`; `access_key` is for a URL.

    Errors are raised as by `Client.query`; an `Error` is an event.
    """
    client = Client(api_key, **options)
    return BotResponse(client, client.query(bot_name, _as_query(messages)))


async def get_final_response(
    messages: Messages, bot_name: str, api_key: str | None = None, **options: Unpack[ClientOptions]
) -> str:
    """Ask a bot, on asyncio or trio, and return the text of its whole reply. Arguments as in `get_bot_response`.

    Raises:
        BotError: when the bot ended the reply with an error.
        PoeprotoError: as by `Client.query` and `Reply.text`.
    """
    async with Client(api_key, **options) as client, client.query(bot_name, _as_query(messages)) as reply:
        return await reply.text()


def get_bot_response_sync(
    messages: Messages, bot_name: str, api_key: str | None = None, **options: Unpack[ClientOptions]
) -> Generator[Event]:
    """Ask a bot, and block; iterate over the result with ``for`` to get the events as they arrive.

    This works where an event loop is running, too. Arguments as in `get_bot_response`. Everything is closed when the
    loop over the events ends; after a ``break``, when the generator is closed or nobody holds it any more.
    """
    with BlockingClient(api_key, **options) as client, client.query(bot_name, _as_query(messages)) as reply:
        yield from reply


def get_final_response_sync(
    messages: Messages, bot_name: str, api_key: str | None = None, **options: Unpack[ClientOptions]
) -> str:
    """Ask a bot, and block until its whole reply is there; return its text.

    This works where an event loop is running, too. Arguments as in `get_bot_response`, errors as in
    `get_final_response`.
    """
    with BlockingClient(api_key, **options) as client, client.query(bot_name, _as_query(messages)) as reply:
        return reply.text()


def _as_query(messages: Messages) -> QueryRequest | str:
    if isinstance(messages, str | QueryRequest):
        return messages
    return QueryRequest([messages] if isinstance(messages, Message) else list(messages))
