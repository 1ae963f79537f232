"""Shortcuts for scripts and notebooks: query a bot without making a client."""

from __future__ import annotations

import os
import ssl
from collections.abc import Generator, Iterable
from typing import TypedDict, Unpack

from poeproto import Endpoints, Event, Limits, Message, QueryRequest, ReplyFold, RetryPolicy
from poeproto_h11.client.anyio_backend import anyio_backend
from poeproto_h11.client.blocking import BlockingClient
from poeproto_h11.client.client import Client, ClientBase
from poeproto_h11.client.proxy import ProxyOption, client_rules
from poeproto_h11.client.timeouts import Timeouts
from poeproto_runtime.client.extra_headers import ExtraHeaders
from poeproto_runtime.client.flow_runner import FlowRunner
from poeproto_runtime.client.reply import Reply

__all__ = ["BotResponse", "get_bot_response", "get_bot_response_sync", "get_final_response", "get_final_response_sync"]

Messages = str | Message | Iterable[Message] | QueryRequest


class _OptionsOfCalls(TypedDict, total=False):
    access_key: str | None
    endpoints: Endpoints | None
    limits: Limits | None
    timeouts: Timeouts | None
    retry: RetryPolicy | None
    headers: ExtraHeaders | None


class ClientOptions(_OptionsOfCalls, total=False):
    """The other arguments of `Client`."""

    ssl_context: ssl.SSLContext | None
    proxy: ProxyOption
    unix_socket: str | os.PathLike[str] | None


class BotResponse(Reply):
    """The reply of `get_bot_response`: a `Reply` with a client of its own, which is closed with it."""


class _OneReplyClient(ClientBase[BotResponse]):
    """A client for one reply, which closes it."""

    def __init__(
        self,
        api_key: str | None,
        ssl_context: ssl.SSLContext | None = None,
        proxy: ProxyOption = None,
        unix_socket: str | os.PathLike[str] | None = None,
        **options: Unpack[_OptionsOfCalls],
    ) -> None:
        rules = client_rules(proxy, {"unix_socket": unix_socket})
        super().__init__(anyio_backend(ssl_context, proxies=rules, unix_socket=unix_socket), api_key, **options)

    def _reply(self, runner: FlowRunner[ReplyFold], fold: ReplyFold) -> BotResponse:
        return BotResponse(runner, fold, self._pool.aclose)


def get_bot_response(
    messages: Messages, bot_name: str, api_key: str | None = None, **options: Unpack[ClientOptions]
) -> BotResponse:
    """Query a bot, on asyncio or trio; iterate over the reply with ``async for`` to get the events as they arrive.

    Args:
        messages: the text of one user message, a message, several, or a whole query.
        bot_name: the bot's name on Poe, or the URL of a bot server.
        api_key: the key for bots called by name; https://poe.com/api_key shows yours.
        options: as for `Client`; `access_key` is for a URL.

    Nothing is sent before the reply is read or entered. Errors are raised as by `Client.query`; an `Error` is an event.
    """
    return _OneReplyClient(api_key, **options).query(bot_name, _as_query(messages))


async def get_final_response(
    messages: Messages, bot_name: str, api_key: str | None = None, **options: Unpack[ClientOptions]
) -> str:
    """Query a bot, on asyncio or trio, and return the text of its reply. Arguments as in `get_bot_response`.

    Raises:
        BotError: when the bot ended the reply with an error.
        PoeprotoError: as by `Client.query` and `Reply.text`.
    """
    async with Client(api_key, **options) as client, client.query(bot_name, _as_query(messages)) as reply:
        return await reply.text()


def get_bot_response_sync(
    messages: Messages, bot_name: str, api_key: str | None = None, **options: Unpack[ClientOptions]
) -> Generator[Event]:
    """Query a bot, and block; iterate over the result with ``for`` to get the events as they arrive.

    This also works while an event loop is running. Arguments as in `get_bot_response`. Everything is closed when the
    events end, and when the generator is closed or dropped, after a ``break`` for instance.
    """
    with BlockingClient(api_key, **options) as client, client.query(bot_name, _as_query(messages)) as reply:
        yield from reply


def get_final_response_sync(
    messages: Messages, bot_name: str, api_key: str | None = None, **options: Unpack[ClientOptions]
) -> str:
    """Query a bot, block until its reply is complete, and return its text.

    This also works while an event loop is running. Arguments as in `get_bot_response`, errors as in
    `get_final_response`.
    """
    with BlockingClient(api_key, **options) as client, client.query(bot_name, _as_query(messages)) as reply:
        return reply.text()


def _as_query(messages: Messages) -> QueryRequest | str:
    if isinstance(messages, str | QueryRequest):
        return messages
    return QueryRequest([messages] if isinstance(messages, Message) else list(messages))
