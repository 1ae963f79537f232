"""Shortcuts for scripts and notebooks: query a bot without making a client."""

from __future__ import annotations

import os
import ssl
from collections.abc import Generator, Iterable, Mapping
from typing import Any, Unpack, cast

import attrs

from poeproto import Endpoints, Event, Limits, Message, QueryRequest, ReplyFold, RetryPolicy, ToolDefinition
from poeproto.flows import ToolFunctions, as_tool_definition
from poeproto_h11.client.anyio_backend import anyio_backend
from poeproto_h11.client.blocking import BlockingClient
from poeproto_h11.client.client import Client, PooledClientBase
from poeproto_h11.client.proxy import ProxyOption, client_rules
from poeproto_h11.client.timeouts import Timeouts
from poeproto_runtime.client.call_hooks import CallHookOptions, CallHooks
from poeproto_runtime.client.client_base import AnyReply, ClientBase
from poeproto_runtime.client.extra_headers import ExtraHeaders, HeadersOfCall
from poeproto_runtime.client.flow_runner import FlowRunner
from poeproto_runtime.client.reply import Reply

__all__ = ["BotResponse", "get_bot_response", "get_bot_response_sync", "get_final_response", "get_final_response_sync"]

Messages = str | Message | Iterable[Message] | QueryRequest


class ClientOptions(CallHookOptions, total=False):
    """The other arguments of `Client`."""

    access_key: str | None
    endpoints: Endpoints | None
    limits: Limits | None
    timeouts: Timeouts | None
    retry: RetryPolicy | None
    headers: ExtraHeaders | HeadersOfCall | None
    ssl_context: ssl.SSLContext | None
    proxy: ProxyOption
    unix_socket: str | os.PathLike[str] | None


class ReplyOptions(ClientOptions, total=False):
    """The arguments of `Client`, and fields of the query; None leaves a field as it is in `messages`.

    Attributes:
        temperature: the sampling temperature.
        skip_system_prompt: whether the bot should leave out its own system prompt.
        logit_bias: token to bias, -100 to 100.
        stop_sequences: strings at which generation stops.
        adopt_current_bot_name: whether the bot replies under the caller's name.
        tools: the tools that the model may call, also as dicts in OpenAI's format.
        tool_executables: the functions to call for them, as in `Client.run_tools`; without them, the model's calls
            arrive as `Json` events.
    """

    temperature: float | None
    skip_system_prompt: bool | None
    logit_bias: dict[str, float] | None
    stop_sequences: list[str] | None
    adopt_current_bot_name: bool | None
    tools: Iterable[ToolDefinition | Mapping[str, Any]] | None
    tool_executables: ToolFunctions | None


class BotResponse(Reply):
    """The reply of `get_bot_response`: a `Reply` with a client of its own, which is closed with it."""


_QUERY_OPTIONS = ReplyOptions.__annotations__.keys() - ClientOptions.__annotations__.keys()


class _OneReplyClient(PooledClientBase[BotResponse]):
    """A client for one reply, which closes it."""

    def __init__(
        self,
        api_key: str | None,
        access_key: str | None = None,
        endpoints: Endpoints | None = None,
        limits: Limits | None = None,
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        headers: ExtraHeaders | HeadersOfCall | None = None,
        ssl_context: ssl.SSLContext | None = None,
        proxy: ProxyOption = None,
        unix_socket: str | os.PathLike[str] | None = None,
        **hooks: Unpack[CallHookOptions],
    ) -> None:
        rules = client_rules(proxy, {"unix_socket": unix_socket})
        super().__init__(
            anyio_backend(ssl_context, proxies=rules, unix_socket=unix_socket),
            timeouts,
            api_key=api_key,
            access_key=access_key,
            endpoints=endpoints,
            limits=limits,
            retry=retry,
            headers=headers,
            hooks=CallHooks(**hooks),
        )

    def _reply(self, runner: FlowRunner[ReplyFold], fold: ReplyFold) -> BotResponse:
        return BotResponse(runner, fold, self._pool.aclose)


def get_bot_response(
    messages: Messages, bot_name: str, api_key: str | None = None, **options: Unpack[ReplyOptions]
) -> BotResponse:
    """Query a bot, on asyncio or trio; iterate over the reply with ``async for`` to get the events as they arrive.

    Args:
        messages: the text of one user message, a message, several, or a whole query.
        bot_name: the bot's name on Poe, or the URL of a bot server.
        api_key: the key for bots called by name; https://poe.com/api_key shows yours.
        options: as for `Client`, where `access_key` is for a URL; also `temperature`, `skip_system_prompt`,
            `logit_bias`, `stop_sequences`, `adopt_current_bot_name`, `tools` and `tool_executables`, see
            `ReplyOptions`.

    Raises:
        TypeError: for `tool_executables` without `tools`, or an unknown option.

    A ``break`` closes the reply at once, unless a variable refers to it: then use ``async with``.
    Nothing is sent before the reply is read or entered. Errors are raised as by `Client.query`; an `Error` is an event.
    """
    fields, rest = _split(options)
    return _query(_OneReplyClient(api_key, **rest), bot_name, messages, fields)


async def get_final_response(
    messages: Messages, bot_name: str, api_key: str | None = None, **options: Unpack[ReplyOptions]
) -> str:
    """Query a bot, on asyncio or trio, and return the text of its reply. Arguments as in `get_bot_response`.

    Raises:
        BotError: when the bot ended the reply with an error.
        PoeprotoError: as by `Client.query` and `Reply.text`.
    """
    fields, rest = _split(options)
    async with Client(api_key, **rest) as client, _query(client, bot_name, messages, fields) as reply:
        return await reply.text()


def get_bot_response_sync(
    messages: Messages, bot_name: str, api_key: str | None = None, **options: Unpack[ReplyOptions]
) -> Generator[Event]:
    """Query a bot, and block; iterate over the result with ``for`` to get the events as they arrive.

    This also works while an event loop is running. Arguments as in `get_bot_response`. Everything is closed when the
    events end, and when the generator is closed or dropped, after a ``break`` for instance.
    """
    fields, rest = _split(options)
    with BlockingClient(api_key, **rest) as client, _query(client, bot_name, messages, fields) as reply:
        yield from reply


def get_final_response_sync(
    messages: Messages, bot_name: str, api_key: str | None = None, **options: Unpack[ReplyOptions]
) -> str:
    """Query a bot, block until its reply is complete, and return its text.

    This also works while an event loop is running. Arguments as in `get_bot_response`, errors as in
    `get_final_response`.
    """
    fields, rest = _split(options)
    with BlockingClient(api_key, **rest) as client, _query(client, bot_name, messages, fields) as reply:
        return reply.text()


def _split(options: ReplyOptions) -> tuple[dict[str, Any], ClientOptions]:
    """The fields of the query, and the arguments of the client."""
    given = cast("dict[str, Any]", options)
    fields = {name: value for name, value in given.items() if name in _QUERY_OPTIONS}
    rest = {name: value for name, value in given.items() if name not in _QUERY_OPTIONS}
    return fields, cast("ClientOptions", rest)


def _query(client: ClientBase[AnyReply], bot_name: str, messages: Messages, fields: dict[str, Any]) -> AnyReply:
    tools, functions = fields.pop("tools", None), fields.pop("tool_executables", None)
    query = _as_query(messages)
    changes = {name: value for name, value in fields.items() if value is not None}
    if changes:
        query = attrs.evolve(query, **changes)
    offered = None if tools is None else [as_tool_definition(tool) for tool in tools]
    if functions is None:
        return client.query(bot_name, query if offered is None else attrs.evolve(query, tools=offered))
    if offered is None:
        raise TypeError("tool_executables needs tools: the definitions that the model is given")
    return client.run_tools(bot_name, query, offered, functions)


def _as_query(messages: Messages) -> QueryRequest:
    if isinstance(messages, QueryRequest):
        return messages
    if isinstance(messages, str):
        messages = Message("user", messages)
    return QueryRequest([messages] if isinstance(messages, Message) else list(messages))
